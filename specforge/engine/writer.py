"""The one writer of state during an apply: durable commits, grouped when several workers record at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from specforge.core.making import dataclass
from specforge.core.state import StateChange, StateRef
from specforge.state.backend import StateBackend


@dataclass(slots=True)
class _Ticket:
    changes: tuple[StateChange, ...]
    done: bool = False
    error: BaseException | None = None


class StateWriter:
    """Records changes. `record` returns when they are durable.

    Whoever comes first commits for all who wait: with ten workers a commit carries up to ten records.
    """

    def __init__(self, backend: StateBackend, operation: str, clock: Callable[[], float], base: StateRef) -> None:
        self._backend = backend
        self._operation = operation
        self._clock = clock
        self._ref = base
        self._queue: list[_Ticket] = []
        self._queue_lock = threading.Lock()
        self._commit_lock = threading.Lock()

    @property
    def ref(self) -> StateRef:
        """The state as of the last commit."""
        return self._ref

    def record(self, *changes: StateChange) -> None:
        """Write the changes durably, all or none; raises StateError."""
        ticket = _Ticket(changes)
        with self._queue_lock:
            self._queue.append(ticket)
        with self._commit_lock:
            if not ticket.done:
                self._commit_waiting()
        if ticket.error is not None:
            raise ticket.error

    def _commit_waiting(self) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue, []
        error: BaseException | None = None
        try:
            changes = [change for each in batch for change in each.changes]
            self._ref = self._backend.commit(self._operation, self._clock(), changes, self._ref)
        except BaseException as problem:  # noqa: BLE001 - every waiter gets it
            error = problem
        for each in batch:
            each.done, each.error = True, error
