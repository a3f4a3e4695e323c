"""What others do wrong, or meanwhile: drivers with bugs, listeners that fail, a store that changed since the plan."""

from __future__ import annotations

import threading

import pytest
from fakes import ALL, NEXT, User, actions, program, world
from test_left_runs import killed_while_training

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.errors import ExecutionError, PluginError
from specforge.core.steps import RunJob
from specforge.core.values import Place
from specforge.engine.apply import apply
from specforge.engine.events import ChangeEnded, ChangeStarted, Ended, RunEnded, Started
from specforge.engine.session import ApplySettings
from specforge.executors.fake import FakeExecutors, Fault, Made

TRAINING = Address("training", "digits")
OTHER = Address("training", "other")
INDEPENDENT = {"kind": "TrainingJob", "name": "other", "algorithm": "svc", "inputs": {"data": "digits"}}


@pytest.fixture
def user() -> User:
    return User(world())


class Spoiled:
    """The executors of a world, of which some methods were replaced."""

    def __init__(self, made, **methods):
        self.inner = FakeExecutors(made)
        self.methods = methods

    def of(self, place):
        executor = self.inner.of(place)
        for name, method in self.methods.items():
            setattr(executor, name, method)
        return executor

    def reader(self, place):
        return self.inner.reader(place)


def apply_with(user: User, executors, plan=None, sink=None, interrupts=None, **settings):
    return apply(
        plan or user.plan(),
        backend=user.backend,
        executors=executors,
        sink=sink or user.events.append,
        clock=user.world.clock,
        settings=ApplySettings(**{"grace": 0.0, **settings}),
        interrupts=interrupts,
    )


def check_events(user: User) -> None:
    """Each that is begun ends, once; the first and the last events frame them; the counts are right."""
    assert isinstance(user.events[0], Started)
    assert isinstance(user.events[-1], Ended)
    started = [each.address for each in user.events if isinstance(each, ChangeStarted)]
    ended = [each.address for each in user.events if isinstance(each, ChangeEnded)]
    assert len(set(started)) == len(started)
    assert len(set(ended)) == len(ended)
    assert set(started) <= set(ended)
    assert sum(number for _, number in user.events[-1].counts) == len(ended)


# ---- drivers with bugs ----


@pytest.mark.parametrize("error", [KeyError("tree.model"), OSError(28, "no space"), RuntimeError("")])
def test_a_driver_with_a_bug_fails_its_change_and_no_other(user, error):
    """Something else than an ExecutionError: the driver is named, what does not depend on it is done and recorded."""
    user.documents = (*ALL, INDEPENDENT)
    good = FakeExecutors(user.world).of(Place("fake-pool", "here")).perform

    def perform(step, context):
        if isinstance(step, RunJob) and context.key.address == TRAINING:
            raise error
        return good(step, context)

    result = apply_with(user, Spoiled(user.world, perform=perform))
    assert result.failed
    assert result.outcomes[TRAINING].outcome == "failed"
    assert result.outcomes[Address("training", "finer")].because == TRAINING
    assert result.outcomes[OTHER].outcome == "done"
    (found,) = result.outcomes[TRAINING].diagnostics
    assert "fake-pool" in found.detail
    assert type(error).__name__ in found.detail
    check_events(user)
    assert not user.apply().failed
    assert user.plan().empty


def test_a_driver_that_gives_too_little_fails_its_change(user):
    """A Publish without a version: said as what it is, and the rest goes on."""
    from specforge.executors.base import Result

    user.documents = (*ALL, INDEPENDENT)
    good = FakeExecutors(user.world).of(Place("fake-pool", "here")).perform

    def perform(step, context):
        result = good(step, context)
        return Result() if step.name == "publish" and context.key.address == TRAINING else result

    result = apply_with(user, Spoiled(user.world, perform=perform))
    assert result.outcomes[TRAINING].outcome == "failed"
    assert result.outcomes[OTHER].outcome == "done"
    check_events(user)
    assert not user.apply().failed


def test_a_driver_that_cannot_look_is_unreachable(user):
    """A bug while it is asked: nothing is decided there, and it is said why."""
    user.apply()

    def observe(place, queries, deadline):
        raise ZeroDivisionError("division by zero")

    from fakes import project

    from specforge.engine.planning import make_plan
    from specforge.planner.plan import Options

    plan = make_plan(project(*ALL), user.state, Spoiled(user.world, observe=observe), Options(), 0.0)
    assert plan.unreachable
    assert not plan.pending
    assert "ZeroDivisionError" in plan.unreachable[0].problem


def test_a_driver_that_fails_to_look_ahead_stops_before_anything_began(user):
    """A bug in preflight is an error of that driver; nothing was done."""

    def preflight(place, steps, deadline):
        raise TypeError("no")

    with pytest.raises(PluginError, match="TypeError"):
        apply_with(user, Spoiled(user.world, preflight=preflight))
    assert not user.world.points


def test_a_warning_before_anything_runs_is_told(user):
    """What a place warns of does not stop anything, and is in the first event."""
    warning = Diagnostic("SF445", "Memory is short", "of 4 GiB", Severity.WARNING)

    def preflight(place, steps, deadline):
        return [warning] if place.driver == "fake-pool" else []

    assert not apply_with(user, Spoiled(user.world, preflight=preflight)).failed
    assert user.events[0].diagnostics == (warning,)


def test_an_error_before_anything_runs_stops_all(user):
    """What a place knows to fail is said before the first effect."""
    problem = Diagnostic("SF426", "No space", "none left")
    with pytest.raises(ExecutionError, match="SF426"):
        apply_with(user, Spoiled(user.world, preflight=lambda *_: [problem]))
    assert not user.world.points
    assert not user.events


def test_a_driver_that_hangs_while_it_looks_ahead_stops_before_anything_began(user):
    """A place that says nothing in its time is told as out of reach; nothing was done."""
    go = threading.Event()

    def preflight(place, steps, deadline):
        return [] if place.driver == "fake-store" else go.wait(60) and []

    with pytest.raises(ExecutionError, match=r"SF403 .*fake-pool:here: it did not answer within 0.05 s"):
        apply_with(user, Spoiled(user.world, preflight=preflight), deadline=0.05)
    go.set()
    assert not user.world.points


def test_leftovers_that_cannot_be_removed_fail_nothing(user):
    """What was published and recorded is done, whatever becomes of the run's folder."""

    def discard(place, key):
        raise ExecutionError(Diagnostic("SF490", "No", "the disk is read-only now"))

    assert not apply_with(user, Spoiled(user.world, discard=discard)).failed
    assert user.plan().empty


def test_a_run_that_cannot_be_ended_keeps_new_work_from_starting(user):
    """Never two at once: a job that survives its cancel is an error."""
    user.world.long = {"train"}
    killed_while_training(user)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    result = apply_with(user, Spoiled(user.world, cancel=lambda place, key, grace: None))
    assert result.outcomes[TRAINING].outcome == "failed"
    assert "still runs" in result.outcomes[TRAINING].diagnostics[0].detail
    user.world.check()
    user.world.long = set()
    assert not user.apply().failed
    user.world.check()
    assert user.plan().empty


# ---- listeners ----


def test_a_listener_that_fails_stops_nothing(user):
    """The work is done and recorded; its error comes out at the end."""

    def sink(event):
        user.events.append(event)
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        apply_with(user, FakeExecutors(user.world), sink=sink)
    assert len(user.events) == 1
    assert user.plan().empty


# ---- runs ----


def test_a_finished_run_that_failed_does_not_fail_what_is_wished_now(user):
    """--finish-running waits for a run that ends badly: it is counted, and the new work goes on."""
    user.world.long = {"train"}
    killed_while_training(user)
    user.world.long = set()
    user.world.program = lambda call: Made(exit=3) if "--C=10.0" in call.argv else program(call)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    result = user.apply(finish_running=True)
    assert not result.failed, result.outcomes
    (event,) = [each for each in user.events if isinstance(each, RunEnded)]
    assert event.outcome == "discarded"
    assert "exit code 3" in event.words
    assert user.state.resources[TRAINING].current == "V0001"
    assert user.plan().empty


def test_two_resources_of_one_identity_do_not_count_for_each_other(user):
    """One fails while the job of the other goes on after a kill: that is attached to, not started again."""
    user.documents = (*ALL[:5], {**NEXT, "name": "twin", "from_model": "digits"}, NEXT)
    user.apply()
    user.edit("finer", "TrainingJob", parameters={"C": 4.0})
    user.edit("twin", "TrainingJob", parameters={"C": 4.0})
    user.world.long = {"train"}
    kill_after_start(user, "training.finer")
    assert [job.call.key.address.name for job in user.world.jobs.values() if job.running] == ["finer"]
    user.world.program = lambda call: Made(exit=3) if call.key.address.name == "twin" else program(call)
    user.world.long = set()
    assert user.apply(user.plan(targets=(Address("training", "twin"),))).failed
    user.world.long = {"finer"}
    result = user.apply(user.plan(targets=(Address("training", "finer"),)))
    assert not result.failed
    user.world.check()
    assert user.world.starts.total() == len(user.world.jobs)
    assert sum(1 for job in user.world.jobs.values() if job.call.key.address.name == "finer") == 2


def kill_after_start(user: User, address: str) -> None:
    from specforge.executors.fake import SimulatedCrash

    user.world.faults = {("after", "job start"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(user.plan(targets=(Address.parse(address),)), parallelism=1)
    user.world.heal()


def test_the_time_of_an_attached_run_is_the_runs(user):
    """History tells how long the training took, not how long the last apply waited for it."""
    killed_while_training(user)
    user.world.now += 1000
    user.apply()
    version = user.state.resources[TRAINING].current_version
    job = next(j for j in user.world.jobs.values() if j.call.key.address == TRAINING and j.call.step.name == "train")
    assert version.seconds == job.ended - job.started


# ---- the store since the plan ----


def test_a_reuse_that_is_no_longer_possible_is_not_work_instead(user):
    """The plan said that nothing is trained: if the data are gone at apply, nothing is."""
    user.apply()
    clone = User(user.world)
    plan = clone.plan()
    assert actions(plan)["training.digits"].value == "reuse"
    user.destroy(delete_artifacts=True)
    user.documents = ALL[:2]
    user.apply()
    jobs = len(user.world.jobs)
    result = clone.apply(plan)
    assert result.failed
    assert result.outcomes[Address("dataset", "digits")].diagnostics[0].hint == "make a new plan with `spec plan`"
    assert len(user.world.jobs) == jobs
    assert not clone.apply().failed
    assert clone.plan().empty


def test_another_build_than_the_planned_one_is_not_taken(user):
    """Somebody made it again with other bytes since the plan: what was shown is not what would be run."""
    user.apply()
    clone = User(user.world)
    plan = clone.plan()
    user.world.program = other_model
    user.apply(user.plan(replace=(TRAINING,)))
    result = clone.apply(plan)
    assert result.outcomes[TRAINING].outcome == "failed"
    assert [each.code for each in result.outcomes[TRAINING].diagnostics] == ["SF405"]
    assert TRAINING not in clone.state.resources
    assert not clone.apply().failed
    assert clone.plan().empty


def other_model(call):
    made = program(call)
    if call.step.name != "train":
        return made
    return Made({path: content + b"!" for path, content in made.files.items()}, made.log)


def test_work_that_somebody_else_did_since_the_plan_is_not_done_again(user):
    """Less than was shown is fine."""
    plan = user.plan()
    assert not User(user.world).apply().failed
    jobs = len(user.world.jobs)
    assert not user.apply(plan).failed
    assert len(user.world.jobs) == jobs
    assert user.plan().empty
