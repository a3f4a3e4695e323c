"""Runs that an interrupted apply left and that are no longer wanted: cancelled, or finished and recorded when asked."""

from __future__ import annotations

from dataclasses import replace

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtJob, Presence
from specforge.core.state import EndRun, Intent, Resource, Status
from specforge.core.values import EMPTY
from specforge.engine.events import RunEnded
from specforge.engine.observe import observe
from specforge.engine.parts import count, decode_part, discard_jobs, end_run, perform_part
from specforge.engine.session import Session
from specforge.engine.versions import version_of, with_version


def settle_run(session: Session, resource: Resource) -> Resource:
    """Deal with the run that the resource's intent left, so that nothing else runs when new work begins.

    Returns the resource without the intent. Raises ExecutionError if the place of the run cannot be asked.
    """
    intent = resource.intent
    if intent is None:
        return resource
    state = _state_of(session, intent)
    if state is None:
        session.put(replace(resource, intent=None))  # nothing had been started
    elif session.settings.finish_running:
        _finish(session, resource, intent)
    else:
        for place, key in intent.jobs:
            session.places.of(place).cancel(place, key, session.settings.grace)
        outcome = "cancelled" if state == "running" else "discarded"
        end_run(session, resource, EndRun(intent.identity, resource.address, outcome, "no longer wanted"))
        discard_jobs(session, intent.jobs)
        session.sink(RunEnded(session.clock(), resource.address, outcome, "no longer wanted"))
    return session.resources[resource.address]


def _state_of(session: Session, intent: Intent) -> str | None:
    """Return "running", "ended", or None if no job of the intent was ever started."""
    queries = [LookAtJob(place, key) for place, key in intent.jobs]
    answers = observe(queries, session.places).values()
    for seen in answers:
        if seen.presence is Presence.UNREACHABLE:
            detail = f"a run may still be going on at a place that cannot be reached: {seen.problem}"
            raise ExecutionError(Diagnostic("SF403", "Place unreachable", detail, hint="apply again when it answers"))
    present = [seen for seen in answers if seen.presence is Presence.PRESENT]
    if any(seen.facts.get("state") == "running" for seen in present):
        return "running"
    return "ended" if present else None


def _finish(session: Session, resource: Resource, intent: Intent) -> None:
    """Wait for the run, publish and record what it gives; it does not become current."""
    part = decode_part(intent.part)
    made = perform_part(session, resource, part, intent.identity)
    kept = replace(session.resources[resource.address], intent=None)
    words = "finished"
    if made.outputs.get("version"):
        version = version_of(made, EMPTY, session.clock(), Status.READY)
        kept = with_version(kept, version)
        words = f"finished as {version.version}"
    session.put(kept, *made.ended)
    count(session, made.ended)
    discard_jobs(session, made.jobs)
    session.sink(RunEnded(session.clock(), resource.address, "kept", words))
