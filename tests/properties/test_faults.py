"""Faults and crashes at any point of an apply over a fake world: it converges, effects happen once, state never lies.

`SPECFORGE_FAULT_CASES=20000 pytest tests/properties` runs more cases.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import pytest
from fakes import User, world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import SpecforgeError, StateError
from specforge.core.state import Status
from specforge.executors.fake import Fault, SimulatedCrash
from specforge.planner.plan import Plan
from specforge.state.memory import CommitFault, FaultyBackend

CASES = int(os.environ.get("SPECFORGE_FAULT_CASES", "1000"))
SHARES = 4  # so that the cases are spread over the workers of a parallel run


@dataclass(frozen=True)
class Episode:
    """One command of the user: an edit, then an apply (or destroy) during which something may go wrong."""

    edit: str
    value: int
    fault: Fault | None
    point: int
    commit: str | None
    commit_number: int
    command: str
    parallelism: int
    finish_running: bool


episodes = st.builds(
    Episode,
    edit=st.sampled_from(["none", "parameter", "code", "picture", "description", "lose", "removed", "accept"]),
    value=st.integers(0, 2),
    fault=st.sampled_from([None, Fault.ERROR, Fault.CRASH, Fault.CRASH, Fault.UNREACHABLE]),
    point=st.integers(0, 40),
    commit=st.sampled_from([None, None, "error", "crash before", "crash after"]),
    commit_number=st.integers(1, 14),
    command=st.sampled_from(["apply", "apply", "apply", "apply", "destroy"]),
    parallelism=st.sampled_from([1, 1, 3]),
    finish_running=st.booleans(),
)


def commit_faults(episode: Episode) -> dict[int, CommitFault]:
    if episode.commit is None:
        return {}
    if episode.commit == "error":
        problem = StateError(Diagnostic("SF399", "The state cannot be written", "simulated"))
        return {episode.commit_number: CommitFault("before", problem)}
    when = "before" if episode.commit == "crash before" else "after"
    return {episode.commit_number: CommitFault(when, SimulatedCrash(f"{when} a commit"))}


def edit(user: User, episode: Episode) -> None:
    value = episode.value
    if episode.edit == "parameter":
        user.edit("digits", "TrainingJob", parameters={"C": float(1 + value)})
    elif episode.edit == "code":
        user.world.project["code/train.py"] = f"train()  # {value}\n".encode()
    elif episode.edit == "picture":
        user.world.project[f"data/digits/1/more{value}.png"] = f"another {value}".encode()
    elif episode.edit == "description":
        user.edit("digits", "Dataset", description=f"number {value}")
    elif episode.edit == "accept":
        accept = {"accuracy": {"min": (0.5, 0.75, 0.9999)[value]}}
        user.edit("digits", "TrainingJob", evaluate={"data": "digits", "accept": accept})
    elif episode.edit == "removed":
        user.documents = tuple(each for each in user.documents if each["name"] != "finer")
    elif episode.edit == "lose":
        built = [(r.address, r.current_version) for r in user.state.resources.values() if r.current_version]
        if built:
            user.world.lose(built[value % len(built)][1].identity)


def play(user: User, episode: Episode) -> None:
    """Run one command in which the fault may strike; what a process that died leaves stays as it is."""
    edit(user, episode)
    made = user.world
    if episode.fault is not None:
        made.faults = {len(made.points) + episode.point: episode.fault}
    sound, user.backend = user.backend, FaultyBackend(user.backend, commit_faults(episode))
    try:
        plan = user.plan(destroy=episode.command == "destroy")
        user.apply(plan, parallelism=episode.parallelism, finish_running=episode.finish_running)
    except (SimulatedCrash, SpecforgeError):
        pass
    finally:
        user.backend = sound
        made.heal()


def state_is_true(user: User) -> None:
    """Whatever is recorded as published is published, with these bytes."""
    for resource in user.state.resources.values():
        for version in resource.versions:
            build = user.world.store(resource.place).builds[version.identity][version.build]
            assert build.trees == version.trees, f"{resource.address} {version.version}"
            if version.evidence is not None:
                evidence = user.world.store(resource.place).builds[version.evidence.identity]
                assert evidence[version.evidence.build].facts == version.evidence.figures


def converge(user: User) -> Plan:
    """Without faults, a few applies leave an empty plan."""
    for _ in range(3):
        plan = user.plan()
        if plan.empty:
            return plan
        user.apply(plan)
    plan = user.plan()
    assert plan.empty, [(str(c.address), c.action, c.reasons) for c in plan.pending] + list(plan.runs)
    return plan


def outputs(user: User) -> dict[str, str]:
    """The bytes that are current, by address."""
    current = {str(a): r.current_version for a, r in user.state.resources.items()}
    return {address: version.output for address, version in current.items() if version is not None}


@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_goes_wrong_the_next_applies_converge(share):
    """Commands with faults at any point, then commands without: the world is what it would be without the faults."""

    @settings(
        max_examples=CASES // SHARES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(episodes, min_size=1, max_size=4), st.just(share))
    def converges(story: list[Episode], _share: int) -> None:
        user = User(world())
        for episode in story:
            play(user, episode)
            user.world.check()
            state_is_true(user)
        converge(user)
        user.world.check()
        state_is_true(user)
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
