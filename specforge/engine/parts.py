"""Make one part of a change true: cut off, reuse, or perform its steps under an intent and run keys.

The intent is durable before the first effect. Run keys are a function of lineage, address, identity, attempt and step:
whoever comes after a kill computes the same ones and finds what was started, at the place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import canonical_json, identity_of
from specforge.core.errors import Cancelled, ExecutionError, Lost, SpecforgeError
from specforge.core.making import dataclass
from specforge.core.queries import FindIdentity, LookAtArtifact, Presence, Seen
from specforge.core.state import EndRun, Intent, Note, Resource
from specforge.core.steps import Publish, RunJob, Step, place_of_step
from specforge.core.values import EMPTY, IDENTITY, Frozen, Hole, Key, Place, StepRef, map_holes
from specforge.engine.events import StepProgress, StepStarted
from specforge.engine.observe import blamed, observe
from specforge.engine.session import Session
from specforge.executors.base import CancelToken, Discards, StepContext, StepEvent
from specforge.planner.plan import PlannedPart, Verb, plan_registry
from specforge.schemas.kind import Part


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a part.

    `how`: "made", "reused" or "cut off"; `outputs` are the last step's; `ended` are runs to count with the record.
    """

    identity: str
    recipe: str
    how: str
    outputs: Frozen = EMPTY
    seconds: float | None = None
    ended: tuple[EndRun, ...] = ()
    jobs: tuple[tuple[Place, str], ...] = ()


def make_part(
    session: Session,
    resource: Resource,
    planned: PlannedPart,
    own: Mapping[Address, Mapping[str, Any]],
    unchanged: str | None,
) -> Made:
    """Return what the part gives, doing what is needed. `unchanged`: the identity at which there is nothing to do."""
    part = session.fill(planned.part, own)
    identity = identity_of(part.prefix, part.revision, part.recipe)
    recipe = canonical_json(part.recipe)
    if planned.identity is not None and planned.identity != identity:
        detail = f"the plan said {planned.identity[:12]}, applying gave {identity[:12]}"
        raise ExecutionError(Diagnostic("SF402", "The result is not the plan's", detail, address=resource.address))
    # Of what was not decided yet, only the current version can have been lost.
    replaces = planned.replaces if identity in (planned.identity, unchanged) else None
    if identity == unchanged and replaces is None and not planned.again:
        return Made(identity, recipe, "cut off")
    publish = next((step for step in part.steps if isinstance(step, Publish)), None)
    build, whole = (None, False) if publish is None else _published_build(session, publish, identity)
    if publish is not None and whole and not planned.again:
        if planned.found is not None and planned.found.get("build") != build:
            raise _changed(resource.address, f"the store has build {build} of it now")
        return Made(identity, recipe, "reused", _take(session, resource, part, publish, identity))
    if planned.verb in (Verb.KEEP, Verb.FIND):
        raise _changed(resource.address, "what was to be reused is no longer in the store")
    replaces = build if build is not None else replaces
    if publish is not None and replaces is not None:
        part = replace(part, steps=tuple(replace(s, replaces=replaces) if s is publish else s for s in part.steps))
    return perform_part(session, resource, part, identity)


def _changed(address: Address, detail: str) -> ExecutionError:
    """What is shown is what is run: no work that the plan did not name, no other bytes than those it found."""
    hint, summary = "make a new plan with `spec plan`", "The store has changed since the plan"
    return ExecutionError(Diagnostic("SF405", summary, detail, hint=hint, address=address))


def _published_build(session: Session, publish: Publish, identity: str) -> tuple[int | None, bool]:
    """Return the number of the build that the store has of this identity, and whether all of its data are there."""
    seen = _ask(session, FindIdentity(publish.store, identity, publish.series, publish.version))
    if seen.presence is Presence.ABSENT:
        return None, False
    build = int(seen.facts["build"])
    return build, _ask(session, LookAtArtifact(publish.store, identity, build)).presence is Presence.PRESENT


def _ask(session: Session, query: FindIdentity | LookAtArtifact) -> Seen:
    seen = observe([query], session.places)[query]
    if seen.presence is Presence.UNREACHABLE:
        detail = f"{query.store} cannot be reached: {seen.problem}"
        raise ExecutionError(Diagnostic("SF403", "Place unreachable", detail, hint="apply again when it answers"))
    return seen


def _take(session: Session, resource: Resource, part: Part, publish: Publish, identity: str) -> Frozen:
    """Take a reference to what is already published, and the name it has (or gets) in this series."""
    step = replace(publish, identity=identity, trees=EMPTY, facts=EMPTY)
    if resource.intent is None:  # else a run of this part was left, whose intent tells of the reference as well
        write_intent(session, resource, replace(part, steps=(step,)), identity, 0)
    return perform_step(session, resource.address, step, Key(session.lineage, resource.address, identity, 0, step.name))


# ---- performing ----


def perform_part(session: Session, resource: Resource, part: Part, identity: str) -> Made:
    """Perform the steps of a filled part under the next attempt; a run that ended badly is counted."""
    started = session.clock()
    attempt = _next_attempt(session, resource, part, identity)
    jobs = write_intent(session, resource, part, identity, attempt)
    try:
        outputs, worked = _perform_steps(session, resource.address, part, identity, attempt)
    except ExecutionError as error:
        if error.ended:
            counted = EndRun(identity, resource.address, _outcome_of(error), error.diagnostics[0].detail)
            end_run(session, replace(resource, intent=_trace_of(session, resource.address, error)), counted)
        raise
    ended = (EndRun(identity, resource.address, "succeeded"),) if jobs else ()
    seconds = max(session.clock() - started, worked)  # the jobs may have run for long before they were attached to
    return Made(identity, canonical_json(part.recipe), "made", outputs, seconds, ended, jobs)


def _trace_of(session: Session, address: Address, error: ExecutionError) -> Intent | None:
    """Return what stays of the intent of a run that is over: one that is lost may have been published before."""
    intent = session.resources[address].intent
    return replace(intent, jobs=()) if intent is not None and isinstance(error, Lost) else None


def _outcome_of(error: ExecutionError) -> str:
    if isinstance(error, Cancelled):
        return "cancelled"
    return "lost" if isinstance(error, Lost) else "failed"


def _next_attempt(session: Session, resource: Resource, part: Part, identity: str) -> int:
    """Return the number of the attempt that goes on, or of the next one.

    The run of an intent is not counted yet. Those of another resource with the same identity may be meanwhile.
    """
    intent = resource.intent
    if intent is not None and intent.jobs and (intent.part_name, intent.identity) == (part.name, identity):
        return intent.attempt
    return 1 + session.attempts.get(identity, 0)


def end_run(session: Session, after: Resource, *ended: EndRun) -> None:
    """Count runs as ended and record the resource as it is after them, in one commit."""
    session.put(after, *ended)
    count(session, ended)


def count(session: Session, ended: tuple[EndRun, ...]) -> None:
    """Count the runs in the session's own tally, after they were recorded."""
    with session.guard:
        for each in ended:
            session.attempts[each.identity] = session.attempts.get(each.identity, 0) + 1


def write_intent(
    session: Session, resource: Resource, part: Part, identity: str, attempt: int
) -> tuple[tuple[Place, str], ...]:
    """Record durably what is about to be done; returns the jobs that it will start, by place and run key."""
    steps = [step for step in part.steps if isinstance(step, RunJob)]
    keys = [(step, Key(session.lineage, resource.address, identity, attempt, step.name)) for step in steps]
    jobs = tuple((step.place, key.id) for step, key in keys)
    body = json.dumps(codec.encode(part), ensure_ascii=False)
    intent = Intent(session.operation, part.name, identity, attempt, body, jobs, session.clock(), part.work)
    before = resource.intent
    if before is not None and (before.part_name, before.identity, before.attempt) == (part.name, identity, attempt):
        # An earlier apply was killed: its intent still says it all, unless the wish differs in what has no identity.
        intent = replace(intent, operation=before.operation, started=before.started)
        if intent == before:
            return jobs
    notes = [_job_note(resource.address, step, key) for step, key in keys]
    session.put(replace(resource, intent=intent), *notes)
    return jobs


def _job_note(address: Address, step: RunJob, key: Key) -> Note:
    detail = {"place": codec.encode(step.place), "key": key.id, "step": step.name}
    return Note(address, "job", Frozen(detail))


def decode_part(body: str) -> Part:
    """Return the part that an intent was written with; raises ExecutionError."""
    detail = "what was begun was recorded by another release"
    try:
        part = codec.decode(json.loads(body), plan_registry())
    except ValueError as error:
        raise ExecutionError(Diagnostic("SF404", "Unreadable intent", f"{detail}: {error}")) from error
    if not isinstance(part, Part):
        raise ExecutionError(Diagnostic("SF404", "Unreadable intent", detail))
    return part


def steps_begun(intent: Intent) -> tuple[Step, ...]:
    """Return the steps that an intent was written for; none if another release wrote it in a way unknown here."""
    try:
        return decode_part(intent.part).steps
    except ExecutionError:
        return ()


def _perform_steps(session: Session, address: Address, part: Part, identity: str, attempt: int) -> tuple[Frozen, float]:
    """Return the outputs of the last step, and for how many seconds jobs ran."""
    outputs: dict[str, Frozen] = {}

    def answer(hole: Hole) -> Any:
        assert isinstance(hole, StepRef), "what others give was filled before"
        return identity if hole == IDENTITY else outputs[hole.step][hole.key]

    last = EMPTY
    for step in part.steps:
        key = Key(session.lineage, address, identity, attempt, step.name)
        last = outputs[step.name] = perform_step(session, address, map_holes(step, answer), key)
    usages = [each.get("usage", EMPTY) for each in outputs.values()]
    return last, sum([float(usage.get("seconds") or 0.0) for usage in usages])


def perform_step(session: Session, address: Address, step: Step, key: Key, cancel: CancelToken | None = None) -> Frozen:
    """Perform one filled step and report on it; returns its outputs. `cancel`: instead of the user's say."""
    session.sink(StepStarted(session.clock(), address, step.name, words_for(step)))

    def emit(event: StepEvent) -> None:
        at = session.clock()
        session.sink(StepProgress(at, address, step.name, event.kind, event.text, event.done, event.total, event.unit))

    place = place_of_step(step)
    executor = session.places.of(place)
    with blamed(place, f"while it performed `{step.name}`"):
        return executor.perform(step, StepContext(key, emit, cancel or session.interrupts.token)).outputs


def words_for(step: Step) -> str:
    """Return what a step does, in a few words."""
    words = {
        "EnsurePlace": "prepare",
        "EnsureToolchain": "toolchain",
        "Copy": "copy",
        "Publish": "publish",
        "Release": "release",
        "Unpublish": "delete data",
        "EnsureReplicas": "replicas",
        "SetRoutes": "routes",
    }
    return f"run {step.name}" if isinstance(step, RunJob) else words[type(step).__name__]


def discard_jobs(session: Session, jobs: tuple[tuple[Place, str], ...]) -> None:
    """Let the place drop the heavy parts of runs that are recorded as ended; what it cannot drop stays there."""
    for place, key in jobs:
        with suppress(SpecforgeError), blamed(place, "while it tidied up"):
            executor = session.places.of(place)
            if isinstance(executor, Discards):
                executor.discard(place, key)
