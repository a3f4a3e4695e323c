"""The executor protocol, its abilities and what it is handed. Contract: `specforge.testing`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.queries import Query, Seen
from specforge.core.steps import Step
from specforge.core.values import EMPTY, Frozen, Key, Place, Tree
from specforge.formats.tree import Entry


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Something that happened while a step was performed.

    kind "log": `text` is a line of output. kind "progress": `done` of `total` (bytes or files, in `unit`). kind
    "state": `text` says what it is doing now ("waiting for a free slot", "attached to a running job").
    """

    kind: str
    text: str = ""
    done: float | None = None
    total: float | None = None
    unit: str = ""


class CancelToken:
    """Asks performers to stop; they check it wherever they wait."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; return whether a stop was asked for."""
        return self._event.wait(seconds)


def ignore_event(_: StepEvent) -> None:
    """Drop the event."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a performer gets beside the step: the run key, where to report, and whether to stop."""

    key: Key
    emit: Callable[[StepEvent], None] = ignore_event
    cancel: CancelToken = field(default_factory=CancelToken)


@dataclass(frozen=True, slots=True)
class Result:
    """What a performed step gives: outputs that later steps and resources refer to (keys: see core/steps.py)."""

    outputs: Frozen = EMPTY


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a job's output; `at` in unix seconds, None where the place does not keep times."""

    at: float | None
    text: str


class Executor(Protocol):
    """Performs steps and answers queries at the places of one driver. Safe to use from several threads."""

    def observe(self, place: Place, queries: Sequence[Query], deadline: float | None) -> Mapping[Query, Seen]:
        """Answer a batch, without any effect; never raises for one query. ABSENT only on positive evidence.

        `deadline` in seconds from now: what is not answered by then is UNREACHABLE.
        """
        ...

    def preflight(self, place: Place, steps: Sequence[Step], deadline: float | None) -> Sequence[Diagnostic]:
        """Say what would keep these steps from succeeding, before anything runs; no effect."""
        ...

    def perform(self, step: Step, context: StepContext) -> Result:
        """Make it so. Idempotent under `context.key`; raises ExecutionError (Cancelled when asked to stop)."""
        ...

    def cancel(self, place: Place, key: str, grace: float) -> None:
        """Stop the job with this run key: politely, after `grace` seconds by force. Silent if it is not running."""
        ...

    def logs(self, place: Place, key: str, since: float | None, follow: bool) -> Iterator[LogLine]:
        """Give the lines of the job's output, from unix time `since` on; `follow`: until it ends."""
        ...


@runtime_checkable
class TreeReader(Protocol):
    """An ability: give the files of a tree at a place. Stores and pools both have it, so that trees can travel."""

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List the tree, sorted by path; raises ExecutionError if it is not there."""
        ...

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open one of its files for reading."""
        ...


@runtime_checkable
class LocalTrees(Protocol):
    """An ability of places on this machine: say where a tree's folder lies, so that a job reads it without a copy."""

    def local_folder(self, tree: Tree) -> Path | None:
        """Return the folder, or None if the tree is not one folder of this machine (a published tree is not)."""
        ...


@runtime_checkable
class Discards(Protocol):
    """An ability of places that keep what a job left: drop its heavy parts once they were published."""

    def discard(self, place: Place, key: str) -> None:
        """Remove inputs, code and outputs of the ended run with this key; keep its log and status. Silent if gone."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an executor is made with: the project's root (relative places begin there), the user's cache folder, and
    how to reach the trees of other places.
    """

    root: Path
    cache: Path
    reader: Callable[[Place], TreeReader]
