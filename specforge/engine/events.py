"""Events of an apply: what a progress view, the plain lines and `--json` are made from. Schema: docs/events.md.

Each becomes one JSON object a line with `event`, `at` (unix seconds) and its fields; the first is `start` with
`format`. Fields may be added within a format, never change their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic

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
