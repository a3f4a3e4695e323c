"""Runs that an interrupted apply left and that are no longer wanted: cancelled, or finished and recorded when asked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError, PluginError
from specforge.core.queries import FindIdentity, LookAtJob, Presence
from specforge.core.state import EndRun, Intent, Resource, Status
from specforge.core.steps import Publish, Release
from specforge.core.values import EMPTY
from specforge.engine.events import RunEnded
from specforge.engine.observe import blamed, observe
from specforge.engine.parts import count, decode_part, discard_jobs, end_run, perform_part, steps_begun
from specforge.engine.session import Session
from specforge.engine.versions import beside, let_go, recorded_or_new, with_version
from specforge.planner.removal import builds_at


def settle_run(session: Session, resource: Resource, *, taken: bool = False) -> Resource:
    """Deal with the run that the resource's intent left, so that nothing else runs when new work begins.

    `taken`: the run is not needed, because a reference to what it would give was taken just now; the intent stays,
    without the run, until that is recorded. Returns the resource, else without the intent. Raises ExecutionError if the
    place of the run cannot be asked, or if the run cannot be ended.
    """
    intent = resource.intent
    assert intent is not None, f"{resource.address}: no run was left"
    state = _state_of(session, intent)
    if state is not None and session.settings.finish_running and not taken:
        _finish(session, resource, intent)
        return session.resources[resource.address]
    if state is not None:
        _cancel(session, intent)
    if not taken:
        _let_go_of_published(session, resource, intent)
    after = replace(resource, intent=replace(intent, jobs=()) if taken else None)
    if state is None:
        session.put(after)  # nothing had been started
    else:
        _tell_ended(session, after, intent, "cancelled" if state == "running" else "discarded")
    return session.resources[resource.address]


def forget_unstarted(session: Session, address: Address) -> None:
    """Clear the intent of work that is not wanted any more and of which nothing was started; else it stays.

    A reference to what the work would have given may have been taken already: it is let go of. Raises StateError.
    """
    resource = session.resources.get(address)
    if resource is None or resource.intent is None:
        return
    with suppress(ExecutionError, PluginError):
        if _state_of(session, resource.intent) is None:
            _let_go_of_published(session, resource, resource.intent)
            session.put(replace(resource, intent=None))


def _tell_ended(session: Session, after: Resource, intent: Intent, outcome: str) -> None:
    why = "no longer wanted"
    end_run(session, after, EndRun(intent.identity, after.address, outcome, why))
    discard_jobs(session, intent.jobs)
    session.sink(RunEnded(session.clock(), after.address, outcome, why))


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


def _cancel(session: Session, intent: Intent) -> None:
    """End the jobs of the intent, and see to it that they have ended: never two at once."""
    for place, key in intent.jobs:
        with blamed(place, "while it ended a run"):
            session.places.of(place).cancel(place, key, session.settings.grace)
    if _state_of(session, intent) == "running":
        detail = f"`{intent.work}` still runs although it was told to end"
        hint = "look at the place; apply again when it has ended"
        raise ExecutionError(Diagnostic("SF406", "A run cannot be ended", detail, hint=hint))


def _let_go_of_published(session: Session, resource: Resource, intent: Intent) -> None:
    """Take away the reference of what the intent's part may have published and nobody recorded.

    A store that does not answer, or an intent of another release, keeps nothing from going on: the reference stays.
    """
    for step in steps_begun(intent):
        build = None
        if isinstance(step, Release):  # of a removal, too, that was killed and is not wished any more
            build = (step.identity, step.build)
        if isinstance(step, Publish):
            query = FindIdentity(step.store, intent.identity)
            seen = observe([query], session.places)[query]
            build = (intent.identity, int(seen.facts["build"])) if seen.presence is Presence.PRESENT else None
        if build is None or not isinstance(step, Release | Publish):
            continue
        if build not in builds_at(resource, step.store):
            let_go(session, resource.address, step.store, [build])


def _where_published(resource: Resource, intent: Intent) -> Resource:
    """Return what is recorded of it in the store that the run publishes to: it may have been moved meanwhile."""
    stores = [step.store for step in steps_begun(intent) if isinstance(step, Publish)]
    return resource.at(stores[0]) if stores else resource


def _finish(session: Session, resource: Resource, intent: Intent) -> None:
    """Wait for the run, publish and record what it gives; it does not become current."""
    try:
        made = perform_part(session, resource, decode_part(intent.part), intent.identity)
    except ExecutionError as error:
        if isinstance(error, Cancelled) or not error.ended:
            raise
        # It is counted; that it failed is no concern of what is wished now.
        kept = session.resources[resource.address]
        if kept.intent is not None:
            _let_go_of_published(session, kept, intent)
            session.put(replace(kept, intent=None))
        words = f"it failed: {error.diagnostics[0].detail}"
        session.sink(RunEnded(session.clock(), resource.address, "discarded", words))
        return
    kept, words = session.resources[resource.address], "finished"
    if made.outputs.get("version"):
        here = _where_published(kept, intent)
        version = recorded_or_new(here, made, EMPTY, session.clock(), Status.READY)
        kept = beside(kept, with_version(here, version))
        words = f"finished as {version.version}"
    else:
        # Evidence of a version that is no longer the wish: it can be found in the store, and is recorded nowhere.
        _let_go_of_published(session, kept, intent)
    session.put(replace(kept, intent=None), *made.ended)
    count(session, made.ended)
    discard_jobs(session, made.jobs)
    session.sink(RunEnded(session.clock(), resource.address, "kept", words))
