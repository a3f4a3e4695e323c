"""Diagnostics: what is wrong or worth a warning, as values. Collected, sorted, rendered elsewhere.

Codes: SF1xx loading, SF2xx planning, SF3xx state, SF4xx execution, SF5xx plugins. Every code has a row in
docs/reference/errors.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.source import Span


class Severity(Enum):
    """How bad: an error stops the phase, a warning is printed and the work goes on."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the user.

    `summary` is short and names nothing of the user's, so that it can be recognised; `detail` is the cause, in a
    sentence that may stand after a caret; `hint` is what to do. `address` and `path` (field names and indices) locate
    a value of a spec; whoever knows the files puts `span` and `snippet` (the line's text) in later.
    """

    code: str
    summary: str
    detail: str
    severity: Severity = Severity.ERROR
    hint: str | None = None
    address: Address | None = None
    path: tuple[str | int, ...] = ()
    span: Span | None = None
    snippet: str | None = None
    note: str | None = None


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return them in the order of the user's files; those without a place come last; equal ones once."""

    def order(each: Diagnostic) -> tuple[bool, Span, str, str, str, str]:
        span = each.span or Span("", 0, 0, 0, 0)
        rest = repr((each.path, each.severity.value, each.summary, each.hint, each.snippet, each.note))
        return (each.span is None, span, str(each.address or ""), each.code, each.detail, rest)

    return tuple(sorted(dict.fromkeys(diagnostics), key=order))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether any of them is an error."""
    return Severity.ERROR in [each.severity for each in diagnostics]
