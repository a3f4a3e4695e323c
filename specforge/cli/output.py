"""Where a command writes: data on standard output, everything else on standard error, colour only where it is seen."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from specforge.core.making import dataclass

PLAIN_WIDTH = 100
"""Columns of text that goes to a file or a pipe."""


class OutputLostError(OSError):
    """Standard output took nothing more; `meanwhile` says what became of the command."""

    def __init__(self, error: OSError, meanwhile: str = "") -> None:
        gone = errno.EPIPE if isinstance(error, BrokenPipeError) else error.errno
        super().__init__(gone, error.strerror or str(error))
        self.meanwhile = meanwhile


@dataclass(frozen=True, slots=True)
class Output:
    """The two streams and how to write on them. `as_json`: data are printed as JSON."""

    as_json: bool = False

    @property
    def width(self) -> int:
        """Columns to fill: the terminal's (at most 120), or a fixed number where there is none."""
        if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
            return max(40, min(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, 120))
        return PLAIN_WIDTH

    @property
    def color(self) -> bool:
        """Whether to colour standard output."""
        return colored(sys.stdout)

    @property
    def error_color(self) -> bool:
        """Whether to colour standard error."""
        return colored(sys.stderr)

    def text(self, text: str) -> None:
        """Write text on standard output; a newline is put at its end if it has none. Raises OutputLostError."""
        try:
            sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
            sys.stdout.flush()
        except OSError as error:
            raise OutputLostError(error) from error

    def data(self, value: Mapping[str, Any] | list[Any]) -> None:
        """Write one JSON document on standard output."""
        self.text(json.dumps(value, ensure_ascii=False, indent=2))

    def note(self, text: str) -> None:
        """Write a message on standard error."""
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()


def colored(stream: TextIO) -> bool:
    """Return whether to colour this stream: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
