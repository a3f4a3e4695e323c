"""What is never read of a folder: names that tools leave behind, and the patterns of `.specignore` files.

A `.specignore` holds one pattern a line, as in a `.gitignore`: `#` begins a comment, `!` takes a later file back in, a
`/` at the end means folders only, a `/` elsewhere ties the pattern to the file's own folder; `*`, `?`, `[…]` stay
within one name, `**` does not. It holds for its folder and everything below.
"""

from __future__ import annotations

import re
from typing import NamedTuple

IGNORE_FILE = ".specignore"
LEFT_OUT = frozenset({".git", "__pycache__", ".ipynb_checkpoints", ".DS_Store", ".specforge", IGNORE_FILE})
LEFT_OUT_SUFFIX = ".pyc"


class Pattern(NamedTuple):
    """One line of a `.specignore`; `base` is the length of its folder's path in front of what is matched."""

    base: int
    regex: re.Pattern[str]
    folders_only: bool
    taken_back: bool


def parse(text: str, base: int) -> tuple[Pattern, ...]:
    """Read the lines of a `.specignore`."""
    patterns = []
    for line in text.splitlines():
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        taken_back = line.startswith("!")
        line = line[1:] if taken_back else line.removeprefix("\\")
        folders_only = line.endswith("/")
        line = line.rstrip("/")
        anchored = "/" in line
        line = line.removeprefix("/")
        if line:
            front = "" if anchored else "(?:.*/)?"
            patterns.append(Pattern(base, re.compile(front + _regex(line), re.DOTALL), folders_only, taken_back))
    return tuple(patterns)


def ignored(patterns: tuple[Pattern, ...], path: str, folder: bool) -> bool:
    """Return whether the last pattern that fits leaves this path out."""
    for each in reversed(patterns):
        if (folder or not each.folders_only) and each.regex.fullmatch(path, each.base):
            return not each.taken_back
    return False


_PIECES = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?)|\[([!^]?)(\]?[^\]]*)\]|\\?(.)", re.DOTALL)


def _regex(pattern: str) -> str:
    """Return the regular expression of a glob."""

    def piece(found: re.Match[str]) -> str:
        deep, all_, star, mark, negated, chosen, other = found.groups()
        if deep:
            return "(?:.*/)?"
        if all_:
            return ".*"
        if star:
            return "[^/]*"
        if mark:
            return "[^/]"
        if chosen is not None:
            body = chosen.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            return f"(?!/)[{'^' if negated else ''}{body}]" if body else re.escape(found.group(0))
        return re.escape(other)

    return _PIECES.sub(piece, pattern)
