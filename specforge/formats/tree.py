"""The tree format: a folder as a sorted list of (path, executable bit, size, sha256), and its digest.

One line per file, a JSON array `["path",executable,size,"sha256"]` with `executable` 0 or 1, sorted by path, paths in
Unicode form NFC with `/`. The digest of a tree is the sha256 of this text. No times, no owners, no empty folders.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple


class Entry(NamedTuple):
    """One file of a tree; `size` in bytes, `sha256` in 64 hexadecimal digits."""

    path: str
    executable: bool
    size: int
    sha256: str


def listing(entries: Iterable[Entry]) -> bytes:
    """Return the text that stands for the tree; the same for the same files in any order."""
    ordered = sorted(
        (unicodedata.normalize("NFC", each.path), int(each.executable), each.size, each.sha256) for each in entries
    )
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in ordered).encode()


def digest(entries: Iterable[Entry]) -> str:
    """Return the tree's digest."""
    return hashlib.sha256(listing(entries)).hexdigest()


def parse(text: bytes) -> tuple[Entry, ...]:
    """Read a listing; raises ValueError if it is not one."""
    entries = []
    for line in text.splitlines():
        path, executable, size, sha256 = json.loads(line)
        entries.append(Entry(str(path), bool(executable), int(size), str(sha256)))
    return tuple(entries)
