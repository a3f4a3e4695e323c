"""Take away what is no longer wished. What is left to do is recorded before anything is taken away."""

from __future__ import annotations

from dataclasses import replace

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.state import DropResource, Resource
from specforge.core.steps import Step, Unpublish
from specforge.core.values import Key
from specforge.engine.handover import under_way
from specforge.engine.outcome import Outcome
from specforge.engine.parts import perform_step, steps_begun
from specforge.engine.runs import settle_run
from specforge.engine.session import Session
from specforge.engine.versions import RELEASE, release_intent
from specforge.planner.plan import Action, Change
from specforge.planner.removal import builds_at, release_steps


def take_away(session: Session, change: Change, resource: Resource | None) -> Outcome:
    """Take the resource away and drop its record; raises ExecutionError or StateError."""
    if resource is None:
        return Outcome("done")
    steps = _steps(session, change, resource)
    resource = session.resources[change.address]
    if (resource.versions or resource.newcomers is not None) and steps:
        # Killed from here on, the record names nothing that may be gone, and the steps that are left.
        bare = replace(resource, versions=(), current=None, below_accept=(), newcomers=None)
        session.put(replace(bare, intent=release_intent(session, steps)))
    elif resource.groups:
        # Declared again after a kill, what is gone by then is no drift.
        session.put(replace(resource, intent=under_way(session, "end")))
    refused: list[Diagnostic] = []
    for step in steps:
        try:
            perform_step(session, change.address, step, Key(session.lineage, change.address, "", 0, step.name))
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


def _steps(session: Session, change: Change, resource: Resource) -> tuple[Step, ...]:
    """Return the plan's steps, and those for what the plan could not know: a run that is finished first, an earlier
    removal that was killed.
    """
    delete = change.action is Action.DELETE
    more: list[Step] = []
    if resource.intent is not None and resource.intent.part_name == RELEASE:
        more = [step for step in steps_begun(resource.intent) if delete or not isinstance(step, Unpublish)]
    elif resource.intent is not None:
        resource = settle_run(session, resource)
    for store in resource.stores():
        planned = () if change.before is None else builds_at(change.before, store)
        finished = [each for each in builds_at(resource, store) if each not in planned]
        more.extend(release_steps(store, finished, delete=delete))
    return tuple(dict.fromkeys([*change.steps, *more]))
