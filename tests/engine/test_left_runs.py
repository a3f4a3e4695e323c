"""Runs that were left by a killed apply, retries, and stopping: over a fake world."""

from __future__ import annotations

import pytest
from fakes import User, program, world

from specforge.core.address import Address
from specforge.core.state import LockInfo
from specforge.engine.events import RunEnded
from specforge.engine.session import Interrupts
from specforge.executors.fake import Fault, Made, SimulatedCrash
from specforge.planner.plan import Action
from specforge.planner.removal import builds_of

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


def test_what_a_run_left_is_removed_before_it_was_published(user):
    """The run is lost and counted; the next apply runs it anew, and nothing goes wrong for ever."""
    user.apply(user.plan(targets=(Address("dataset", "digits"),)))
    user.world.faults = {("after", "job end"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    user.world.tidy()
    assert user.apply().outcomes[TRAINING].outcome == "failed"
    outcomes = [each.detail["outcome"] for each in user.backend.history(TRAINING) if each.event == "run ended"]
    assert outcomes == ["lost"]
    assert not user.apply().failed
    assert user.plan().empty
    user.world.check()


def test_a_lost_run_that_had_been_published_leaves_no_reference(user):
    """Killed before it was recorded, then what it left is removed and all is destroyed with --finish-running."""
    user.apply(user.plan(targets=(Address("dataset", "digits"),)))
    user.world.faults = {("after", "publish reference"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    user.world.tidy()
    user.apply(user.plan(destroy=True), finish_running=True)
    assert not user.state.resources
    assert not any(each for store in user.world.stores.values() for each in store.references.values())


def test_what_was_about_to_begin_and_is_not_wanted_any_more_is_cleared(user):
    """Killed before the job started, and the wish taken back: the plan is empty, and the next apply forgets it."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.world.faults = {("before", "job start"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    user.edit("digits", "TrainingJob", parameters={"C": 10.0})
    plan = user.plan()
    assert plan.empty
    assert user.state.resources[TRAINING].intent is not None
    told = len(user.events)
    assert not user.apply(plan).failed
    assert user.state.resources[TRAINING].intent is None
    assert len(user.events) == told
    serial = user.state.ref.serial
    user.apply()
    assert user.state.ref.serial == serial


def test_what_was_about_to_begin_is_cleared_beside_other_work(user):
    """A reference that was taken for it is let go of."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 10.0})
    recorded = {(each.identity, each.build) for each in user.state.resources[TRAINING].versions}
    user.world.faults = {("after", "publish reference"): Fault.CRASH}
    user.edit("digits", "TrainingJob", parameters={"C": 4.0})
    with pytest.raises(SimulatedCrash):
        user.apply(user.plan(targets=(TRAINING,)), parallelism=1)
    user.world.heal()
    # The job of the run ended, and somebody removed all that the pool knew of it.
    user.world.jobs = {at: job for at, job in user.world.jobs.items() if "--C=4.0" not in job.call.argv}
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.edit("svc", "Algorithm", description="another")
    plan = user.plan()
    assert not plan.empty
    assert not user.apply(plan).failed
    assert user.state.resources[TRAINING].intent is None
    held = {
        key for store in user.world.stores.values() for key, who in store.references.items() if TRAINING in names(who)
    }
    assert recorded <= held
    assert {identity for identity, _ in held} == {
        each[0] for each in builds_of(user.state.resources[TRAINING].versions)
    }


def names(holders):
    return {Address.parse(text) for each in holders.values() for text in each.addresses}


def test_a_lock_that_somebody_holds_keeps_nothing_from_ending(user):
    """With nothing to do, clearing the record can wait."""
    test_what_was_about_to_begin_and_is_not_wanted_any_more_is_cleared(user)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.world.faults = {("before", "job start"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    user.edit("digits", "TrainingJob", parameters={"C": 10.0})
    with user.backend.lock(LockInfo("other", "somebody", "spec apply", 0.0, 1, ""), 0.0):
        assert not user.apply().failed
    assert user.state.resources[TRAINING].intent is not None
    assert not user.apply().failed
    assert user.state.resources[TRAINING].intent is None


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
