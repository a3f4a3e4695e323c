"""Bring a service about: new replicas get ready, requests are led to them, and only then the old ones end.

What is begun is recorded before it is begun, with weight 0. A failure takes away what is new, and the old go on. Calls
no kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import repeat

from specforge.core import codec
from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import canonical_json, identity_of
from specforge.core.errors import ExecutionError, PluginError
from specforge.core.serving import Listen, ReplicaGroup, Serving, Share, group_name, route_name
from specforge.core.state import Note, Resource
from specforge.core.steps import EnsureReplicas, SetRoutes, Step
from specforge.core.values import EMPTY, Frozen, Key, Place
from specforge.engine.handover import CLAIMS, free_address, under_way
from specforge.engine.outcome import Outcome
from specforge.engine.parts import perform_step
from specforge.engine.session import Session
from specforge.executors.base import CancelToken
from specforge.planner.outputs import input_mark
from specforge.planner.plan import Change, PlannedPart, Verb
from specforge.planner.removal import leave_steps
from specforge.schemas.kind import Part

_FAILURES = (ExecutionError, PluginError)


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
    _begin(session, resource, place, wished, serving.listen)
    try:
        for group, part in parts.items():
            _start(session, change, part, group)
    except _FAILURES:
        _take_back(session, change, resource, parts)
        raise
    try:
        _lead(session, change, resource, wished)
    except _FAILURES:
        # Of what failed the reply may be lost: nothing new is ended before requests are seen to go as before.
        if _return(session, change, resource):
            _take_back(session, change, resource, parts)
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
        name = group_name(session.lineage, change.address, identity, place)
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


def _begin(
    session: Session, resource: Resource, place: Place, wished: tuple[ReplicaGroup, ...], listen: Listen
) -> None:
    """Record what may be there from now on, before the first effect."""
    known = {each.name for each in resource.groups}
    begun = tuple(replace(each, weight=0) for each in wished if each.name not in known)
    claims = tuple(dict.fromkeys((*resource.outputs.get(CLAIMS, ()), str(listen))))
    outputs = resource.outputs.with_(route=route_name(session.lineage, resource.address), **{CLAIMS: claims})
    before = replace(resource, place=resource.place or place, outputs=outputs)
    session.put(
        replace(before, groups=(*resource.groups, *begun), intent=under_way(session, "serve")),
        *map(_note, wished, repeat(resource)),
    )


def _note(group: ReplicaGroup, resource: Resource) -> Note:
    """Keep where its log is to be found: a group that never gets ready is taken away and recorded no more."""
    detail = {"place": codec.encode(group.place), "key": group.name, "step": group.serves}
    return Note(resource.address, "job", Frozen(detail))


def _start(
    session: Session, change: Change, part: Part, group: ReplicaGroup, cancel: CancelToken | None = None
) -> None:
    for step in part.steps:
        if isinstance(step, EnsureReplicas):
            step = replace(step, group=group.name, count=group.count)
        _perform(session, change, step, group.identity, cancel)


def _lead(session: Session, change: Change, resource: Resource, wished: tuple[ReplicaGroup, ...]) -> None:
    """Lead the requests to the wished groups. At a place that is left the address is given up before: it may be the
    same port of the same machine.
    """
    serving, place = change.serving, change.place
    assert serving is not None
    assert place is not None
    for leave in leave_steps(resource, place):
        _perform(session, change, leave)
    free_address(session, change)
    route = route_name(session.lineage, change.address)
    _perform(session, change, SetRoutes(place, route, serving.listen, _weights(wished), serving.timeout, serving.drain))


def _weights(groups: Iterable[ReplicaGroup]) -> Frozen:
    return Frozen({each.name: each.weight for each in groups if each.weight})


# ---- a change that failed ----


def _return(session: Session, change: Change, before: Resource) -> bool:
    """Lead the requests as recorded before the change; return whether that could be done."""
    back = _routes_before(before)
    others = [_routes_before(session.resources[each]) for each in session.early.get(change.address, ())]
    leave = leave_steps(session.resources[change.address], None if back is None else back.place)
    try:
        for step in (*leave, *filter(None, (back, *others))):
            _perform(session, change, step, cancel=CancelToken())
    except _FAILURES:
        return False
    return True


def _routes_before(resource: Resource) -> SetRoutes | None:
    """Return the step that sets the recorded routes again; None if there were none."""
    outputs, place, weights = resource.outputs, resource.place, _weights(resource.groups)
    if place is None or not weights or "route" not in outputs or "listen" not in outputs:
        return None
    listen, timeout = Listen.parse(str(outputs["listen"])), float(outputs["timeout"])
    return SetRoutes(place, str(outputs["route"]), listen, weights, timeout, name="return")


def _take_back(session: Session, change: Change, before: Resource, parts: Mapping[ReplicaGroup, Part]) -> None:
    """Take away what is new, and record what was before; what cannot be taken back stays recorded as begun."""
    known = {each.name: each for each in before.groups}
    gone, left = set(), False
    for group, part in parts.items():
        was = known.get(group.name)
        try:
            if was is None:
                end = EnsureReplicas(group.place, group.name, None, 0, drain=0.0, name=f"end-{group.name}")
                _perform(session, change, end, cancel=CancelToken())
                gone.add(group.name)
            elif was.weight and was.count != group.count:
                _start(session, change, part, was, CancelToken())
        except _FAILURES:
            left = True
    begun = session.resources[change.address]
    session.put(
        replace(begun, groups=tuple(each for each in begun.groups if each.name not in gone)) if left else before
    )


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


def _perform(
    session: Session, change: Change, step: Step, identity: str = "", cancel: CancelToken | None = None
) -> Frozen:
    key = Key(session.lineage, change.address, identity, 0, step.name)
    return perform_step(session, change.address, step, key, cancel)
