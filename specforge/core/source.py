"""Positions in the user's files."""

from __future__ import annotations

from specforge.core.making import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A piece of a file; lines and columns count from 1, the end column is the first one after the piece."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
