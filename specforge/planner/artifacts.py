"""The fate of an artifact: kept, found in the store, made anew, or decided at apply.

The resource's first part is its output; a part named `evidence` was measured of it and is judged by the gate. A refusal
stops promotion and never demotes: the version that is current stays so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from specforge.core.queries import FindIdentity, LookAtArtifact, Presence, Seen
from specforge.core.state import Status, Version
from specforge.core.steps import Refusal, judge
from specforge.core.values import EMPTY, Frozen, Place
from specforge.planner.drifting import evidence_drift, output_drift
from specforge.planner.outputs import (
    fill_from,
    fill_recorded,
    followed,
    found_outputs,
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
from specforge.schemas.kind import Part

_LOST = "its data are gone from the store"
_EVIDENCE_LOST = "its evaluation is gone from the store"


@dataclass(slots=True)
class Fate:
    """What is to be done about one part, and what is known of the outcome.

    `outputs` are the artifact's if known; `figures` the evidence's. `version` is the (predicted) name, `known` a
    version in the record that has this identity. `lost`: words about what is gone from the store. `asked`: whether what
    was found there is whole is not known yet.
    """

    planned: PlannedPart
    outputs: Frozen = EMPTY
    figures: Frozen | None = None
    version: str | None = None
    known: Version | None = None
    lost: str = ""
    asked: bool = False


class _UnansweredError(Exception):
    """An answer is missing; the question has been noted."""


class _BlockedError(Exception):
    """A place is unreachable, or the spec contradicts what is published."""


def settle_artifact(planning: Planning, node: Node) -> Settled:
    """Decide about one artifact."""
    try:
        identity = identity_if_known(node.desire.parts[0])
        refused = _still_refused(planning, node, identity)
        if refused is not None:
            return refused
        output = _output_fate(planning, node, identity)
        evidence = _evidence_fate(planning, node, output)
        if output.asked:
            return Settled(None)
    except _UnansweredError:
        return Settled(None)
    except _BlockedError as blocked:
        return undecided(node.declared, node.record, str(blocked))
    changes = output.planned.verb is not Verb.KEEP
    if evidence is not None and (changes or evidence.planned.verb is not Verb.KEEP):
        evidence = _with_steps(node, evidence)  # kept evidence too: an output with a second name takes it along
    return _decide(planning, node, _with_steps(node, output) if changes else output, evidence)


def _with_steps(node: Node, fate: Fate) -> Fate:
    """Ask the kind how the part is made."""
    return replace(fate, planned=replace(fate.planned, part=node.with_steps(fate.planned.part)))


# ---- the output ----


def _output_fate(planning: Planning, node: Node, identity: str | None) -> Fate:
    head, desire, current = node.desire.parts[0], node.desire, node.current
    requested = node.address in planning.options.replace
    stays = current is not None and not requested and node.settled_here
    if identity is None:
        recorded = identity_if_known(head, fill_recorded(head.recipe, planning.state))
        same = stays and current is not None and recorded == current.identity
        if same and current is not None and _is_lost(planning, node, current):
            # Made again where it would be cut off; another identity is made as ever.
            return Fate(PlannedPart(head, Verb.MAKE, replaces=current.build), version=current.version, lost=_LOST)
        return Fate(PlannedPart(head, Verb.MAYBE if same else Verb.MAKE, again=requested), version=_predicted(node))
    stays = stays and desire.pinned in (None, None if current is None else current.version)
    if current is not None and stays and current.identity == identity and current.status is not Status.LOST:
        return _kept_output(planning, node, current, identity)
    return _looked_up_output(planning, node, identity, _recorded_as(node, identity), requested)


def _recorded_as(node: Node, identity: str) -> Version | None:
    here = node.here
    if here is None:
        return None
    matches = [v for v in here.versions if v.identity == identity and v.status is not Status.LOST]
    # Two names of one build may be recorded: the one that is asked for is the answer, then the current one.
    wished = (node.desire.pinned, here.current)
    return next((v for name in wished for v in matches if v.version == name), matches[0] if matches else None)


def _predicted(node: Node) -> str | None:
    if node.desire.pinned or node.desire.series is None:
        return node.desire.pinned
    here = node.here
    taken = set() if here is None else {each.version for each in here.versions}
    number = len(taken) + 1
    while node.desire.series.version(number) in taken:
        number += 1
    return node.desire.series.version(number)


def _kept_output(planning: Planning, node: Node, current: Version, identity: str) -> Fate:
    head = node.desire.parts[0]
    if _is_lost(planning, node, current):
        elsewhere = _looked_up_output(planning, node, identity, None, requested=False)
        planned = elsewhere.planned
        if (planned.found or {"build": planned.replaces})["build"] not in (None, current.build):
            return replace(elsewhere, lost=_LOST)  # somebody else has made it again already
        planned = PlannedPart(head, Verb.MAKE, identity, replaces=current.build)
        return Fate(planned, version=current.version, known=current, lost=_LOST)
    return Fate(
        PlannedPart(head, Verb.KEEP, identity),
        version_outputs(node.desire.place, current),
        version=current.version,
        known=current,
    )


def _is_lost(planning: Planning, node: Node, current: Version) -> bool:
    """Return whether the current version's data are gone from the store, which is noted as drift."""
    look = node.looks.get("output")
    if look is not None and look.presence is Presence.UNREACHABLE:
        _unreachable(planning, node, look)
    if look is None or look.presence is not Presence.ABSENT:
        return False
    planning.drift.append(output_drift(node.address, current.version, look))
    return True


def _looked_up_output(planning: Planning, node: Node, identity: str, known: Version | None, requested: bool) -> Fate:
    desire, head = node.desire, node.desire.parts[0]
    place = _place(node)
    seen = planning.ask(FindIdentity(place, identity, desire.series, desire.pinned))
    if known is not None:
        planning.ask(LookAtArtifact(place, identity, known.build))  # most probably it is this one
    if seen is None:
        raise _UnansweredError
    if seen.presence is Presence.UNREACHABLE:
        _unreachable(planning, node, seen)
    _check_pin(planning, node, identity, seen)
    following = desire.pinned or seen.facts.get("next") or _predicted(node)
    if seen.presence is Presence.ABSENT or requested:
        replaces = seen.facts.get("build") if requested else None
        return Fate(PlannedPart(head, Verb.MAKE, identity, replaces=replaces, again=requested), version=following)
    version, build = desire.pinned or seen.facts.get("version") or following, int(seen.facts["build"])
    look = planning.ask(LookAtArtifact(place, identity, build))  # what is lost is no use to anybody
    if look is not None and look.presence is Presence.UNREACHABLE:
        _unreachable(planning, node, look)
    if look is not None and look.presence is Presence.ABSENT:
        planned = PlannedPart(head, Verb.MAKE, identity, replaces=build)
        return Fate(planned, version=version, known=known, lost=_LOST)
    planned, outputs = (
        PlannedPart(head, Verb.FIND, identity, found=seen.facts),
        found_outputs(place, seen, identity, version),
    )
    return Fate(planned, outputs, version=version, known=known, asked=look is None)


def _check_pin(planning: Planning, node: Node, identity: str, seen: Seen) -> None:
    pinned = node.desire.pinned
    claimed = seen.facts.get("claimed", EMPTY).get(pinned) if pinned else None
    if claimed is not None and claimed != identity:
        planning.refuse(
            node.address,
            "SF203",
            "Version name is taken",
            f"`version: {pinned}` is published with other content, and a published version never changes",
            hint="choose another `version:`, or leave it out",
            path=("version",),
        )
        raise _BlockedError(f"version {pinned} is published with other content")


def _place(node: Node) -> Place:
    if node.desire.place is None:
        raise AssertionError(f"{node.address}: an artifact's desire must name its store")
    return node.desire.place


def _unreachable(planning: Planning, node: Node, seen: Seen) -> None:
    planning.cannot_reach(_place(node), seen, node.address)
    raise _BlockedError("its place cannot be reached; nothing is decided")


# ---- the evidence ----


def _evidence_fate(planning: Planning, node: Node, output: Fate) -> Fate | None:
    parts = node.desire.parts
    part = next((each for each in parts if each.name == "evidence"), None) if len(parts) > 1 else None
    if part is None:
        return None
    identity = identity_if_known(part, fill_from(part.recipe, {node.address: output.outputs}))
    if identity is None:
        return Fate(PlannedPart(part, _verb_with_holes(planning, node, output, part)))
    recorded = output.known.evidence if output.known is not None else None
    if recorded is not None and recorded.identity == identity:
        look = node.looks.get("evidence")
        if output.planned.verb is Verb.KEEP and look is not None and look.presence is Presence.ABSENT:
            planning.drift.append(evidence_drift(node.address, str(output.version), look))
            planned = PlannedPart(part, Verb.MAKE, identity, replaces=recorded.build)
            return Fate(planned, lost=_EVIDENCE_LOST)
        return Fate(PlannedPart(part, Verb.KEEP, identity), figures=recorded.figures)
    seen = planning.ask(FindIdentity(_place(node), identity))
    if seen is None:
        raise _UnansweredError
    if seen.presence is Presence.UNREACHABLE:
        _unreachable(planning, node, seen)
    if seen.presence is Presence.ABSENT:
        return Fate(PlannedPart(part, Verb.MAKE, identity))
    build = int(seen.facts["build"])
    look = planning.ask(LookAtArtifact(_place(node), identity, build))  # unanswered: taken for whole in this round
    if look is not None and look.presence is Presence.UNREACHABLE:
        _unreachable(planning, node, look)
    if look is not None and look.presence is Presence.ABSENT:
        return Fate(PlannedPart(part, Verb.MAKE, identity, replaces=build), lost=_EVIDENCE_LOST)
    return Fate(PlannedPart(part, Verb.FIND, identity, found=seen.facts), figures=seen.facts.get("facts", EMPTY))


def _verb_with_holes(planning: Planning, node: Node, output: Fate, part: Part) -> Verb:
    """With holes left, evidence is made anew only if it would differ even with the recorded inputs."""
    if output.planned.verb is Verb.MAYBE:
        return Verb.MAYBE
    current = node.current
    if output.planned.verb is not Verb.KEEP or current is None or current.evidence is None:
        return Verb.MAKE
    recorded = identity_if_known(part, fill_recorded(part.recipe, planning.state))
    return Verb.MAYBE if recorded == current.evidence.identity else Verb.MAKE


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
    if evidence is not None and evidence.planned.verb is not Verb.KEEP:
        output = replace(output, outputs=with_figures(output.outputs, evidence.figures))
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
        declared.kind.lifecycle.value,
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
    known = _recorded_as(node, identity)
    if known is None or known.status is not Status.REFUSED or node.desire.pinned not in (None, known.version):
        return None
    if node.address in planning.options.replace:
        return None
    head = node.desire.parts[0]
    outputs = version_outputs(node.desire.place, known)
    output = Fate(PlannedPart(head, Verb.FIND, identity), outputs, version=known.version, known=known)
    evidence = _evidence_fate(planning, node, output)
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
