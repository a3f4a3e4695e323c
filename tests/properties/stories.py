"""What stories with faults are made of: one command during which something goes wrong, and what must be true after."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Protocol

from fakes import User
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import SpecforgeError, StateError
from specforge.core.state import Status
from specforge.engine.versions import RELEASE
from specforge.executors.fake import Fault, SimulatedCrash
from specforge.planner.removal import builds_at
from specforge.state.memory import CommitFault, FaultyBackend

CASES = int(os.environ.get("SPECFORGE_FAULT_CASES", "1000"))
SHARES = 4  # so that the cases are spread over the workers of a parallel run

FAULTS = st.sampled_from([None, Fault.ERROR, Fault.CRASH, Fault.CRASH, Fault.UNREACHABLE, Fault.LOSE])
COMMITS = st.sampled_from([None, None, None, "error before", "error after", "crash before", "crash after"])


class Misfortune(Protocol):
    """What goes wrong during a command: a fault after so many points, one of the commits."""

    @property
    def fault(self) -> Fault | None: ...
    @property
    def point(self) -> int: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def commit_number(self) -> int: ...


def as_many(cases: int) -> settings:
    """Return the settings of one share of so many cases, the same ones every time."""
    return settings(
        max_examples=max(1, cases // SHARES),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def commit_faults(episode: Misfortune) -> dict[int, CommitFault]:
    """Return what strikes at which commit of the state."""
    if episode.commit is None:
        return {}
    what, when = episode.commit.split()
    error: BaseException = SimulatedCrash(f"{when} a commit")
    if what == "error":
        error = StateError(Diagnostic("SF399", "The state cannot be written", "simulated"))
    return {episode.commit_number: CommitFault("before" if when == "before" else "after", error)}


def misfortune(user: User, episode: Misfortune, command: Callable[[], Any]) -> bool:
    """Let the command run while things go wrong; return whether it came to its end.

    What a process that died leaves stays as it is.
    """
    sound = user.backend
    if episode.fault is not None:
        user.world.faults = {len(user.world.points) + episode.point: episode.fault}
    user.backend = FaultyBackend(sound, commit_faults(episode))
    with contextlib.suppress(SimulatedCrash, SpecforgeError):
        try:
            command()
        finally:
            user.backend = sound
            user.world.heal()
        return True
    return False


# ---- what is always true ----


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
            assert resource.place is not None
            assert not user.world.store(resource.place).builds[current.identity][current.build].gone
            assert current.status is not Status.UNJUDGED


def references_are_true(user: User, *, settled: bool) -> None:
    """The store keeps for us what is recorded, or was begun and has an intent; `settled`: exactly that."""
    held, recorded, begun, removed = set(), set(), set(), set()
    for at, store in user.world.stores.items():
        for (identity, build), holders in store.references.items():
            mine = holders.get(str(user.state.ref.lineage))
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


def nothing_goes_on(user: User) -> None:
    """The plan is empty, no intent stands, no job of ours runs."""
    plan = user.plan()
    assert plan.empty, [(str(c.address), c.action, c.reasons) for c in plan.pending] + list(plan.runs)
    assert [each.address for each in user.state.resources.values() if each.intent is not None] == []
    lineage = user.state.ref.lineage
    assert not [key for (_, key), job in user.world.jobs.items() if job.running and job.call.key.lineage == lineage]


def outputs(user: User) -> dict[str, str]:
    """The bytes that are current, by address."""
    current = {str(a): r.current_version for a, r in user.state.resources.items()}
    return {address: version.output for address, version in current.items() if version is not None}
