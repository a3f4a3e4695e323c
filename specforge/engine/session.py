"""What the workers of one apply share: the record as it grows, outputs made so far, where to report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.making import dataclass
from specforge.core.state import PutResource, Resource, State, StateChange
from specforge.core.values import EMPTY, Hole, OutputRef, map_holes
from specforge.engine.events import Reporter, Sink
from specforge.engine.observe import DEADLINE, Places
from specforge.engine.writer import StateWriter
from specforge.executors.base import CancelToken
from specforge.planner.outputs import recorded_outputs
from specforge.planner.plan import Plan
from specforge.state.backend import StateBackend


class Interrupts:
    """How the user stops an apply: `stop` starts nothing new, `cancel` also ends what runs."""

    def __init__(self) -> None:
        self.token = CancelToken()
        self.stopping = False

    def stop(self) -> None:
        """Start nothing new; what runs goes on to its end."""
        self.stopping = True

    def cancel(self) -> None:
        """Start nothing new and cancel what runs."""
        self.stopping = True
        self.token.cancel()


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """How to apply. `grace`: seconds between asking a job to end and forcing it; `lock_timeout` in seconds.

    `deadline`: seconds that a place has to look ahead.
    """

    parallelism: int = 8
    fail_fast: bool = False
    finish_running: bool = False
    lock_timeout: float = 0.0
    command: str = "spec apply"
    who: str = "unknown"
    host: str = ""
    pid: int = 0
    grace: float = 10.0
    deadline: float = DEADLINE


@dataclass(frozen=True, slots=True)
class Means:
    """What an apply works with: where it records, who does the work, who is told, the time, the user's say."""

    backend: StateBackend
    places: Places
    report: Reporter
    clock: Callable[[], float]
    settings: ApplySettings
    interrupts: Interrupts


@dataclass(slots=True)
class Session:
    """One apply. Each address is worked on by one worker at a time; `guard` protects the mappings.

    `early`: {a service: those that give it their address before their own turn}.
    """

    lineage: str
    operation: str
    clock: Callable[[], float]
    places: Places
    writer: StateWriter
    sink: Sink
    settings: ApplySettings
    interrupts: Interrupts
    resources: dict[Address, Resource]
    attempts: dict[str, int]
    outputs: dict[Address, Mapping[str, Any]] = field(default_factory=dict)
    early: Mapping[Address, tuple[Address, ...]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def begin(cls, plan: Plan, state: State, operation: str, means: Means) -> Session:
        """Return the session of an apply of the plan to this state, which has a lineage."""
        writer = StateWriter(means.backend, operation, means.clock, state.ref)
        return cls(
            str(state.ref.lineage),
            operation,
            means.clock,
            means.places,
            writer,
            means.report,
            means.settings,
            means.interrupts,
            dict(state.resources),
            dict(state.attempts),
            _readable(state, plan),
        )

    def put(self, resource: Resource, *more: StateChange) -> None:
        """Record the resource durably, together with further changes."""
        stamped = replace(resource, updated=self.clock())
        self.writer.record(PutResource(stamped), *more)
        with self.guard:
            self.resources[resource.address] = stamped

    def fill(self, value: Any, own: Mapping[Address, Mapping[str, Any]] | None = None) -> Any:
        """Return `value` with every hole for a resource's output filled; raises ExecutionError if one is not known."""

        def answer(hole: Hole) -> Any:
            if not isinstance(hole, OutputRef):
                return hole
            source = (own or {}).get(hole.address) or self.outputs.get(hole.address, EMPTY)
            known = source.get(hole.key)
            if known is None:
                detail = f"{hole.address} has no `{hole.key}` to go on with"
                raise ExecutionError(Diagnostic("SF401", "An input is missing", detail, address=hole.address))
            return known

        return map_holes(value, answer)


def _readable(state: State, plan: Plan) -> dict[Address, Mapping[str, Any]]:
    """Return what can be read before anything was done: the record, and for what is not touched the plan's word."""
    outputs: dict[Address, Mapping[str, Any]] = {
        address: recorded_outputs(record) for address, record in state.resources.items()
    }
    for change in plan.changes:
        if change.outputs and not outputs.get(change.address):
            outputs[change.address] = change.outputs
    return outputs
