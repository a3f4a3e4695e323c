"""Scans of folders, remembered: a folder whose files look as they did is not read again.

A scan leaves, in the user's cache, a print over the sorted list of (path, size, mtime, ctime, inode, mode), what was
answered, and a row for each file. The print is compared first; the rows are decoded only if it differs. A file changed
in the same tick of the clock as the scan that read it looks unchanged: files that young are read again. Without a
writable cache everything is read each time.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import marshal
import os
import stat
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specforge.core.digest import digest_of
from specforge.core.values import Select
from specforge.formats.folder import File, Found, Problem, read, unreadable, walk
from specforge.formats.hashing import hash_files
from specforge.formats.tree import Entry, Row, digest

FORMAT = 1
# The clock of a file system ticks more slowly than ours, on some every two seconds.
YOUNG = 2_000_000_000
HEADER = {"files", "paths", "print", "young", "began", "digest", "facts"}
CODES = ("q", "q", "q", "Q", "q")
"""How size, mtime, ctime, inode and mode are kept, as of `array`."""
Content = tuple[int, str]
"""What was read of a file: size and sha256."""

Known = Mapping[str, tuple[tuple[int, ...], Content]]
"""What is remembered: {path: (how the file looked, what was read)}."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds: the tree's digest, facts as of ScanTree, and `entries()`, sorted by path."""

    digest: str
    facts: dict[str, Any]
    entries: Callable[[], tuple[Entry, ...]]


class Scans:
    """Scans folders with a cache in `cache`/scans. `clock` gives nanoseconds since 1970."""

    def __init__(self, cache: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._folder = cache / "scans"
        self._clock = clock

    def scan(self, root: Path, select: Select) -> Scan:
        """Scan the folder; raises OSError if `root` itself cannot be read."""
        with without_collector():
            return self._scan(root, select)

    def _scan(self, root: Path, select: Select) -> Scan:
        began = self._clock()
        file = self._file(root, select)
        before = self._header(file)
        answers: Sequence[Content | OSError]
        if before is None:
            found, answers = read(root, select.suffixes)
            seal = _seal(found)
        else:
            found = walk(root, select.suffixes)
            seal = _seal(found)
            if before["print"] == seal and not before["young"]:
                return Scan(before["digest"], before["facts"], lambda: self._entries(file, seal, found, select))
            answers = _read_again(found, self._rows(file, before), before["began"])
        rows, problems = _rows_of(found, answers, select)
        scan = Scan(digest(rows), _facts(found, rows, problems), lambda: _entries_of(rows))
        if not problems:
            young = max([each[3] for each in found.files], default=0) >= began - YOUNG
            header = {"print": seal, "young": young, "began": began, "digest": scan.digest, "facts": scan.facts}
            self._remember(file, header, found.files, rows)
        return scan

    def since(self, root: Path, select: Select, scan: Scan, before: str, listed: Callable[[], Sequence[Entry]]) -> Any:
        """Return the facts of a scan against a published tree; remembered, for they never change for two digests."""
        file = self._file(root, select).with_suffix(".since")
        key = [FORMAT, scan.digest, before, select.executable]
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(file.read_text(encoding="utf-8"))
            if known["key"] == key:
                return known["facts"]
        facts = compare(scan.entries(), listed(), executable=select.executable)
        self._write(file, json.dumps({"key": key, "facts": facts}).encode())
        return facts

    def _file(self, root: Path, select: Select) -> Path:
        where = os.fsencode(os.path.abspath(root)).hex()
        return self._folder / f"{digest_of([where, select.suffixes, select.executable])}.scan"

    @staticmethod
    def _header(file: Path) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError), file.open("rb") as lines:
            header = json.loads(lines.readline())
            if isinstance(header, dict) and header.get("format") == FORMAT and header.keys() >= HEADER:
                return header
        return None

    @staticmethod
    def _rows(file: Path, header: Mapping[str, Any]) -> Known:
        with contextlib.suppress(OSError, ValueError), file.open("rb") as lines:
            # Another process may have put a newer scan in its place meanwhile.
            if json.loads(lines.readline()) != header:
                return {}
            count, length = header["files"], header["paths"]
            paths = lines.read(length).decode().split("\0")
            numbers = [array(code, lines.read(8 * count)) for code in (*CODES, "q")]
            digests = lines.read(32 * count).hex()
            if len(digests) != 64 * count:
                return {}
            contents = zip(numbers[-1], (digests[at : at + 64] for at in range(0, 64 * count, 64)), strict=True)
            return dict(zip(paths, zip(zip(*numbers[:-1], strict=True), contents, strict=True), strict=True))
        return {}

    def _entries(self, file: Path, seal: str, found: Found, select: Select) -> tuple[Entry, ...]:
        header = self._header(file)
        known = self._rows(file, header) if header is not None and header["print"] == seal else {}
        answers = _read_again(found, known, header["began"] if header is not None else 0)
        return _entries_of(_rows_of(found, answers, select)[0])

    def _remember(self, file: Path, header: dict[str, Any], files: Sequence[File], rows: Sequence[Row]) -> None:
        paths = "\0".join([each[0] for each in files]).encode()
        looks = [each[1:] for each in files]
        numbers = [array(code, [each[at] for each in looks]) for at, code in enumerate(CODES)]
        numbers.append(array("q", [size for _, _, size, _ in rows]))
        line = json.dumps({"format": FORMAT, "files": len(files), "paths": len(paths), **header}).encode() + b"\n"
        digests = bytes.fromhex("".join([sha256 for *_, sha256 in rows]))
        self._write(file, b"".join([line, paths, *(each.tobytes() for each in numbers), digests]))

    def _write(self, file: Path, content: bytes) -> None:
        """Write the file in one step; a cache that cannot be written is done without."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._folder)
            try:
                with open(descriptor, "wb") as out:
                    out.write(content)
                os.replace(draft, file)
            except OSError:
                os.unlink(draft)
                raise


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector away from a hundred thousand new tuples, none of which is garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def compare(now: Sequence[Entry], before: Sequence[Entry], *, executable: bool) -> dict[str, Any]:
    """Return what was added, removed and changed, as numbers and the first paths; manifests are ours, not counted."""

    def content(entries: Sequence[Entry]) -> dict[str, tuple[object, ...]]:
        return {each.path: (each.sha256, executable and each.executable) for each in entries}

    new = content(now)
    old = {path: each for path, each in content(before).items() if not path.endswith(".manifest") or path in new}
    changes = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
    }
    facts: dict[str, Any] = {name: len(paths) for name, paths in changes.items()}
    return {**facts, **{f"{name}_paths": paths[:20] for name, paths in changes.items()}}


def _seal(found: Found) -> str:
    """Return the print of all that a walk found; version 2 of marshal writes equal values as equal bytes."""
    device = os.stat(found.root).st_dev
    rest = ([tuple(each) for each in found.problems], found.empty, device)
    return hashlib.sha256(marshal.dumps((found.files, rest), 2)).hexdigest()


def _read_again(found: Found, known: Known, began: int) -> Sequence[Content | OSError]:
    """Return each file's content, in the walk's order: as remembered where it looks as then, else from its bytes."""
    answers: list[Content | OSError | None] = []
    unknown: list[int] = []
    for index, each in enumerate(found.files):
        row = known.get(each[0])
        if row is None or row[0] != each[1:] or each[3] >= began - YOUNG:
            unknown.append(index)
            answers.append(None)
        else:
            answers.append(row[1])
    fresh = hash_files([(found.source(found.files[each][0]), found.files[each][1]) for each in unknown])
    for index, answer in zip(unknown, fresh, strict=True):
        answers[index] = answer
    return [each for each in answers if each is not None]


def _rows_of(found: Found, answers: Sequence[Content | OSError], select: Select) -> tuple[list[Row], list[Problem]]:
    """Return the entries of the files that could be read, as plain tuples, and the problems of the others."""
    bit = stat.S_IXUSR if select.executable else 0
    rows: list[Row] = []
    problems = []
    for file, told in zip(found.files, answers, strict=True):
        if isinstance(told, OSError):
            problems.append(unreadable(file[0], told))
        else:
            rows.append((file[0], file[5] & bit != 0, told[0], told[1]))
    return rows, problems


def _entries_of(rows: Sequence[Row]) -> tuple[Entry, ...]:
    return tuple([Entry(*each) for each in sorted(rows)])


def _facts(found: Found, rows: Sequence[Row], unread: Sequence[Problem]) -> dict[str, Any]:
    counts = Counter([path.partition("/")[0] if "/" in path else "." for path, *_ in rows])
    folders = {each: 0 for each in found.empty if "/" not in each} | counts
    problems = sorted([*found.problems, *unread])
    return {
        "files": len(rows),
        "bytes": sum([size for _, _, size, _ in rows]),
        "folders": dict(sorted(folders.items())),
        "problems": [{"path": each.path, "problem": each.problem} for each in problems],
    }
