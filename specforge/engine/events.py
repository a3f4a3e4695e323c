"""Events of an apply: what a progress view, the plain lines and `--json` are made from. Schema: docs/events.md.

Each becomes one JSON object a line with `event`, `at` (unix seconds) and its fields; the first is `start` with
`format`. Fields may be added within a format, never change their meaning.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Started:
    """An apply begins; `total` changes are pending. `diagnostics`: warnings of the places, before anything is done."""

    at: float
    operation: str
    project: str
    environment: str
    total: int
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """Work on one resource begins."""

    at: float
    address: Address
    action: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins; `words` say what it does: "run train", "publish"."""

    at: float
    address: Address
    step: str
    words: str


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step reports: a log line (`kind` "log"), a state ("state") or progress (`done` of `total` in `unit`)."""

    at: float
    address: Address
    step: str
    kind: str
    text: str = ""
    done: float | None = None
    total: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ChangeEnded:
    """Work on one resource is over.

    `outcome`: done | reused | cut off | refused | failed | skipped | cancelled | unreachable. `version` is what became
    current; `words` the result for people ("V0002 accuracy 0.98"); `because` the root cause of a skip.
    """

    at: float
    address: Address
    action: str
    outcome: str
    seconds: float
    version: str | None = None
    words: str = ""
    because: Address | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run left by an earlier apply was dealt with: `outcome` cancelled | kept | discarded."""

    at: float
    address: Address
    outcome: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The apply is over; `outcome`: done | failed | interrupted; counts per outcome of changes."""

    at: float
    outcome: str
    seconds: float
    counts: tuple[tuple[str, int], ...]


Event = Started | ChangeStarted | StepStarted | StepProgress | ChangeEnded | RunEnded | Ended
Sink = Callable[[Event], None]


class Reporter:
    """Hands events on to a listener, one at a time. What listens can stop nothing: after its first error it hears no
    more, and the error comes out at the end.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._error: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Hand the event on."""
        with self._lock:
            if self._error is None:
                try:
                    self._sink(event)
                except Exception as error:  # noqa: BLE001 - raised by `finish`, once everything is recorded
                    self._error = error

    def finish(self) -> None:
        """Raise the listener's error, if it had one."""
        if self._error is not None:
            raise self._error
