"""What comes of the work on one change."""

from __future__ import annotations

from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change: the word of ChangeEnded, the version that is current, words for people."""

    word: str
    version: str | None = None
    words: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
