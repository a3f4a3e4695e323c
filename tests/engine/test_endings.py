"""How an apply ends: its events, its result, interrupted or not, whatever happened in it."""

from __future__ import annotations

import pytest
from fakes import ALL, User, actions, world
from test_left_runs import killed_while_training
from test_surprises import INDEPENDENT, TRAINING, apply_with, check_events

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import StateError
from specforge.engine.events import ChangeEnded
from specforge.engine.session import Interrupts
from specforge.executors.fake import FakeExecutors
from specforge.state.memory import CommitFault, FaultyBackend


@pytest.fixture
def user() -> User:
    return User(world())


def test_an_apply_that_did_everything_was_not_interrupted(user):
    """A stop that came too late to stop anything."""
    interrupts = Interrupts()
    last = []

    def sink(event):
        last.append(event)
        if isinstance(event, ChangeEnded) and event.address == Address("training", "finer"):
            interrupts.stop()

    result = apply_with(user, FakeExecutors(user.world), sink=sink, interrupts=interrupts)
    assert (result.failed, result.interrupted) == (False, False)
    assert last[-1].outcome == "done"


def test_a_stop_in_between_is_an_interruption(user):
    """What was not begun is skipped."""
    interrupts = Interrupts()

    def sink(event):
        user.events.append(event)
        if isinstance(event, ChangeEnded) and event.address == Address("dataset", "digits"):
            interrupts.stop()

    result = apply_with(user, FakeExecutors(user.world), sink=sink, interrupts=interrupts, parallelism=1)
    assert result.interrupted
    assert result.outcomes[TRAINING].outcome == "skipped"
    assert user.events[-1].outcome == "interrupted"
    check_events(user)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_state_that_cannot_be_written_fails_what_it_is_about(user, when):
    """The change fails with the state's words; afterwards nothing is lost and nothing is done twice."""
    problem = StateError(Diagnostic("SF399", "The state cannot be written", "simulated"))
    for number in range(1, 14):
        user = User(world())
        sound, user.backend = user.backend, FaultyBackend(user.backend, {number: CommitFault(when, problem)})
        assert user.apply(parallelism=1).failed
        check_events(user)
        user.backend = sound
        assert not user.apply().failed
        user.world.check()
        assert user.world.reruns() == {}
        assert user.plan().empty


@pytest.mark.parametrize("parallelism", [1, 2, 8, 32])
def test_as_many_at_once_as_one_likes(parallelism):
    """The result is the same."""
    user = User(world())
    user.documents = (*ALL, *({**INDEPENDENT, "name": f"n{n}", "seed": n} for n in range(12)))
    assert not user.apply(parallelism=parallelism).failed
    check_events(user)
    user.world.check()
    assert user.plan().empty


def test_something_unreachable_ends_once(user):
    """A place that cannot be asked: each of its resources is told once, and the counts are right."""
    user.apply()
    user.events.clear()
    user.edit("digits", "TrainingJob", parameters={"C": 2.0})
    user.edit("digits", "Dataset", description="new")
    killed = user.plan()
    assert killed.pending
    user.world.unreachable.add("fake-store:artifacts")
    result = user.apply()
    assert result.failed
    assert not result.interrupted
    check_events(user)


def test_an_unwanted_run_of_something_unreachable_is_told_once(user):
    """Its run is ended at the pool although its store does not answer."""
    user.world.long = {"train"}
    killed_while_training(user)
    user.events.clear()
    user.documents = tuple(each for each in ALL if each["kind"] != "TrainingJob")
    user.world.unreachable.add("fake-store:artifacts")
    user.apply()
    check_events(user)
    user.world.heal()
    assert not user.apply().failed
    assert user.plan().empty


def test_a_target_that_is_no_longer_declared_is_taken_away(user):
    """--target of something recorded whose document is gone is about just that."""
    user.apply()
    user.documents = tuple(each for each in ALL if each["name"] != "finer")
    user.edit("digits", "Dataset", description="left alone")
    plan = user.plan(targets=(Address("training", "finer"),))
    assert {address: action.value for address, action in actions(plan).items()} == {"training.finer": "forget"}
    assert not user.apply(plan).failed
    assert actions(user.plan()).keys() == {"dataset.digits"}
