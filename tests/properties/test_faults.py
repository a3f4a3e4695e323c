"""Faults and crashes at any point of an apply over a fake world: it converges, effects happen once, state never lies.

`SPECFORGE_FAULT_CASES=20000 pytest tests/properties` runs more cases.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fakes import ALL, NEXT, User, world
from hypothesis import given
from hypothesis import strategies as st
from stories import (
    CASES,
    COMMITS,
    FAULTS,
    SHARES,
    as_many,
    misfortune,
    nothing_goes_on,
    outputs,
    references_are_true,
    state_is_true,
)

from specforge.core.address import Address
from specforge.core.errors import PlanError, SpecforgeError
from specforge.core.state import Status
from specforge.executors.fake import Fault, SimulatedCrash
from specforge.state.memory import CommitFault, FaultyBackend

DIGITS, DATASET = Address("training", "digits"), Address("dataset", "digits")
POOLS = ("here", "there")
STORES = ("artifacts", "elsewhere")
MORE = (
    {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}},
    {"kind": "Store", "name": STORES[1], "fake-store": {}},
)


# ---- what happens before a command ----


def training(field: str, values: tuple[Any, ...]) -> Callable[[User, int], None]:
    """An edit of one field of the training."""
    return lambda user, value: user.edit("digits", "TrainingJob", **{field: values[value]})


def write(path: str, text: str) -> Callable[[User, int], None]:
    """An edit of a file of the user's."""

    def edit(user: User, value: int) -> None:
        user.world.project[path.format(value)] = text.format(value).encode()

    return edit


def lose(user: User, value: int) -> None:
    """One of the published things vanishes."""
    built = [r.current_version for r in user.state.resources.values() if r.current_version]
    if built:
        user.world.lose(built[value % len(built)].identity)


def without_finer(user: User) -> tuple[Any, ...]:
    return tuple(each for each in user.documents if each["name"] != "finer")


def remove(user: User, _: int) -> None:
    user.documents = without_finer(user)


def declare(user: User, _: int) -> None:
    user.documents = (*without_finer(user), NEXT)


ACCEPT = [{"data": "digits", "accept": {"accuracy": {"min": least}}} for least in (0.5, 0.75, 0.9999)]
SAMPLES = [{"data": "digits", "samples": 1 + value} for value in range(3)]
EDITS: dict[str, Callable[[User, int], None]] = {
    "none": lambda *_: None,
    "parameter": training("parameters", ({"C": 1.0}, {"C": 2.0}, {"C": 3.0})),
    "code": write("code/train.py", "train()  # {}\n"),
    "picture": write("data/digits/1/more{}.png", "another {}"),
    "description": lambda user, value: user.edit("digits", "Dataset", description=f"number {value}"),
    "lose": lose,
    "removed": remove,
    "declared": declare,
    "accept": training("evaluate", tuple(ACCEPT)),
    "samples": training("evaluate", tuple(SAMPLES)),
    "unevaluated": training("evaluate", (None, None, None)),
    "pool": training("pool", (*POOLS, POOLS[0])),
    "settings": lambda user, value: user.edit("artifacts", "Store", **{"fake-store": {"note": f"note {value}"}}),
    "name": training("version", (None, "best", "last")),
    "finish": lambda user, _: user.world.finish(),
    "tidy": lambda user, _: user.world.tidy(),
    "move": training("store", (*STORES, STORES[0])),
}


def colleague_applies(user: User, colleague: User, _: int) -> None:
    colleague.documents = user.documents
    colleague.apply()


COLLEAGUES: dict[str, Callable[[User, User, int], Any]] = {
    "colleague": colleague_applies,
    "colleague destroys": lambda _, colleague, value: colleague.destroy(delete_artifacts=value > 0),
}


# ---- a story ----


@dataclass(frozen=True)
class Episode:
    """One command of the user: an edit, then a command during which something may go wrong."""

    edit: str
    value: int
    fault: Fault | None
    point: int
    commit: str | None
    commit_number: int
    command: str
    parallelism: int
    finish_running: bool


COMMANDS = ["apply"] * 6 + ["destroy", "delete", "replace", "target"]

episodes = st.builds(
    Episode,
    edit=st.sampled_from([*EDITS, *COLLEAGUES]),
    value=st.integers(0, 2),
    fault=FAULTS,
    point=st.integers(0, 40),
    commit=COMMITS,
    commit_number=st.integers(1, 14),
    command=st.sampled_from(COMMANDS),
    parallelism=st.sampled_from([1, 1, 3]),
    finish_running=st.booleans(),
)


def options_of(user: User, command: str) -> dict[str, Any]:
    recorded = user.state.resources
    wanted = {"destroy": {"destroy": True}, "delete": {"destroy": True, "delete_artifacts": True}}
    if command in ("replace", "target"):
        known = [each for each in (DIGITS, DATASET) if each in recorded]
        return {"replace": tuple(known)} if command == "replace" else {"targets": (DIGITS,)}
    return wanted.get(command, {})


def play(user: User, colleague: User, episode: Episode) -> None:
    """Run one command in which the fault may strike."""
    if episode.edit in EDITS:
        EDITS[episode.edit](user, episode.value)
    else:
        with contextlib.suppress(SpecforgeError):
            COLLEAGUES[episode.edit](user, colleague, episode.value)

    def command() -> None:
        plan = user.plan(**options_of(user, episode.command))
        user.apply(plan, parallelism=episode.parallelism, finish_running=episode.finish_running)

    misfortune(user, episode, command)


def converge(user: User) -> None:
    """Without faults, a few applies leave an empty plan, and no run that nobody waits for."""
    try:
        user.plan()
    except PlanError:  # the name that was asked for is that of another version
        user.edit("digits", "TrainingJob", version=None)
    for _ in range(6):  # of each in a chain what its run left may be gone
        plan = user.plan()
        user.apply(plan)
        if plan.empty:
            break
    nothing_goes_on(user)


@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_goes_wrong_the_next_applies_converge(share):
    """Commands with faults at any point, then commands without: the world is what it would be without the faults."""

    @as_many(CASES)
    @given(st.lists(episodes, min_size=1, max_size=4), st.just(share))
    def converges(story: list[Episode], _share: int) -> None:
        user = User(world(), documents=(*ALL, *MORE))
        colleague = User(user.world, environment="dev")
        reachable = all(episode.fault is not Fault.UNREACHABLE for episode in story)
        for episode in story:
            play(user, colleague, episode)
            user.world.check()
            state_is_true(user)
            state_is_true(colleague)
            if reachable:
                references_are_true(user, settled=False)
        converge(user)
        user.world.check()
        state_is_true(user)
        if reachable:
            references_are_true(user, settled=True)
        same_as_without_faults(user, story)

    converges()


def same_as_without_faults(user: User, story: list[Episode]) -> None:
    twin = User(world(), documents=user.documents)
    twin.world.project.clear()
    twin.world.project.update(user.world.project)
    twin.apply()
    if any(episode.edit == "accept" for episode in story):
        return  # which version is current under a raised gate depends on what was current before
    assert outputs(user) == outputs(twin)
    statuses = {v.status for r in user.state.resources.values() for v in r.versions if r.current == v.version}
    assert statuses <= {Status.READY}


def test_work_is_done_once_although_the_apply_is_killed_at_every_point():
    """Killed at each point in turn and applied again: no job that succeeded runs a second time."""
    calm = User(world())
    calm.apply()
    total = len(calm.world.points)
    for point in range(total):
        user = User(world())
        user.world.faults = {point: Fault.CRASH}
        with contextlib.suppress(SimulatedCrash):
            user.apply(parallelism=1)
        user.world.heal()
        converge(user)
        user.world.check()
        assert user.world.reruns() == {}, point
        assert outputs(user) == outputs(calm)


def test_killed_at_every_commit():
    """Killed before or after each commit of the state: the next apply goes on, and nothing runs twice."""
    calm = User(world())
    calm.apply()
    for when in ("before", "after"):
        for number in range(1, calm.state.ref.serial + 1):
            user = User(world())
            sound = user.backend
            user.backend = FaultyBackend(sound, {number: CommitFault(when, SimulatedCrash("killed"))})
            with pytest.raises(SimulatedCrash):
                user.apply(parallelism=1)
            user.backend = sound
            converge(user)
            user.world.check()
            assert user.world.reruns() == {}, (when, number)
            assert outputs(user) == outputs(calm)
