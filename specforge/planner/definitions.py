"""The fate of definitions (recorded, seen by others as inputs) and of places (where executors work)."""

from __future__ import annotations

from specforge.core.digest import identity_of
from specforge.core.queries import LookAtPlace, Presence
from specforge.core.values import has_holes
from specforge.planner.outputs import followed
from specforge.planner.plan import Action, Change, Drift, PlannedPart, Reason, Verb
from specforge.planner.planning import Node, Planning, Settled, noop
from specforge.planner.reasons import fields_of, output_reasons


def settle_definition(planning: Planning, node: Node) -> Settled:  # noqa: ARG001 - one signature for all lifecycles
    """Decide about one definition: it is only ever recorded."""
    outputs, record = node.desire.outputs, node.record
    change = Change(
        node.address,
        node.declared.kind.document,
        node.declared.kind.lifecycle.value,
        Action.NOOP,
        summary=node.desire.summary,
        before=record,
        spec=node.declared.spec_json,
        outputs=outputs,
        waits_for=followed(node.inputs),
    )
    if record is None:
        return Settled(_with(change, Action.CREATE), outputs, has_holes(outputs))
    if record.spec == node.declared.spec_json and record.outputs == outputs:
        return Settled(change, outputs)
    fields = fields_of(node)
    reasons = () if record.outputs == outputs else _not_in_fields(output_reasons(node), {f.path for f in fields})
    if not fields and not reasons:
        return Settled(change, outputs)  # the same spec, written by another release
    return Settled(_with(change, Action.UPDATE, fields=fields, reasons=reasons), outputs, has_holes(outputs))


def settle_place(planning: Planning, node: Node) -> Settled:
    """Decide about one place: make it, bring it to its settings, or repair it when it is gone."""
    place, part, record = node.desire.place, node.desire.parts[0], node.record
    if place is None:
        raise AssertionError(f"{node.address}: a place's desire must name the place")
    seen = planning.ask(LookAtPlace(place))
    if seen is None:
        # The place itself is known: what lies in it can be asked about in the same round.
        return Settled(None, node.desire.outputs)
    if seen.presence is Presence.UNREACHABLE:
        planning.cannot_reach(place, seen, node.address)
        note = "cannot be reached; nothing is decided"
        return Settled(noop(node.declared, record, note, outputs=node.desire.outputs), node.desire.outputs)
    identity = identity_of(part.prefix, part.revision, part.recipe)
    change = Change(
        node.address,
        node.declared.kind.document,
        node.declared.kind.lifecycle.value,
        Action.NOOP,
        parts=(PlannedPart(part, Verb.KEEP, identity),),
        place=place,
        summary=node.desire.summary or str(place),
        before=record,
        spec=node.declared.spec_json,
        outputs=node.desire.outputs,
    )
    made = (PlannedPart(node.with_steps(part), Verb.MAKE, identity),)
    if record is None:
        return Settled(_with(change, Action.CREATE, parts=made), node.desire.outputs)
    fields = fields_of(node)
    if record.identity != identity:
        moved = record.place is not None and record.place != place and record.place.id != place.id
        note = f"what lies in {record.place} stays there" if moved else ""
        return Settled(_with(change, Action.UPDATE, parts=made, fields=fields, note=note), node.desire.outputs)
    if seen.presence is Presence.ABSENT:
        planning.drift.append(Drift(node.address, f"{place} is gone", seen.since))
        reasons = (Reason("it is gone"),)
        return Settled(_with(change, Action.UPDATE, parts=made, fields=fields, reasons=reasons), node.desire.outputs)
    action = Action.UPDATE if fields else Action.NOOP
    return Settled(_with(change, action, fields=fields), node.desire.outputs)


def _with(change: Change, action: Action, **changes: object) -> Change:
    from dataclasses import replace

    return replace(change, action=action, **changes)  # type: ignore[arg-type]


def _not_in_fields(reasons: tuple[Reason, ...], paths: set[str]) -> tuple[Reason, ...]:
    """Leave out what the field changes say already."""
    return tuple(each for each in reasons if each.text.removesuffix(" changed") not in paths)
