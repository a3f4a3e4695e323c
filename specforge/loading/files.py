"""The files that a pattern names.

A folder that cannot be read is an error here, where `glob` finds it empty: documents that silently vanish would look
like resources that the user has taken away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.source import Span

_MAGIC = re.compile(r"[*?\[]")


def matching(root: Path, pattern: str) -> tuple[list[str], list[Diagnostic]]:
    """Return the files below `root` that match, as relative names with `/`, and the folders that cannot be read.

    `*` and `?` stand for characters of one name, `**` for any folders; names that begin with a dot are left out
    unless the pattern writes the dot. Links are followed, each folder once.
    """
    segments = [each for each in pattern.split("/") if each not in ("", ".")]
    fixed = next((at for at, each in enumerate(segments) if _MAGIC.search(each)), len(segments) - 1)
    expression = re.compile("".join(_translated(segments)))
    problems: list[Diagnostic] = []
    start = "/".join(segments[:fixed])
    deepest = None if "**" in segments else len(segments)
    walked = _walk(root, start, fixed + 1, deepest, set(), problems)
    return [each for each in walked if expression.fullmatch(each)], problems


def _translated(segments: list[str]) -> Iterator[str]:
    for at, segment in enumerate(segments):
        last = at == len(segments) - 1
        if segment == "**":
            yield r"(?:(?!\.)[^/]+/)*" + (r"(?!\.)[^/]+" if last else "")
            continue
        hidden = "" if segment.startswith(".") else r"(?!\.)"
        yield hidden + "".join(_of_segment(segment)) + ("" if last else "/")


def _of_segment(segment: str) -> Iterator[str]:
    for part in re.findall(r"\[[^\]]+\]|.", segment, re.DOTALL):
        if part == "*":
            yield "[^/]*"
        elif part == "?":
            yield "[^/]"
        elif part.startswith("[") and part.endswith("]") and len(part) > 2:
            inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            yield "[" + ("^/" + inside[1:] if inside.startswith("!") else inside) + "]"
        else:
            yield re.escape(part)


def _walk(
    root: Path, folder: str, depth: int, deepest: int | None, seen: set[tuple[int, int]], problems: list[Diagnostic]
) -> Iterator[str]:
    """Give the files below a folder, sorted; `depth` counts the segments of a name in it."""
    try:
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / folder) as listing:
            entries = sorted(listing, key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        detail = f"the folder `{folder}` cannot be read: {(error.strerror or str(error)).lower()}"
        problems.append(Diagnostic("SF102", "Unreadable folder", detail, span=Span(folder, 1, 1, 1, 1)))
        return
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if not _is_folder(entry):
            yield name
        elif (deepest is None or depth < deepest) and not entry.name.startswith("."):
            yield from _walk(root, name, depth + 1, deepest, seen, problems)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads nowhere we may look: told when it is read
