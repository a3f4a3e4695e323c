"""Work on one change: bring its parts about, let the gate judge, record. Calls no kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import identity_of
from specforge.core.errors import ExecutionError
from specforge.core.state import DropResource, Evidence, Intent, Resource, Status, Version
from specforge.core.steps import Refusal, Unpublish, judge
from specforge.core.values import EMPTY, Frozen, Key
from specforge.engine.parts import Made, count, discard_jobs, make_part, perform_step
from specforge.engine.runs import settle_run
from specforge.engine.session import Session
from specforge.engine.versions import version_of, with_version
from specforge.planner.outputs import input_mark, recorded_outputs, version_outputs
from specforge.planner.plan import Action, Change, PlannedPart
from specforge.schemas.kind import Lifecycle


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change: the word of ChangeEnded, the version that is current, words for people."""

    word: str
    version: str | None = None
    words: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()


def realise(session: Session, change: Change) -> Outcome:
    """Make one change true and record it; raises ExecutionError or StateError."""
    resource = session.resources.get(change.address)
    if change.spec is None:
        return _remove(session, change, resource)
    if resource is None:
        resource = Resource(change.address, change.lifecycle, "{}")
    if change.lifecycle == Lifecycle.DEFINITION.value:
        return _define(session, change, resource)
    if change.lifecycle == Lifecycle.PLACE.value:
        return _prepare(session, change, resource)
    return _publish(session, change, resource)


# ---- definitions and places ----


def _define(session: Session, change: Change, resource: Resource) -> Outcome:
    outputs = session.fill(change.outputs)
    session.put(replace(resource, spec=change.spec or "{}", outputs=outputs, waits_for=change.waits_for))
    session.outputs[change.address] = outputs
    return Outcome("done", words="recorded")


def _prepare(session: Session, change: Change, resource: Resource) -> Outcome:
    planned = change.parts[0]
    made = make_part(session, resource, planned, {}, resource.identity if not _must_make(change) else None)
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


def _must_make(change: Change) -> bool:
    return any(each.verb.value == "make" for each in change.parts)


# ---- artifacts ----


def _publish(session: Session, change: Change, resource: Resource) -> Outcome:
    planned, *others = change.parts
    current = resource.current_version if resource.place == change.place else None
    if resource.place is None:
        resource = replace(resource, place=change.place)  # also on a record that holds an intent only
    resource = _without_stale_run(session, change, resource)
    inputs = _inputs(session, change)
    unchanged = None if current is None or _renamed(change, current) else current.identity
    output = _make(session, resource, planned, {}, unchanged)
    resource = session.resources.get(change.address, resource)
    if resource.place not in (None, change.place):
        resource = replace(resource, versions=(), current=None)  # they lie in the store that was left
    resource = replace(resource, place=change.place)
    if output.how == "cut off" and current is not None:
        version = current
    else:
        version = _recorded_or_new(resource, output, inputs, session.clock(), judged=not others)
        resource = _settled(resource, version, output)
        # Published and recorded before it is judged: a kill during the evaluation does not lose it.
        session.put(replace(resource, intent=None), *output.ended)
        count(session, output.ended)
        discard_jobs(session, output.jobs)
    evidence = _evidence(session, change, others, version)
    return _record(session, change, version, (output, evidence))


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
    if made.how != "made" and left.intent is not None and left.intent.part_name == planned.part.name:
        settle_run(session, left)
    return made


def _makes(session: Session, change: Change, intent: Intent) -> bool:
    """Whether the change would go on with the very run that the intent began."""
    planned = next((each for each in change.parts if each.part.name == intent.part_name), None)
    if planned is None:
        return False
    if planned.identity is not None:
        return planned.identity == intent.identity
    try:
        recipe = session.fill(planned.part.recipe)
    except ExecutionError:
        return False  # the evidence of an output that is yet to be made
    return identity_of(planned.part.prefix, planned.part.revision, recipe) == intent.identity


def _recorded_or_new(resource: Resource, output: Made, inputs: Frozen, now: float, *, judged: bool) -> Version:
    name = output.outputs["version"]
    known = resource.version(name)
    if known is not None and known.identity == output.identity and known.build == output.outputs["build"]:
        return replace(known, status=Status.READY) if known.status is Status.LOST else known
    return version_of(output, inputs, now, Status.READY if judged else Status.UNJUDGED)


def _settled(resource: Resource, version: Version, output: Made) -> Resource:
    """Add the version; a build that was made again tells whether its bytes can be reproduced."""
    before = next((each for each in resource.versions if each.identity == version.identity), None)
    if before is not None and output.how == "made":
        same = before.output == version.output
        version = replace(version, reproducible="yes" if same else "no")
    return with_version(resource, version)


def _inputs(session: Session, change: Change) -> Frozen:
    marks = {str(each): input_mark(session.outputs.get(each, EMPTY)) for each in change.waits_for}
    pinned = {key: value for key, value in change.inputs.items() if "@" in key}
    return Frozen({key: value for key, value in {**marks, **pinned}.items() if value is not None})


def _evidence(session: Session, change: Change, others: list[PlannedPart], version: Version) -> Made | None:
    planned = next((each for each in others if each.part.name == "evidence"), None)
    if planned is None:
        return None
    resource = session.resources[change.address]
    own = {change.address: version_outputs(change.place, version)}
    known = version.evidence.identity if version.evidence else None
    return _make(session, resource, planned, own, known)


def _record(session: Session, change: Change, version: Version, made: tuple[Made, Made | None]) -> Outcome:
    output, evidence = made
    resource = session.resources[change.address]
    if evidence is not None and evidence.how != "cut off":
        figures = evidence.outputs.get("facts", EMPTY)
        version = replace(
            version, evidence=Evidence(evidence.identity, evidence.outputs["build"], figures, evidence.recipe)
        )
    figures = version.evidence.figures if version.evidence and evidence else EMPTY
    refusals = judge(change.gate, figures) if change.gate is not None and evidence is not None else ()
    is_current = resource.current == version.version and resource.place == change.place
    status = Status.REFUSED if refusals and not is_current else Status.READY
    version = replace(version, status=status)
    kept = with_version(resource, version)
    ended = evidence.ended if evidence else ()
    kept = replace(
        kept,
        spec=change.spec or "{}",
        current=kept.current if status is Status.REFUSED else version.version,
        intent=None,
        waits_for=change.waits_for,
        below_accept=tuple(map(str, refusals)) if is_current else _below_of(resource, status),
    )
    session.put(kept, *ended)
    count(session, ended)
    if evidence is not None:
        discard_jobs(session, evidence.jobs)
    session.outputs[change.address] = recorded_outputs(kept)
    return _outcome(change, resource, kept, version, (output, evidence), refusals, figures)


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
        below = before.below_accept == after.below_accept and before.current == version.version
        told = "; ".join(map(str, refusals))
        stays = f"{after.current} stays current" if after.current else "there is no current version"
        return Outcome("done" if below else "refused", after.current, f"{version.version}: {told}; {stays}")
    output, evidence = made
    how = {output.how} | ({evidence.how} if evidence else set())
    if "made" in how:
        word = "done"
        if _same_bytes_as_before(before, version, output):
            words = "; ".join(filter(None, [words, f"same bytes as {before.current}"]))
    else:
        word = "reused" if "reused" in how else "cut off" if change.if_changed else "done"
    return Outcome(word, after.current, words)


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


# ---- what is taken away ----


def _remove(session: Session, change: Change, resource: Resource | None) -> Outcome:
    if resource is None:
        return Outcome("done")
    if resource.intent is not None:
        resource = settle_run(session, resource)
    refused: list[Diagnostic] = []
    for step in change.steps:
        key = Key(session.lineage, change.address, resource.identity or "", 0, step.name)
        try:
            perform_step(session, change.address, step, key)
        except ExecutionError as error:
            if not (isinstance(step, Unpublish) and error.refusal):
                raise
            refused.extend(error.diagnostics)
    session.writer.record(DropResource(change.address))
    with session.guard:
        session.resources.pop(change.address, None)
    session.outputs.pop(change.address, None)
    if refused:
        return Outcome("refused", words="the data are kept: others use them", diagnostics=tuple(refused))
    gone = "forgotten" if change.action is Action.FORGET else "deleted"
    return Outcome("done", words="; ".join(filter(None, [gone, change.note])))
