"""The protocol of a state backend. Contract: `specforge.testing.state`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from specforge.core.address import Address
from specforge.core.state import HistoryEntry, LockInfo, State, StateChange, StateRef


class StateReader(Protocol):
    """Reads what was recorded, also from a read-only folder and while somebody applies."""

    @property
    def location(self) -> str:
        """Where the state lies, for messages."""
        ...

    def read(self) -> State:
        """Return one consistent state; an empty one if nothing was recorded yet. Raises StateError."""
        ...

    def history(self, address: Address | None = None) -> Iterator[HistoryEntry]:
        """Give the journal, oldest first; of one resource if an address is given."""
        ...

    def lock_info(self) -> LockInfo | None:
        """Say who holds the lock now, or None."""
        ...


class StateBackend(StateReader, Protocol):
    """Reads and writes; writing needs the lock."""

    def lock(self, info: LockInfo, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock; waits up to `timeout` seconds, then raises StateLocked naming the holder.

        The lock of a process that died is free at once.
        """
        ...

    def begin(self, lineage: str, project: str, environment: str) -> StateRef:
        """Give an empty state its lineage, project and environment; changes nothing on one that has them."""
        ...

    def commit(self, operation: str, at: float, changes: Sequence[StateChange], base: StateRef) -> StateRef:
        """Write all of the changes durably, or none; `at` in unix seconds. Returns the new reference.

        Raises StateError if the state is no longer at `base`.
        """
        ...
