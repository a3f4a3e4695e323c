"""What can go wrong in a fake world, and when."""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.values import Place


class SimulatedCrash(BaseException):
    """The process that applies dies here: nothing of ours may catch it, and what was started goes on without it."""


class Fault(Enum):
    """What strikes at a point.

    ERROR: the step fails there; after an effect this is a lost reply. CRASH: `SimulatedCrash`. UNREACHABLE: the place
    cannot be reached from here on, until `world.heal()`. LOSE: all data of the store's newest build vanish, silently.
    """

    ERROR = "error"
    CRASH = "crash"
    UNREACHABLE = "unreachable"
    LOSE = "lose"


class Point(NamedTuple):
    """A moment at which a fault may strike: before or after which effect, at which place."""

    when: Literal["before", "after"]
    effect: str
    place: str


def failed(
    detail: str, *, hint: str | None = None, ended: bool = False, refusal: bool = False, log: str = ""
) -> ExecutionError:
    """Return the error of a step that cannot be done."""
    return ExecutionError(
        Diagnostic("SF490", "The fake world refuses", detail, hint=hint), ended=ended, refusal=refusal, log=log
    )


def unreachable_error(place: Place | str) -> ExecutionError:
    """Return the error of a place that cannot be reached."""
    return ExecutionError(
        Diagnostic("SF491", "Place unreachable", f"`{place}` does not answer", hint="try again later")
    )
