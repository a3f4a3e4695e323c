"""Stop a service on purpose and let it serve again: a hold is recorded, is no drift, and is not repaired."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PlanError
from specforge.core.making import dataclass
from specforge.core.state import LockInfo, Note, PutResource, Resource
from specforge.core.values import Frozen, Key
from specforge.engine.events import Reporter, Sink
from specforge.engine.handover import under_way
from specforge.engine.observe import Places
from specforge.engine.parts import perform_step
from specforge.engine.session import ApplySettings, Interrupts, Session
from specforge.engine.writer import StateWriter
from specforge.planner.removal import stop_steps
from specforge.schemas.kind import Lifecycle
from specforge.state.backend import StateBackend


@dataclass(frozen=True, slots=True)
class Held:
    """What came of it: whether anything changed, and since when it is on hold (unix seconds; None: it is not)."""

    changed: bool
    since: float | None


def stop(
    address: Address,
    *,
    backend: StateBackend,
    executors: Places,
    sink: Sink,
    clock: Callable[[], float],
    settings: ApplySettings,
) -> Held:
    """End the replicas of a service and give its address up, until `start`.

    Raises StateLocked, PlanError if nothing of this address serves, ExecutionError. The hold is recorded first: killed
    in between, it goes on when it is called again.
    """
    operation = uuid.uuid4().hex
    info = LockInfo(operation, settings.who, settings.command, clock(), settings.pid, settings.host)
    report = Reporter(sink)
    with backend.lock(info, settings.lock_timeout):
        state = backend.read()
        resource = _service(state.resources.get(address), address)
        if resource.held is not None and not resource.groups:
            return Held(changed=False, since=resource.held)
        writer = StateWriter(backend, operation, clock, state.ref)
        session = Session(
            str(state.ref.lineage),
            operation,
            clock,
            executors,
            writer,
            report,
            settings,
            Interrupts(),
            dict(state.resources),
            dict(state.attempts),
        )
        since = clock() if resource.held is None else resource.held
        # Until it is done, what there is may be anything: started again in between, that is no drift.
        held = replace(resource, held=since, intent=under_way(session, "stop"))
        session.put(held, Note(address, "stopped", Frozen({"by": settings.who})))
        for step in stop_steps(resource):
            perform_step(session, address, step, Key(session.lineage, address, "", 0, step.name))
        outputs = Frozen({key: value for key, value in held.outputs.items() if key != "route"})
        session.put(replace(held, groups=(), outputs=outputs, intent=None))
    return Held(changed=True, since=since)


def start(address: Address, *, backend: StateBackend, clock: Callable[[], float], settings: ApplySettings) -> Held:
    """Take the hold away, so that the next apply lets the service serve again; raises as `stop` does."""
    operation = uuid.uuid4().hex
    info = LockInfo(operation, settings.who, settings.command, clock(), settings.pid, settings.host)
    with backend.lock(info, settings.lock_timeout):
        state = backend.read()
        resource = _service(state.resources.get(address), address)
        if resource.held is None:
            return Held(changed=False, since=None)
        writer = StateWriter(backend, operation, clock, state.ref)
        freed = replace(resource, held=None, updated=clock())
        writer.record(PutResource(freed), Note(address, "started", Frozen({"by": settings.who})))
    return Held(changed=True, since=None)


def _service(resource: Resource | None, address: Address) -> Resource:
    if resource is None or resource.lifecycle != Lifecycle.SERVICE.value:
        detail = f"nothing of the name `{address}` serves here" if resource is None else f"{address} is no service"
        hint = "`spec state list` shows what is recorded"
        raise PlanError(Diagnostic("SF204", "No such service", detail, hint=hint))
    return resource
