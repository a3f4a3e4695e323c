"""What is done about an artifact, from the fates of its parts and the verdict of its gate.

The resource's first part is its output; a part named `evidence` was measured of it and is judged by the gate. A refusal
stops promotion and never demotes: the version that is current stays so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specforge.core.state import Status
from specforge.core.steps import Refusal, judge
from specforge.core.values import Frozen
from specforge.planner.fates import BlockedError, Fate, UnansweredError, evidence_fate, output_fate, recorded_as
from specforge.planner.outputs import (
    followed,
    identity_if_known,
    marks_of,
    recorded_outputs,
    stays_current,
    version_outputs,
    waiting_for,
    with_figures,
)
from specforge.planner.plan import Action, Change, PlannedPart, Reason, Verb
from specforge.planner.planning import Node, Planning, Settled, undecided
from specforge.planner.reasons import fields_of, reasons_of
from specforge.schemas.kind import Lifecycle

_LIFECYCLE = Lifecycle.ARTIFACT.value


def settle_artifact(planning: Planning, node: Node) -> Settled:
    """Decide about one artifact."""
    try:
        identity = identity_if_known(node.desire.parts[0])
        refused = _still_refused(planning, node, identity)
        if refused is not None:
            return refused
        output = output_fate(planning, node, identity)
        evidence = evidence_fate(planning, node, output)
        if output.asked:
            return Settled(None)
    except UnansweredError:
        return Settled(None)
    except BlockedError as blocked:
        return undecided(node.declared, node.record, str(blocked))
    changes = output.planned.verb is not Verb.KEEP
    if evidence is not None and (changes or evidence.planned.verb is not Verb.KEEP):
        evidence = _with_steps(node, evidence)  # kept evidence too: an output with a second name takes it along
    return _decide(planning, node, _with_steps(node, output) if changes else output, evidence)


def _with_steps(node: Node, fate: Fate) -> Fate:
    """Ask the kind how the part is made."""
    return replace(fate, planned=replace(fate.planned, part=node.with_steps(fate.planned.part)))


# ---- the decision ----


def _decide(planning: Planning, node: Node, output: Fate, evidence: Fate | None) -> Settled:
    fates = (output,) if evidence is None else (output, evidence)
    refusals = _refusals(node, evidence)
    if output.planned.verb is Verb.KEEP and (evidence is None or evidence.planned.verb is Verb.KEEP):
        return Settled(_of_kept(node, fates, refusals), output.outputs)
    away = planning.out_of_reach(node.address, [fate.planned for fate in fates])
    if away is not None:
        return undecided(node.declared, node.record, f"{away} cannot be reached; nothing is decided")
    change = _change(planning, node, fates, refusals)
    if evidence is not None:
        output = replace(output, outputs=with_figures(output.outputs, evidence.figures))
    elif output.known is not None and output.known.evidence is not None:
        output = replace(output, outputs=with_figures(output.outputs, output.known.evidence.figures))
    if output.planned.verb is Verb.KEEP:
        return Settled(change, output.outputs)
    if output.planned.verb is Verb.FIND:
        return _found(node, replace(change, action=Action.REUSE), output, evidence)
    action = Action.CREATE if node.record is None or node.record.current is None else Action.NEW_VERSION
    return Settled(replace(change, action=action), Frozen({"place": node.desire.place}), pending=True)


def _refusals(node: Node, evidence: Fate | None) -> tuple[Refusal, ...]:
    if node.desire.gate is None or evidence is None or evidence.figures is None:
        return ()
    return judge(node.desire.gate, evidence.figures)


def _unchanged(node: Node, fates: tuple[Fate, ...], **more: Any) -> Change:
    """Return the change that does nothing, with what is known of the artifact; `more`: what is different."""
    declared, desire = node.declared, node.desire
    change = Change(
        declared.address,
        declared.kind.document,
        _LIFECYCLE,
        Action.NOOP,
        parts=tuple([fate.planned for fate in fates]),
        gate=desire.gate,
        place=desire.place,
        series=desire.series,
        pinned=desire.pinned,
        version=fates[0].version,
        summary=desire.summary,
        before=node.record,
        spec=declared.spec_json,
        waits_for=followed(node.inputs),
    )
    return replace(change, **more) if more else change


def _of_kept(node: Node, fates: tuple[Fate, ...], refusals: tuple[Refusal, ...]) -> Change:
    """Nothing to make: at most the description, or the verdict of a gate that was moved, is recorded."""
    record = node.record
    if record is None:
        raise AssertionError(f"{node.address}: kept without a record")
    below = tuple([str(each) for each in refusals])
    fields, same_place = fields_of(node), record.place == node.desire.place
    if same_place and not fields and not below and not record.below_accept:
        return _unchanged(node, fates)
    if not fields and same_place and below == record.below_accept:
        note = f"below accept: {'; '.join(below)}" if below else ""
        return _unchanged(node, fates, refusals=refusals, below_accept=below, note=note)
    reasons = () if same_place else (Reason(f"the settings of {node.desire.place} changed"),)
    more = {"fields": fields, "reasons": reasons, "refusals": refusals, "below_accept": below}
    return _unchanged(node, fates, action=Action.UPDATE, **more)


def _change(planning: Planning, node: Node, fates: tuple[Fate, ...], refusals: tuple[Refusal, ...]) -> Change:
    verbs = [fate.planned.verb for fate in fates]
    certain = Verb.MAKE in verbs or Verb.FIND in verbs
    waits = () if certain else waiting_for(tuple(fate.planned.part.recipe for fate in fates))
    if_changed = tuple(each for each in waits if each != node.address)
    return _unchanged(
        node,
        fates,
        action=Action.UPDATE,
        if_changed=if_changed,
        refusals=refusals,
        work=tuple(fate.planned.part.work for fate in fates if fate.planned.verb in (Verb.MAKE, Verb.MAYBE)),
        estimate=node.current.seconds if node.current and verbs[0] in (Verb.MAKE, Verb.MAYBE) else None,
        inputs=marks_of(node.inputs),
        fields=fields_of(node),
        reasons=reasons_of(
            planning,
            node,
            tuple(fate.planned for fate in fates),
            lost=next((fate.lost for fate in fates if fate.lost), ""),
            said=if_changed,
        ),
    )


def _still_refused(planning: Planning, node: Node, identity: str | None) -> Settled | None:
    """What is wished was published and refused before, and the gate still refuses: not looked for, not made again."""
    current = node.current
    stays = current is not None and node.settled_here and node.desire.pinned in (None, current.version)
    if identity is None or (
        current is not None and stays and (current.identity, current.status) == (identity, Status.READY)
    ):
        return None
    known = recorded_as(node, identity)
    if known is None or known.status is not Status.REFUSED or node.desire.pinned not in (None, known.version):
        return None
    if node.address in planning.options.replace:
        return None
    head = node.desire.parts[0]
    outputs = version_outputs(node.desire.place, known)
    output = Fate(PlannedPart(head, Verb.FIND, identity), outputs, version=known.version, known=known)
    evidence = evidence_fate(planning, node, output)
    refusals = _refusals(node, evidence)
    if evidence is None or evidence.planned.verb is not Verb.KEEP or not refusals:
        return None
    return _refused_again(node, (_with_steps(node, output), evidence), refusals)


def _refused_again(node: Node, fates: tuple[Fate, ...], refusals: tuple[Refusal, ...]) -> Settled:
    fields = fields_of(node)
    if fields:
        change = _unchanged(node, fates, action=Action.UPDATE, fields=fields, refusals=refusals)
    else:
        current = node.record.current if node.record else None
        stays = f"; {stays_current(node.record, node.desire.place)}" if node.record and current else ""
        note = f"{fates[0].version} is refused: {'; '.join(map(str, refusals))}{stays}"
        change = _unchanged(node, fates, version=current, note=note)
    return Settled(change, *_of_refused(node))


def _found(node: Node, change: Change, output: Fate, evidence: Fate | None) -> Settled:
    if change.refusals:
        return Settled(change, *_of_refused(node))
    if evidence is not None and evidence.figures is None and node.desire.gate is not None:
        # Whether it becomes current is known once it has been evaluated.
        return Settled(change, Frozen({"place": node.desire.place}), pending=True)
    return Settled(change, output.outputs)


def _of_refused(node: Node) -> tuple[Frozen, bool, str | None]:
    """Return the outputs, pending and blocked of an artifact whose newest version is refused."""
    outputs = recorded_outputs(node.record)
    return outputs, False, None if outputs else f"{node.address} has no version that its gate accepts"
