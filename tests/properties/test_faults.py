"""Faults and crashes at any point of an apply over a fake world: it converges, effects happen once, state never lies.

`SPECFORGE_FAULT_CASES=20000 pytest tests/properties` runs more cases.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import pytest
from fakes import ALL, NEXT, User, world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PlanError, SpecforgeError, StateError
from specforge.core.state import Status
from specforge.engine.versions import RELEASE
from specforge.executors.fake import Fault, SimulatedCrash
from specforge.planner.plan import Plan
from specforge.planner.removal import builds_at
from specforge.state.memory import CommitFault, FaultyBackend

CASES = int(os.environ.get("SPECFORGE_FAULT_CASES", "1000"))
DIGITS, DATASET = Address("training", "digits"), Address("dataset", "digits")
SHARES = 4  # so that the cases are spread over the workers of a parallel run


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


EDITS = ["none", "parameter", "code", "picture", "description", "lose", "removed", "declared", "accept"]
EDITS += ["samples", "unevaluated", "pool", "settings", "name", "finish", "colleague", "colleague destroys"]
EDITS += ["tidy", "move"]
COMMANDS = ["apply"] * 6 + ["destroy", "delete", "replace", "target"]

episodes = st.builds(
    Episode,
    edit=st.sampled_from(EDITS),
    value=st.integers(0, 2),
    fault=st.sampled_from([None, Fault.ERROR, Fault.CRASH, Fault.CRASH, Fault.UNREACHABLE, Fault.LOSE]),
    point=st.integers(0, 40),
    commit=st.sampled_from([None, None, None, "error before", "error after", "crash before", "crash after"]),
    commit_number=st.integers(1, 14),
    command=st.sampled_from(COMMANDS),
    parallelism=st.sampled_from([1, 1, 3]),
    finish_running=st.booleans(),
)


def commit_faults(episode: Episode) -> dict[int, CommitFault]:
    if episode.commit is None:
        return {}
    what, when = episode.commit.split()
    error: BaseException = SimulatedCrash(f"{when} a commit")
    if what == "error":
        error = StateError(Diagnostic("SF399", "The state cannot be written", "simulated"))
    return {episode.commit_number: CommitFault("before" if when == "before" else "after", error)}


POOLS = ("here", "there")
STORES = ("artifacts", "elsewhere")
MORE = (
    {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}},
    {"kind": "Store", "name": STORES[1], "fake-store": {}},
)


def edit(user: User, colleague: User, episode: Episode) -> None:
    value = episode.value
    match episode.edit:
        case "parameter":
            user.edit("digits", "TrainingJob", parameters={"C": float(1 + value)})
        case "code":
            user.world.project["code/train.py"] = f"train()  # {value}\n".encode()
        case "picture":
            user.world.project[f"data/digits/1/more{value}.png"] = f"another {value}".encode()
        case "description":
            user.edit("digits", "Dataset", description=f"number {value}")
        case "accept":
            accept = {"accuracy": {"min": (0.5, 0.75, 0.9999)[value]}}
            user.edit("digits", "TrainingJob", evaluate={"data": "digits", "accept": accept})
        case "samples":
            user.edit("digits", "TrainingJob", evaluate={"data": "digits", "samples": 1 + value})
        case "unevaluated":
            user.edit("digits", "TrainingJob", evaluate=None)
        case "pool":
            user.edit("digits", "TrainingJob", pool=POOLS[value % 2])
        case "settings":
            user.edit("artifacts", "Store", **{"fake-store": {"note": f"note {value}"}})
        case "name":
            user.edit("digits", "TrainingJob", version=(None, "best", "last")[value])
        case "removed":
            user.documents = tuple(each for each in user.documents if each["name"] != "finer")
        case "declared":
            user.documents = (*(each for each in user.documents if each["name"] != "finer"), NEXT)
        case "lose":
            built = [r.current_version for r in user.state.resources.values() if r.current_version]
            if built:
                user.world.lose(built[value % len(built)].identity)
        case "finish":
            user.world.finish()
        case "move":
            user.edit("digits", "TrainingJob", store=STORES[value % 2])
        case "tidy":
            user.world.tidy()
        case "colleague":
            colleague.documents = user.documents
            with contextlib.suppress(SpecforgeError):
                colleague.apply()
        case "colleague destroys":
            with contextlib.suppress(SpecforgeError):
                colleague.destroy(delete_artifacts=value > 0)


def options_of(user: User, command: str) -> dict[str, Any]:
    recorded = user.state.resources
    wanted = {"destroy": {"destroy": True}, "delete": {"destroy": True, "delete_artifacts": True}}
    if command in ("replace", "target"):
        known = [each for each in (DIGITS, DATASET) if each in recorded]
        return {"replace": tuple(known)} if command == "replace" else {"targets": (DIGITS,)}
    return wanted.get(command, {})


def play(user: User, colleague: User, episode: Episode) -> None:
    """Run one command in which the fault may strike; what a process that died leaves stays as it is."""
    made = user.world
    sound = user.backend
    try:
        edit(user, colleague, episode)
        if episode.fault is not None:
            made.faults = {len(made.points) + episode.point: episode.fault}
        user.backend = FaultyBackend(sound, commit_faults(episode))
        plan = user.plan(**options_of(user, episode.command))
        user.apply(plan, parallelism=episode.parallelism, finish_running=episode.finish_running)
    except (SimulatedCrash, SpecforgeError):
        pass
    finally:
        user.backend = sound
        made.heal()


def state_is_true(user: User) -> None:
    """Whatever is recorded as published is published, with these bytes, and nobody has taken it away."""
    for resource in user.state.resources.values():
        recorded = [(place, each) for place in resource.stores() for each in resource.at(place).versions]
        for at, version in recorded:
            build = user.world.store(at).builds[version.identity][version.build]
            assert build.trees == version.trees, f"{resource.address} {version.version}"
            if version.evidence is not None:
                evidence = user.world.store(at).builds[version.evidence.identity]
                assert evidence[version.evidence.build].facts == version.evidence.figures
        if resource.current_version is not None and resource.current_version.status is Status.READY:
            current = resource.current_version
            assert not user.world.store(resource.place).builds[current.identity][current.build].gone
            assert current.status is not Status.UNJUDGED


def references_are_true(user: User, *, settled: bool) -> None:
    """The store keeps for us what is recorded, or was begun and has an intent; `settled`: exactly that."""
    held, recorded, begun, removed = set(), set(), set(), set()
    for at, store in user.world.stores.items():
        for (identity, build), holders in store.references.items():
            mine = holders.get(user.state.ref.lineage)
            held |= {(address, identity, at, build) for address in (mine.addresses if mine else ())}
    for address, resource in user.state.resources.items():
        if resource.intent is not None:
            begun.add((str(address), resource.intent.identity))
            removed |= {str(address)} if resource.intent.part_name == RELEASE else set()
        for place in resource.stores():
            recorded |= {(str(address), identity, str(place), build) for identity, build in builds_at(resource, place)}
    unknown = {each for each in held - recorded if each[:2] not in begun and each[0] not in removed}
    assert unknown == set()
    if settled:
        assert recorded <= held


def converge(user: User) -> Plan:
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
    plan = user.plan()
    assert plan.empty, [(str(c.address), c.action, c.reasons) for c in plan.pending] + list(plan.runs)
    assert [each.address for each in user.state.resources.values() if each.intent is not None] == []
    lineage = user.state.ref.lineage
    assert not [key for (_, key), job in user.world.jobs.items() if job.running and job.call.key.lineage == lineage]
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
