"""The tree format: a folder as a sorted list of (path, executable bit, size, sha256), and its digest.

One line per file, a JSON array `["path",executable,size,"sha256"]` with `executable` 0 or 1, sorted by path, paths in
Unicode form NFC with `/`. The digest of a tree is the sha256 of this text. No times, no owners, no empty folders.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from json.encoder import encode_basestring as _quoted
from typing import NamedTuple


class Entry(NamedTuple):
    """One file of a tree; `size` in bytes, `sha256` in 64 hexadecimal digits."""

    path: str
    executable: bool
    size: int
    sha256: str


Row = tuple[str, bool, int, str]
"""An entry as a plain tuple, for those who have very many."""


def listing(entries: Iterable[Entry | Row]) -> bytes:
    """Return the text that stands for the tree; the same for the same files in any order."""
    ordered = sorted(entries)
    if not "".join([each[0] for each in ordered]).isascii():
        ordered = sorted([(_normal(path), bit, size, sha) for path, bit, size, sha in ordered])
    # As `json.dumps` of each row would give it, at a fifth of the time: there may be a hundred thousand.
    return "".join([f'[{_quoted(path)},{bit:d},{size},"{sha}"]\n' for path, bit, size, sha in ordered]).encode()


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def digest(entries: Iterable[Entry | Row]) -> str:
    """Return the tree's digest."""
    return hashlib.sha256(listing(entries)).hexdigest()


def parse(text: bytes) -> tuple[Entry, ...]:
    """Read a listing; raises ValueError if it is not one."""
    rows = json.loads(b"[" + b",".join(text.splitlines()) + b"]")
    try:
        return tuple([Entry(path, bool(bit), size, sha) for path, bit, size, sha in rows])
    except TypeError as error:
        raise ValueError(f"not a listing of a tree: {error}") from error
