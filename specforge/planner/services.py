"""The fate of a service: its replicas and its routes are as wished, or they are started, re-pointed, repaired.

What is begun and not wished any more is taken away in the same change. While a service is held nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from specforge.core.making import dataclass
from specforge.core.queries import Presence
from specforge.core.serving import ReplicaGroup, Serving
from specforge.planner.diff import recipe_differences
from specforge.planner.drifting import group_drift, routes_drift
from specforge.planner.outputs import fill_recorded, followed, identity_if_known, marks_of, waiting_for
from specforge.planner.plan import Action, Change, Drift, PlannedPart, Reason, Verb
from specforge.planner.planning import UNSETTLED, Node, Planning, Settled, noop, undecided
from specforge.planner.reasons import difference_words, fields_of
from specforge.schemas.kind import Input, Lifecycle, Part


@dataclass(slots=True)
class _Fate:
    """What is to be done about one wished group, and the recorded one that it goes on with, if any."""

    planned: PlannedPart
    group: ReplicaGroup | None
    weight: int
    count: int


def settle_service(planning: Planning, node: Node) -> Settled:
    """Decide about one service."""
    record, serving = node.record, node.desire.serving
    if serving is None:
        raise AssertionError(f"{node.address}: a service's desire must say how it is reached")
    if record is not None and record.held is not None:
        note = f"on hold; `spec start {node.address}` lets it serve again"
        return Settled(noop(node.declared, record, note), node.desire.outputs)
    for name, seen in node.looks.items():
        if seen.presence is Presence.UNREACHABLE:
            place = node.declared.kind.observations(node.record)[name].place  # type: ignore[arg-type,union-attr]
            planning.cannot_reach(place, seen, node.address)
            return undecided(node.declared, record, f"{place.called} cannot be reached; nothing is decided")
    drift = _drift(node)
    fates = _fates(planning, node, serving, drift)
    planning.drift.extend(drift.values())
    return Settled(_change(planning, node, serving, fates, drift), node.desire.outputs)


def _drift(node: Node) -> dict[str, Drift]:
    """Return what of the recorded groups and routes is not as recorded, by the name of what was looked at.

    What an interrupted apply began may be in any state: that is no drift.
    """
    record = node.record
    if record is None or record.intent is not None:
        return {}
    found = {each.name: group_drift(node.address, each, node.looks[each.name]) for each in record.groups}
    if "routes" in node.looks:
        found["routes"] = routes_drift(record, node.looks["routes"])
    return {name: each for name, each in found.items() if each is not None}


def _fates(planning: Planning, node: Node, serving: Serving, drift: dict[str, Drift]) -> list[_Fate]:
    known = [identity_if_known(part) for part in node.desire.parts]
    sought = [
        identity or identity_if_known(part, fill_recorded(part.recipe, planning.state))
        for identity, part in zip(known, node.desire.parts, strict=True)
    ]
    counts: dict[str | None, int] = {}  # shares of equal identity are one group
    for identity, share in zip(sought, serving.shares, strict=True):
        counts[identity] = counts.get(identity, 0) + share.count
    return [
        _fate(node, part, known[number], sought[number], (serving.shares[number].weight, counts[sought[number]]), drift)
        for number, part in enumerate(node.desire.parts)
    ]


def _fate(
    node: Node, part: Part, known: str | None, sought: str | None, share: tuple[int, int], drift: dict[str, Drift]
) -> _Fate:
    record, place, (weight, count) = node.record, node.desire.place, share
    groups = () if record is None or place is None else record.groups
    group = next((each for each in groups if (each.identity, each.place.is_at(place)) == (sought, True)), None)
    if record is None or group is None or not group.weight:
        return _Fate(PlannedPart(node.with_steps(part), Verb.MAKE, known), None, weight, count)
    if known is None and group.name not in drift:
        return _Fate(PlannedPart(node.with_steps(part), Verb.MAYBE), group, weight, count)
    if group.count == count and group.name not in drift and record.intent is None:
        return _Fate(PlannedPart(part, Verb.KEEP, known), group, weight, count)
    return _Fate(PlannedPart(node.with_steps(part), Verb.MAKE, known), group, weight, count)


# ---- the decision ----


def _change(planning: Planning, node: Node, serving: Serving, fates: list[_Fate], drift: dict[str, Drift]) -> Change:
    record, declared = node.record, node.declared
    repoint = _repoints(node, serving, fates, drift)
    change = Change(
        declared.address,
        declared.kind.document,
        declared.kind.lifecycle.value,
        Action.NOOP,
        parts=tuple([each.planned for each in fates]),
        place=node.desire.place,
        serving=serving,
        repoint=repoint,
        summary=node.desire.summary,
        before=record,
        spec=declared.spec_json,
        outputs=node.desire.outputs,
        waits_for=followed(node.inputs),
        inputs=marks_of(node.inputs),
        fields=fields_of(node),
    )
    verbs = {each.planned.verb for each in fates}
    definite = repoint or Verb.MAKE in verbs
    if not definite and Verb.MAYBE not in verbs and not change.fields:
        return change
    away = planning.out_of_reach(node.address, change.parts)
    if away is not None:
        return noop(declared, record, f"{away} cannot be reached; nothing is decided")
    return replace(
        change,
        action=Action.CREATE if record is None or not record.groups else Action.UPDATE,
        if_changed=() if definite else waiting_for(tuple(each.planned.part.recipe for each in fates)),
        work=tuple(_work(node, fates, drift, repoint=repoint)),
        reasons=tuple(dict.fromkeys(_reasons(planning, node, fates, drift))),
    )


def _repoints(node: Node, serving: Serving, fates: list[_Fate], drift: dict[str, Drift]) -> bool:
    """Whether routes are to be set or groups that nobody wishes to be taken away, whatever the groups' parts say."""
    record = node.record
    if record is None or record.intent is not None or "routes" in drift:
        return True
    wished: dict[str, int] = {}
    for each in fates:
        if each.group is not None:
            wished[each.group.name] = wished.get(each.group.name, 0) + each.weight
    outputs = record.outputs
    same_way = (outputs.get("listen"), outputs.get("timeout")) == (str(serving.listen), serving.timeout)
    here = node.desire.place is not None and node.desire.place.is_at(record.place)
    return not (same_way and here and wished == {each.name: each.weight for each in record.groups})


# ---- for people ----


def _work(node: Node, fates: list[_Fate], drift: dict[str, Drift], *, repoint: bool) -> Iterator[str]:
    if any(each.group is None or each.planned.verb is Verb.MAYBE for each in fates):
        yield "start"
    if any(each.group is not None and each.count != each.group.count for each in fates):
        yield "scale"
    if any(each.group is not None and each.group.name in drift for each in fates):
        yield "restart"
    if repoint or any(each.planned.verb is Verb.MAYBE for each in fates):
        yield "point" if node.record is None else "re-point"


def _reasons(planning: Planning, node: Node, fates: list[_Fate], drift: dict[str, Drift]) -> Iterator[Reason]:
    record = node.record
    if record is None:
        return
    if record.intent is not None:
        yield Reason("an apply was interrupted")
    yield from (Reason(each.what) for each in drift.values())
    if record.place is not None and node.desire.place is not None and not node.desire.place.is_at(record.place):
        yield Reason(f"moved from {record.place} to {node.desire.place}")
    changed = [each for given in node.inputs.values() for each in _input_reason(planning, node, given)]
    yield from changed
    if not changed and not fields_of(node):
        yield from _recipe_reasons(record.groups, fates)


def _input_reason(planning: Planning, node: Node, given: Input) -> Iterator[Reason]:
    """Say which model the service gets to serve instead of the one that is recorded."""
    settled = planning.settled.get(given.address, UNSETTLED)
    change = settled.change
    if given.version is not None or change is None or change.lifecycle != Lifecycle.ARTIFACT.value:
        return
    before = node.record.outputs.get("inputs", {}).get(str(given.address)) if node.record is not None else None
    after = change.version if settled.pending else given.outputs.get("version")
    if settled.pending and change.if_changed:
        yield Reason(f"{given.address}: may change")
    elif settled.pending or after != before:
        yield Reason(f"{given.address}: {before} → {after}" if before != after else f"{given.address}: new output")


def _recipe_reasons(groups: tuple[ReplicaGroup, ...], fates: list[_Fate]) -> Iterator[Reason]:
    """Nothing the user wrote explains it: name what differs in what the replicas run."""
    for each, recorded in zip(fates, groups, strict=False):
        if each.group is None:
            differences = recipe_differences(recorded.recipe, each.planned.part.recipe)
            yield from (Reason(difference_words(*difference)) for difference in differences)
            if not differences:
                yield Reason(f"this release serves it in another way (revision {each.planned.part.revision})")
