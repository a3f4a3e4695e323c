"""A state backend in memory, and one that fails on purpose: for tests of what stands on a backend."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Literal

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.state import (
    DropResource,
    EndRun,
    HistoryEntry,
    LockInfo,
    PutResource,
    State,
    StateChange,
    StateRef,
)
from specforge.state import problems
from specforge.state.backend import StateBackend
from specforge.state.records import journal_line

_POLL = 0.005


@dataclass
class Memory:
    """What several handles of one process share."""

    state: State = field(default_factory=State)
    journal: list[HistoryEntry] = field(default_factory=list)
    holder: LockInfo | None = None
    mutex: threading.Lock = field(default_factory=threading.Lock)
    guard: threading.Lock = field(default_factory=threading.Lock)


class MemoryBackend:
    """The state in a `Memory`; two handles of one memory see each other's commits and exclude each other."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = Memory() if memory is None else memory
        self._held = False

    @property
    def location(self) -> str:
        """A word for messages."""
        return "memory"

    def read(self) -> State:
        """Return the state."""
        return self._memory.state

    def history(self, address: Address | None = None) -> Iterator[HistoryEntry]:
        """Give the journal, oldest first; of one resource if an address is given."""
        return iter([each for each in self._memory.journal if address in (None, each.address)])

    def lock_info(self) -> LockInfo | None:
        """Say who holds the lock now, or None."""
        return self._memory.holder

    @contextmanager
    def lock(self, info: LockInfo, timeout: float) -> Iterator[None]:
        """Hold the lock; waits up to `timeout` seconds, then raises StateLocked naming the holder."""
        deadline = time.monotonic() + timeout
        while not self._memory.mutex.acquire(blocking=False):
            if time.monotonic() >= deadline:
                raise problems.locked(self.location, self._memory.holder)
            time.sleep(_POLL)
        self._memory.holder = info
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._memory.holder = None
            self._memory.mutex.release()

    def begin(self, lineage: str, project: str, environment: str) -> StateRef:
        """Give an empty state its lineage, project and environment; changes nothing on one that has them."""
        assert self._held, "writing needs the lock"
        memory = self._memory
        with memory.guard:
            if memory.state.ref.lineage is None:
                ref = StateRef(lineage, memory.state.ref.serial)
                memory.state = replace(memory.state, ref=ref, project=project, environment=environment)
            return memory.state.ref

    def commit(self, operation: str, at: float, changes: Sequence[StateChange], base: StateRef) -> StateRef:
        """Write all of the changes, or none. Raises StateError if the state is no longer at `base`."""
        assert self._held, "writing needs the lock"
        assert base.lineage is not None, "begin comes before commit"
        memory = self._memory
        with memory.guard:
            if memory.state.ref != base:
                raise problems.moved_on(self.location, base, memory.state.ref)
            ref = StateRef(base.lineage, base.serial + 1)
            resources, attempts = dict(memory.state.resources), dict(memory.state.attempts)
            for change in changes:
                if isinstance(change, PutResource):
                    resources[change.resource.address] = change.resource
                elif isinstance(change, DropResource):
                    resources.pop(change.address, None)
                elif isinstance(change, EndRun):
                    attempts[change.identity] = attempts.get(change.identity, 0) + 1
            ordered = dict(sorted(resources.items(), key=lambda item: str(item[0])))
            memory.state = replace(memory.state, ref=ref, resources=ordered, attempts=attempts)
            memory.journal += [HistoryEntry(ref.serial, at, operation, *journal_line(each)) for each in changes]
            return ref


@dataclass(frozen=True)
class CommitFault:
    """What goes wrong at a commit: `error` is raised before it is written, or after (a lost reply, a crash)."""

    when: Literal["before", "after"]
    error: BaseException


class FaultyBackend:
    """Another backend whose nth commit through this handle, counted from 1, goes wrong; all else is as it was."""

    def __init__(self, backend: StateBackend, faults: Mapping[int, CommitFault]) -> None:
        self._backend = backend
        self._faults = faults
        self.commits = 0
        """The commits tried so far."""

        self.location = backend.location
        self.read = backend.read
        self.history = backend.history
        self.lock_info = backend.lock_info
        self.lock = backend.lock
        self.begin = backend.begin

    def commit(self, operation: str, at: float, changes: Sequence[StateChange], base: StateRef) -> StateRef:
        """Commit, with the fault that is due."""
        self.commits += 1
        fault = self._faults.get(self.commits)
        if fault is not None and fault.when == "before":
            raise fault.error
        ref = self._backend.commit(operation, at, changes, base)
        if fault is not None:
            raise fault.error
        return ref
