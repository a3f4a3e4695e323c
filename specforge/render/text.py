"""The small pieces that every text is made of: colour, width on the screen, durations, values in one line."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping

from specforge.core.making import dataclass

CODES = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")


@dataclass(frozen=True, slots=True)
class Paint:
    """Puts colour on text, or leaves it alone. No meaning is carried by colour only."""

    color: bool = False

    def __call__(self, text: str, *styles: str) -> str:
        """Return the text in these styles (names of `CODES`)."""
        if not (self.color and styles and text):
            return text
        return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"


def columns(text: str) -> int:
    """Return how many columns of a terminal the text takes: Chinese characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, width: int) -> str:
    """Return the text filled with spaces up to this many columns."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """Return the text, ended by `…` if it takes more columns than that."""
    if columns(text) <= width:
        return text
    kept, used = [], 1
    for character in text:
        used += _columns_of(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def plain(text: str) -> str:
    """Return the text on one line, without control characters: what a job printed must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " for each in _SEQUENCE.sub("", text))


def wrap(text: str, width: int, indent: str, hanging: str | None = None) -> list[str]:
    """Return the text as lines of at most `width` columns, broken at spaces; longer words stay whole.

    The first line begins with `indent`, the others with `hanging` (default: two columns more).
    """
    hanging = indent + "  " if hanging is None else hanging
    lines: list[str] = []
    line = indent
    empty = True
    for word in text.split(" "):
        if not empty and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, empty = hanging, True
        line += word if empty else " " + word
        empty = False
    return [*lines, line]


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `4 days`."""
    if seconds < 0.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} days"


def took(seconds: float) -> str:
    """Return a duration worth telling, or nothing."""
    return duration(seconds) if seconds >= 0.05 else ""


def size(count: float) -> str:
    """Return a number of bytes as people say it: `812 B`, `1.4 MB`."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"


def moment(seconds: float) -> str:
    """Return a point in time, from unix seconds: `2026-11-20 12:03:05 UTC`."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float) -> str:
    """Return a count with thousands separated."""
    return f"{value:,}"


def count(many: int, one: str, several: str | None = None) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number(many)} {one if many == 1 else several or one + 's'}"


def value(item: object, width: int = 60) -> str:
    """Return a field's value in one line; what is not set is said so."""
    if item is None:
        return "(not set)"
    if isinstance(item, str):
        quoted = not item or item != item.strip() or not item.isprintable()
        return cut(json.dumps(item, ensure_ascii=False) if quoted else item, width)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, Mapping | list | tuple):
        return cut(json.dumps(item, ensure_ascii=False), width)
    return str(item)


def table(rows: Iterable[tuple[str, ...]], indent: str = "", gap: int = 2) -> list[str]:
    """Return the rows as aligned lines; the last column is not filled up."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(columns(row[index]) for row in rows if index < len(row)) for index in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = [pad(cell, widths[index]) for index, cell in enumerate(row)]
        lines.append((indent + (" " * gap).join(cells)).rstrip())
    return lines
