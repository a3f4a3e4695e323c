"""Addresses that go from one service to another in one apply: who gives one up comes first, so that it is free.

Where two exchange theirs, one of them gives its address up before its own turn: there is no other way, and for that
moment nobody listens there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.serving import Listen
from specforge.core.state import Intent, State
from specforge.core.values import Frozen, Key
from specforge.engine.parts import perform_step
from specforge.engine.session import Session
from specforge.planner.plan import Change
from specforge.planner.removal import leave_steps

SERVE = "serve"
"""The name of the part in the intent of a service's change."""

CLAIMS = "claims"
"""The output of a service under way: where it may listen, beside where it did before."""


def under_way(session: Session, work: str) -> Intent:
    """Return the intent of a change of a service: while it stands, what there is may be anything, and is no drift.

    It holds no part: what was begun is in the record's groups, and whoever comes next goes by those.
    """
    return Intent(session.operation, SERVE, "", 0, "[]", (), session.clock(), work)


def order_handovers(
    waits: dict[Address, set[Address]], pending: Mapping[Address, Change], state: State
) -> dict[Address, tuple[Address, ...]]:
    """Let services wait for those whose address they get; return {who gets one: those who cannot come before it}."""
    early: dict[Address, tuple[Address, ...]] = {}
    for taker, giver in _handovers(pending, state):
        if _comes_after(waits, giver, taker):
            early[taker] = (*early.get(taker, ()), giver)
        else:
            waits[taker].add(giver)
    return early


def _handovers(pending: Mapping[Address, Change], state: State) -> Iterator[tuple[Address, Address]]:
    """Give who gets an address, and who gives it up in the same plan."""
    given = []
    for address, change in pending.items():
        held = addresses_held(state.resources[address].outputs) if address in state.resources else ()
        stays = None if change.serving is None else change.serving.listen
        given += [(address, each) for each in held if stays is None or not stays.clashes(each)]
    for address, change in pending.items():
        if change.serving is not None:
            wished = change.serving.listen
            yield from dict.fromkeys(
                (address, other) for other, each in given if other != address and wished.clashes(each)
            )


def addresses_held(outputs: Frozen) -> tuple[Listen, ...]:
    """Return where a service may listen: where it does by the record, and where an interrupted change led."""
    if "route" not in outputs:
        return ()
    told = (*filter(None, [outputs.get("listen")]), *outputs.get(CLAIMS, ()))
    return tuple(Listen.parse(str(each)) for each in dict.fromkeys(told))


def _comes_after(waits: Mapping[Address, set[Address]], address: Address, other: Address) -> bool:
    """Whether the address waits for the other, directly or not."""
    seen, left = {address}, [address]
    while left:
        for each in waits.get(left.pop(), ()):
            if each not in seen:
                seen.add(each)
                left.append(each)
    return other in seen


def free_address(session: Session, change: Change) -> None:
    """Let those who cannot come first give up the address that the change needs; raises ExecutionError."""
    for giver in session.early.get(change.address, ()):
        resource = session.resources[giver]
        session.put(replace(resource, intent=under_way(session, "re-point")))
        for step in leave_steps(resource):
            perform_step(session, giver, step, Key(session.lineage, giver, "", 0, step.name))
