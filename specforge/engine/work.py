"""Work on one change: bring its parts about, let the gate judge, record. Calls no kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specforge.core.address import Address
from specforge.core.digest import identity_of
from specforge.core.errors import ExecutionError
from specforge.core.state import Evidence, Intent, Resource, Status, Version
from specforge.core.steps import Refusal, judge
from specforge.core.values import EMPTY, Frozen
from specforge.engine.outcome import Outcome
from specforge.engine.parts import Made, count, discard_jobs, make_part
from specforge.engine.runs import settle_run
from specforge.engine.serving import serve
from specforge.engine.session import Session
from specforge.engine.versions import beside, record_and_let_go, recorded_or_new, with_version
from specforge.planner.compute import runs_at
from specforge.planner.outputs import input_mark, recorded_outputs, stays_current, version_outputs
from specforge.planner.plan import Change, PlannedPart, Verb
from specforge.schemas.kind import Lifecycle


def realise(session: Session, change: Change) -> Outcome:
    """Make one wish true and record it; raises ExecutionError or StateError."""
    resource = session.resources.get(change.address) or Resource(change.address, change.lifecycle, "{}")
    if change.lifecycle == Lifecycle.DEFINITION.value:
        return _define(session, change, resource)
    if change.lifecycle == Lifecycle.PLACE.value:
        return _prepare(session, change, resource)
    if change.lifecycle == Lifecycle.SERVICE.value:
        return serve(session, change, resource)
    return _publish(session, change, resource)


# ---- definitions and places ----


def _define(session: Session, change: Change, resource: Resource) -> Outcome:
    outputs = session.fill(change.outputs)
    session.put(replace(resource, spec=change.spec or "{}", outputs=outputs, waits_for=change.waits_for))
    session.outputs[change.address] = outputs
    return Outcome("done", words="recorded")


def _prepare(session: Session, change: Change, resource: Resource) -> Outcome:
    planned = change.parts[0]
    if resource.place is None:
        resource = replace(resource, place=change.place)  # also on a record that holds an intent only
    made = make_part(session, resource, planned, {}, None if planned.verb is Verb.MAKE else resource.identity)
    resource = session.resources.get(change.address, resource)
    outputs = session.fill(change.outputs)
    kept = replace(
        resource,
        spec=change.spec or "{}",
        place=change.place,
        identity=made.identity,
        outputs=outputs,
        intent=None,
        waits_for=change.waits_for,
    )
    session.put(kept, *made.ended)
    session.outputs[change.address] = outputs
    return Outcome("done", words=change.summary)


# ---- artifacts ----


def _publish(session: Session, change: Change, resource: Resource) -> Outcome:
    planned, *others = change.parts
    if resource.place is None:
        resource = replace(resource, place=change.place)  # also on a record that holds an intent only
    resource = _without_stale_run(session, change, resource)
    current = _here(resource, change).current_version
    stays = current is not None and planned.verb is not Verb.FIND and not _renamed(change, current)
    unchanged = current.identity if current is not None and stays else None
    output = _make(session, resource, planned, {}, unchanged)
    resource, left = session.resources.get(change.address, resource), None
    if output.how == "cut off" and current is not None:
        version = current
    else:
        status = Status.UNJUDGED if others else Status.READY
        here = _here(resource, change)
        version = recorded_or_new(here, output, _inputs(session, change), session.clock(), status)
        # Published and recorded before it is judged: a kill during the evaluation does not lose it.
        after = beside(resource, _without_intent(with_version(here, version), planned))
        left = record_and_let_go(session, resource, after, *output.ended)
        count(session, output.ended)
        discard_jobs(session, output.jobs)
    evidence = _evidence(session, change, others, version, output)
    outcome = _record(session, change, version, (output, evidence))
    return replace(outcome, diagnostics=(left, *outcome.diagnostics)) if left else outcome


def _here(resource: Resource, change: Change) -> Resource:
    """Return what is recorded of it in the store that is wished; it may have been moved there."""
    return resource if change.place is None else resource.at(change.place)


def _without_intent(resource: Resource, planned: PlannedPart) -> Resource:
    """Take away the intent of this part; that of a run that goes on for another part stays."""
    ours = resource.intent is not None and resource.intent.part_name == planned.part.name
    return replace(resource, intent=None) if ours else resource


def _renamed(change: Change, current: Version) -> bool:
    return change.pinned is not None and change.pinned != current.version


def _without_stale_run(session: Session, change: Change, resource: Resource) -> Resource:
    """Two runs for one address never go on at once: a run left by an earlier apply for another identity ends first."""
    intent = resource.intent
    if intent is None or _makes(session, change, intent):
        return resource
    return settle_run(session, resource)


def _make(
    session: Session,
    resource: Resource,
    planned: PlannedPart,
    own: Mapping[Address, Mapping[str, Any]],
    unchanged: str | None,
) -> Made:
    """Make the part; a run that was begun for it and turns out not to be needed ends."""
    made = make_part(session, resource, planned, own, unchanged)
    left = session.resources.get(resource.address, resource)
    begun = left.intent if left.intent is not None and left.intent.part_name == planned.part.name else None
    if begun is not None and (made.how == "cut off" or (made.how == "reused" and begun.jobs)):
        settle_run(session, left, taken=made.how == "reused")
    return made


def _makes(session: Session, change: Change, intent: Intent) -> bool:
    """Whether the change would go on with the very run that the intent began."""
    planned = next((each for each in change.parts if each.part.name == intent.part_name), None)
    if planned is None or not runs_at(planned.part, intent):
        return False
    if planned.identity is not None:
        return planned.identity == intent.identity
    try:
        recipe = session.fill(planned.part.recipe)
    except ExecutionError:
        return False  # the evidence of an output that is yet to be made
    return identity_of(planned.part.prefix, planned.part.revision, recipe) == intent.identity


def _inputs(session: Session, change: Change) -> Frozen:
    marks = {str(each): input_mark(session.outputs.get(each, EMPTY)) for each in change.waits_for}
    pinned = {key: value for key, value in change.inputs.items() if "@" in key}
    return Frozen({key: value for key, value in {**marks, **pinned}.items() if value is not None})


def _evidence(
    session: Session, change: Change, others: list[PlannedPart], version: Version, output: Made
) -> Made | None:
    planned = next((each for each in others if each.part.name == "evidence"), None)
    if planned is None:
        return None
    resource = session.resources[change.address]
    own = {change.address: version_outputs(change.place, version)}
    # Of an output that had to be made again, the evidence may be gone, too.
    known = version.evidence.identity if version.evidence and output.how != "made" else None
    return _make(session, resource, planned, own, known)


def _record(session: Session, change: Change, version: Version, made: tuple[Made, Made | None]) -> Outcome:
    output, evidence = made
    before = session.resources[change.address]
    resource = _here(before, change)
    if evidence is not None and evidence.how != "cut off":
        figures = evidence.outputs.get("facts", EMPTY)
        version = replace(
            version, evidence=Evidence(evidence.identity, evidence.outputs["build"], figures, evidence.recipe)
        )
    figures = version.evidence.figures if version.evidence and evidence else EMPTY
    refusals = judge(change.gate, figures) if change.gate is not None and evidence is not None else ()
    is_current = resource.current == version.version
    status = Status.REFUSED if refusals and not is_current else Status.READY
    version = replace(version, status=status)
    kept = with_version(resource, version)
    ended = evidence.ended if evidence else ()
    kept = replace(
        kept,
        spec=change.spec or "{}",
        place=change.place,
        current=kept.current if status is Status.REFUSED else version.version,
        intent=None,
        waits_for=change.waits_for,
        below_accept=tuple(map(str, refusals)) if is_current else _below_of(resource, status),
    )
    kept = beside(before, kept)
    left = record_and_let_go(session, before, kept, *ended)
    count(session, ended)
    if evidence is not None:
        discard_jobs(session, evidence.jobs)
    session.outputs[change.address] = recorded_outputs(kept)
    outcome = _outcome(change, resource, kept, version, (output, evidence), refusals, figures)
    return replace(outcome, diagnostics=(left,)) if left else outcome


def _below_of(resource: Resource, status: Status) -> tuple[str, ...]:
    """A refused newcomer says nothing new about the version that stays; an accepted one replaces it."""
    return resource.below_accept if status is Status.REFUSED else ()


def _outcome(
    change: Change,
    before: Resource,
    after: Resource,
    version: Version,
    made: tuple[Made, Made | None],
    refusals: tuple[Refusal, ...],
    figures: Frozen,
) -> Outcome:
    words = _figure_words(change, figures)
    if refusals:
        told = "; ".join(map(str, refusals))
        stays = stays_current(after, change.place) if after.current else "there is no current version"
        word = "done" if _was_refused(change, before, after, version) else "refused"
        return Outcome(word, after.current, f"{version.version}: {told}; {stays}")
    output, evidence = made
    how = {output.how} | ({evidence.how} if evidence else set())
    if "made" in how:
        word = "done"
        if _same_bytes_as_before(before, version, output):
            words = "; ".join(filter(None, [words, f"same bytes as {before.current}"]))
    else:
        word = "reused" if "reused" in how else "cut off" if change.if_changed else "done"
    return Outcome(word, after.current, words)


def _was_refused(change: Change, before: Resource, after: Resource, version: Version) -> bool:
    """Whether this verdict over these figures was found by an earlier apply."""
    if before.current == version.version:
        return before.below_accept == after.below_accept
    known = None if change.before is None else _here(change.before, change).version(version.version)
    return known is not None and known.status is Status.REFUSED and known.evidence == version.evidence


def _same_bytes_as_before(before: Resource, version: Version, output: Made) -> bool:
    current = before.current_version
    if current is None or output.how != "made" or current.version == version.version:
        return False
    return current.output == version.output


def _figure_words(change: Change, figures: Mapping[str, Any]) -> str:
    """Name the figures that the gate asks for, else the plain numbers (at most three)."""
    asked = list(change.gate.conditions) if change.gate and change.gate.conditions else list(figures)
    numbers = [
        f"{name} {figures[name]:.4g}"
        for name in asked
        if isinstance(figures.get(name), int | float) and not isinstance(figures[name], bool)
    ]
    return ", ".join(numbers[:3])
