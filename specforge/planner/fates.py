"""The fates of an artifact's parts: its output, and the evidence that was measured of it.

Each is kept as recorded, found in the store, made anew, or left to the apply to decide.
"""

from __future__ import annotations

from dataclasses import replace

from specforge.core.making import dataclass
from specforge.core.queries import FindIdentity, LookAtArtifact, Presence, Seen
from specforge.core.state import Status, Version
from specforge.core.values import EMPTY, Frozen, Place
from specforge.planner.drifting import evidence_drift, output_drift
from specforge.planner.outputs import fill_from, fill_recorded, found_outputs, identity_if_known, version_outputs
from specforge.planner.plan import PlannedPart, Verb
from specforge.planner.planning import Node, Planning
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


class UnansweredError(Exception):
    """An answer is missing; the question has been noted."""


class BlockedError(Exception):
    """A place is unreachable, or the spec contradicts what is published."""


# ---- the output ----


def output_fate(planning: Planning, node: Node, identity: str | None) -> Fate:
    """Return what is to be done about the output; `identity` is None while its recipe has holes.

    Raises UnansweredError and BlockedError.
    """
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
    return _looked_up_output(planning, node, identity, recorded_as(node, identity), requested)


def recorded_as(node: Node, identity: str) -> Version | None:
    """Return the recorded version that has this identity, of several the one that is asked for or current."""
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
        raise UnansweredError
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
        raise BlockedError(f"version {pinned} is published with other content")


def _place(node: Node) -> Place:
    if node.desire.place is None:
        raise AssertionError(f"{node.address}: an artifact's desire must name its store")
    return node.desire.place


def _unreachable(planning: Planning, node: Node, seen: Seen) -> None:
    planning.cannot_reach(_place(node), seen, node.address)
    raise BlockedError("its place cannot be reached; nothing is decided")


# ---- the evidence ----


def evidence_fate(planning: Planning, node: Node, output: Fate) -> Fate | None:
    """Return what is to be done about the evidence of this output; None: the resource wishes none.

    Raises UnansweredError and BlockedError.
    """
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
        raise UnansweredError
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
