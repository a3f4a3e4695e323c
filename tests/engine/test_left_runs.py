"""Runs that were left by a killed apply, retries, and stopping: over a fake world."""

from __future__ import annotations

import pytest
from fakes import User, program, world

from specforge.core.address import Address
from specforge.engine.events import RunEnded
from specforge.engine.session import Interrupts
from specforge.executors.fake import Fault, Made, SimulatedCrash
from specforge.planner.plan import Action

TRAINING = Address("training", "digits")


def killed_while_training(user: User) -> None:
    """Apply, and die as soon as the training's job has started."""
    starts = 0

    def strike() -> None:
        nonlocal starts
        points = len(user.world.points)
        user.world.faults = {points + starts: Fault.CRASH}

    # The points of a calm twin tell where the training starts.
    twin = User(world(), user.documents)
    twin.world.project.update(user.world.project)
    twin.apply(parallelism=1)
    names = [(point.when, point.effect) for point in twin.world.points]
    first = names.index(("after", "job start"))
    starts = names.index(("after", "job start"), first + 1)
    strike()
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()


@pytest.fixture
def user() -> User:
    return User(world())


def test_a_run_is_attached_to(user):
    """The next apply goes on with the job that runs: it is started once."""
    killed_while_training(user)
    (run,) = user.plan().runs
    assert (run.address, run.state, run.wanted) == (TRAINING, "running", True)
    assert not user.apply().failed
    assert user.starts("train") == 2  # and that of training.finer
    user.world.check()


def test_new_data_end_the_run_on_old_data_before_the_new_one_begins(user):
    """Whether the run is wanted is known only when the dataset is published: it is cancelled then, not doubled."""
    killed_while_training(user)
    user.world.project["data/digits/1/more.png"] = b"another"
    assert not user.apply().failed
    user.world.check()
    assert [each.outcome for each in user.events if isinstance(each, RunEnded)] == ["cancelled"]
    assert user.plan().empty


def test_new_data_wait_for_the_run_on_request(user):
    """With --finish-running the old run is recorded as a version that never was current."""
    killed_while_training(user)
    user.world.project["data/digits/1/more.png"] = b"another"
    assert not user.apply(finish_running=True).failed
    user.world.check()
    versions = [each.version for each in user.state.resources[TRAINING].versions]
    assert versions == ["V0001", "V0002"]
    assert user.state.resources[TRAINING].current == "V0002"
    assert user.plan().empty


def test_a_run_of_something_no_longer_declared_is_cancelled(user):
    """The document is gone while its job runs: the job is cancelled, the record dropped."""
    killed_while_training(user)
    user.documents = tuple(each for each in user.documents if each["kind"] != "TrainingJob")
    plan = user.plan()
    assert [run.wanted for run in plan.runs] == [False]
    assert not user.apply(plan).failed
    assert TRAINING not in user.state.resources
    user.world.check()
    assert user.plan().empty


def test_a_run_that_somebody_elses_result_made_needless_is_cancelled(user):
    """A colleague published the identity meanwhile: it is reused, the run ends."""
    killed_while_training(user)
    colleague = User(user.world)
    assert not colleague.apply().failed
    assert not user.apply().failed
    assert user.plan().empty
    assert not any(job.running for job in user.world.jobs.values())


def test_a_run_at_an_unreachable_pool_keeps_new_work_from_starting(user):
    """Never two at once, also when the place of the first cannot be asked."""
    killed_while_training(user)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.world.unreachable.add("fake-pool:here")
    plan = user.plan()
    assert [run.state for run in plan.runs] == ["unknown"]
    try:
        assert user.apply(plan).failed
    finally:
        user.world.heal()
    user.world.check()
    assert not user.apply().failed
    assert user.plan().empty


def test_retries_are_the_places_and_count_as_one_run(user):
    """A job that fails once and may be retried once succeeds within one attempt."""
    failures = iter([Made(exit=1)])
    user.world.program = lambda call: next(failures, program(call)) if call.step.name == "train" else program(call)
    user.edit("digits", "TrainingJob", retries=1)
    assert not user.apply().failed
    assert user.starts("train") == 2


def test_fail_fast_starts_nothing_new(user):
    """After the first failure nothing else begins."""
    user.world.program = lambda call: Made(exit=1)
    result = user.apply(parallelism=1, fail_fast=True)
    outcomes = {str(address): each.outcome for address, each in result.outcomes.items()}
    assert outcomes["dataset.digits"] == "failed"
    assert outcomes["training.digits"] == "skipped"


def test_a_stop_before_the_start_does_nothing(user):
    """Stopped at once: everything is skipped, nothing recorded, the next apply does it all."""
    interrupts = Interrupts()
    interrupts.stop()
    result = user.apply(interrupts=interrupts)
    assert result.interrupted
    assert {each.outcome for each in result.outcomes.values()} == {"skipped"}
    assert not user.apply().failed


def test_a_cancel_ends_what_runs_and_the_next_apply_begins_anew(user):
    """Cancelled while a job runs: it ends, is counted, and runs again under the next attempt."""
    import threading

    user.world.long = {"train"}
    interrupts = Interrupts()
    worker = threading.Thread(target=lambda: user.apply(interrupts=interrupts, parallelism=1))
    worker.start()
    with user.world.changed:
        assert user.world.changed.wait_for(lambda: user.starts("train") == 1, timeout=20)
    interrupts.cancel()
    worker.join(20)
    assert not worker.is_alive()
    assert not any(job.running for job in user.world.jobs.values())
    user.world.long = set()
    assert not user.apply().failed
    assert user.plan().empty
    user.world.check()


def test_a_raised_gate_with_new_evidence_settings_evaluates_again_only(user):
    """Other evaluation data or usages: only the evaluation runs."""
    user.apply()
    trained = user.starts("train")
    user.edit("digits", "TrainingJob", evaluate={"data": "digits", "usages": ["TRAIN", "EVAL"]})
    plan = user.plan()
    assert {str(each.address): each.action for each in plan.pending} == {"training.digits": Action.UPDATE}
    assert not user.apply(plan).failed
    assert user.starts("train") == trained
    assert user.starts("evaluate") == 2
    assert user.plan().empty
