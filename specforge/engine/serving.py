"""Bring a service about: new replicas get ready, requests are led to them, and only then the old ones end.

What is begun is recorded before it is begun, with weight 0. A failure takes away what is new, and the old go on. Calls
no kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import repeat

from specforge.core import codec
from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import canonical_json, identity_of
from specforge.core.errors import ExecutionError
from specforge.core.serving import Listen, ReplicaGroup, Serving, Share, group_name, route_name
from specforge.core.state import Intent, Note, Resource
from specforge.core.steps import EnsureReplicas, SetRoutes, Step
from specforge.core.values import EMPTY, Frozen, Key, Place
from specforge.engine.outcome import Outcome
from specforge.engine.parts import perform_step
from specforge.engine.session import Session
from specforge.planner.outputs import input_mark
from specforge.planner.plan import Change, PlannedPart, Verb
from specforge.schemas.kind import Part

SERVE = "serve"
"""The name of the part in the intent of a service's change."""


def serve(session: Session, change: Change, resource: Resource) -> Outcome:
    """Make the wish true and record it; raises ExecutionError or StateError."""
    serving, place = change.serving, change.place
    assert serving is not None, f"{change.address}: the plan does not say how it is reached"
    assert place is not None, f"{change.address}: the plan does not say where it runs"
    filled = [_filled(session, change, planned) for planned in change.parts]
    parts = _groups(session, change, place, zip(filled, serving.shares, strict=True))
    wished = tuple(parts)
    if _is_as_wished(change, resource, wished):
        session.put(_recorded(session, change, resource, wished))
        return Outcome("cut off" if change.if_changed else "done", words=_words(serving))
    _begin(session, resource, place, parts)
    try:
        for group, part in parts.items():
            _start(session, change, part, group)
        _lead(session, change, resource, wished)
    except ExecutionError:
        _undo(session, resource, wished)
        raise
    _end_others(session, change, resource, wished)
    return Outcome("done", words=_words(serving))


def _end_others(session: Session, change: Change, before: Resource, wished: tuple[ReplicaGroup, ...]) -> None:
    """Requests go to the wished groups alone, which is recorded; then the others end, and are recorded no more."""
    names = {each.name for each in wished}
    others = [replace(each, weight=0) for each in before.groups if each.name not in names]
    after = _recorded(session, change, before, wished)
    if others:
        session.put(replace(after, groups=(*wished, *others), intent=session.resources[change.address].intent))
    drain = 0.0 if change.serving is None else change.serving.drain
    for each in others:
        _perform(session, change, EnsureReplicas(each.place, each.name, None, 0, drain=drain, name=f"end-{each.name}"))
    session.put(after)


def _words(serving: Serving) -> str:
    return f"serves at {serving.listen.url}"


def _filled(session: Session, change: Change, planned: PlannedPart) -> Part:
    part: Part = session.fill(planned.part)
    identity = identity_of(part.prefix, part.revision, part.recipe)
    if planned.identity is not None and planned.identity != identity:
        detail = f"the plan said {planned.identity[:12]}, applying gave {identity[:12]}"
        raise ExecutionError(Diagnostic("SF402", "The result is not the plan's", detail, address=change.address))
    return part


def _groups(
    session: Session, change: Change, place: Place, shares: Iterable[tuple[Part, Share]]
) -> dict[ReplicaGroup, Part]:
    """Return the groups that are wished, each with a part that makes it: shares of equal identity are one group."""
    wished: dict[str, tuple[ReplicaGroup, Part]] = {}
    for part, share in shares:
        identity = identity_of(part.prefix, part.revision, part.recipe)
        name = group_name(session.lineage, change.address, identity)
        group = ReplicaGroup(
            name, identity, place, share.serves, share.weight, share.count, canonical_json(part.recipe)
        )
        if name in wished:
            same, _ = wished[name]
            group = replace(same, weight=same.weight + group.weight, count=same.count + group.count)
        wished[name] = (group, part)
    return dict(wished.values())


def _is_as_wished(change: Change, resource: Resource, wished: tuple[ReplicaGroup, ...]) -> bool:
    if change.repoint or any(planned.verb is Verb.MAKE for planned in change.parts):
        return False
    return {(each.name, each.weight, each.count) for each in wished} == {
        (each.name, each.weight, each.count) for each in resource.groups
    }


def _begin(session: Session, resource: Resource, place: Place, parts: Mapping[ReplicaGroup, Part]) -> None:
    """Record what may be there from now on, before the first effect."""
    known = {each.name for each in resource.groups}
    begun = tuple(replace(each, weight=0) for each in parts if each.name not in known)
    body = json.dumps([codec.encode(part) for part in parts.values()], ensure_ascii=False)
    intent = Intent(session.operation, SERVE, "", 0, body, (), session.clock(), SERVE)
    outputs = resource.outputs.with_(route=route_name(session.lineage, resource.address))
    before = replace(resource, place=resource.place or place, outputs=outputs)
    session.put(replace(before, groups=(*resource.groups, *begun), intent=intent), *map(_note, parts, repeat(resource)))


def _note(group: ReplicaGroup, resource: Resource) -> Note:
    """Keep where its log is to be found: a group that never gets ready is taken away and recorded no more."""
    detail = {"place": codec.encode(group.place), "key": group.name, "step": group.serves}
    return Note(resource.address, "job", Frozen(detail))


def _start(session: Session, change: Change, part: Part, group: ReplicaGroup) -> None:
    for step in part.steps:
        if isinstance(step, EnsureReplicas):
            step = replace(step, group=group.name, count=group.count)
        _perform(session, change, step, group.identity)


def _lead(session: Session, change: Change, resource: Resource, wished: tuple[ReplicaGroup, ...]) -> None:
    """Lead the requests to the wished groups. At a place that is left the address is given up before: it may be the
    same port of the same machine; and taken again if the new one cannot be had.
    """
    serving, place = change.serving, change.place
    assert serving is not None
    assert place is not None
    route = route_name(session.lineage, change.address)
    step = SetRoutes(place, route, serving.listen, _weights(wished), serving.timeout, serving.drain)
    left = None if place.is_at(resource.place) else _routes_before(resource, route)
    if left is None:
        _perform(session, change, step)
        return
    _perform(session, change, SetRoutes(left.place, route, None, EMPTY, name="leave"))
    try:
        _perform(session, change, step)
    except ExecutionError:
        _perform(session, change, left)
        raise


def _weights(groups: Iterable[ReplicaGroup]) -> Frozen:
    return Frozen({each.name: each.weight for each in groups if each.weight})


def _routes_before(resource: Resource, route: str) -> SetRoutes | None:
    """Return the step that sets the recorded routes again; None if there were none."""
    listen, place = resource.outputs.get("listen"), resource.place
    if listen is None or place is None:
        return None
    host, _, port = str(listen).rpartition(":")
    weights, timeout = _weights(resource.groups), float(resource.outputs["timeout"])
    return SetRoutes(place, route, Listen(host.strip("[]"), int(port)), weights, timeout, name="return")


def _undo(session: Session, before: Resource, wished: tuple[ReplicaGroup, ...]) -> None:
    """Take away what is new, and record what was before; what cannot be taken away stays recorded."""
    known = {each.name for each in before.groups}
    left = []
    for each in wished:
        if each.name in known:
            continue
        end = EnsureReplicas(each.place, each.name, None, 0, drain=0.0, name=f"end-{each.name}")
        try:
            perform_step(session, before.address, end, _key(session, before, end))
        except ExecutionError:
            left.append(replace(each, weight=0))
    if not before.groups and not left:
        _forget_route(session, before, wished)
    kept = session.resources[before.address]
    session.put(replace(before, outputs=kept.outputs, groups=(*before.groups, *left), intent=None))


def _forget_route(session: Session, before: Resource, wished: tuple[ReplicaGroup, ...]) -> None:
    """A service that never was leaves no address behind."""
    place, route = wished[0].place, route_name(session.lineage, before.address)
    step = SetRoutes(place, route, None, EMPTY, name="leave")
    with suppress(ExecutionError):
        perform_step(session, before.address, step, _key(session, before, step))


def _recorded(session: Session, change: Change, resource: Resource, wished: tuple[ReplicaGroup, ...]) -> Resource:
    serving = change.serving
    assert serving is not None
    marks = {str(each): input_mark(session.outputs.get(each, EMPTY)) for each in change.waits_for}
    outputs = Frozen(
        {
            "address": serving.listen.url,
            "listen": str(serving.listen),
            "timeout": serving.timeout,
            "route": route_name(session.lineage, change.address),
            "inputs": Frozen({key: value for key, value in marks.items() if value is not None}),
        }
    )
    session.outputs[change.address] = outputs
    return replace(
        resource,
        spec=change.spec or "{}",
        place=change.place,
        identity=None,
        outputs=outputs,
        groups=wished,
        intent=None,
        waits_for=change.waits_for,
    )


def _perform(session: Session, change: Change, step: Step, identity: str = "") -> Frozen:
    return perform_step(session, change.address, step, Key(session.lineage, change.address, identity, 0, step.name))


def _key(session: Session, resource: Resource, step: Step) -> Key:
    return Key(session.lineage, resource.address, "", 0, step.name)
