"""Scans of folders, remembered: a folder whose files look as they did is not read again.

A scan leaves, in the user's cache, a print over the sorted list of (path, size, mtime, ctime, inode, mode), what was
answered, and the rows. The print is compared first; the rows are decoded only if it differs. A file changed in the
same tick of the clock as the scan that read it looks unchanged: files that young are read again. Without a writable
cache everything is read each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import marshal
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specforge.core.digest import digest_of
from specforge.core.values import Select
from specforge.formats.folder import File, Found, Problem, hash_found, walk
from specforge.formats.tree import Entry, digest

FORMAT = 1
# The clock of a file system ticks more slowly than ours, on some every two seconds.
YOUNG = 2_000_000_000
HEADER = {"print", "young", "began", "digest", "facts"}
Rows = Mapping[str, tuple[int, int, int, int, int, str, int]]
"""Remembered files: {path: (size, mtime, ctime, inode, mode, sha256, size that was read)}."""


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
        began = self._clock()
        found = walk(root, select.suffixes)
        seal = _seal(found)
        file = self._file(root, select)
        header = self._header(file)
        if header is not None and header["print"] == seal and not header["young"]:
            return Scan(header["digest"], header["facts"], lambda: self._entries(file, seal, found, select))
        rows = self._rows(file, header) if header is not None else {}
        entries, problems = _read(found, rows, header["began"] if header is not None else 0, select)
        scan = Scan(digest(entries), _facts(found, entries, problems), lambda: tuple(sorted(entries)))
        if not problems:
            young = any(each[3] >= began - YOUNG for each in found.files)
            self._remember(file, scan, seal, young, began, found.files, entries)
        return scan

    def since(self, root: Path, select: Select, scan: Scan, before: str, read: Callable[[], Sequence[Entry]]) -> Any:
        """Return the facts of a scan against a published tree; remembered, for they never change for two digests."""
        file = self._file(root, select).with_suffix(".since")
        key = [FORMAT, scan.digest, before, select.executable]
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(file.read_text(encoding="utf-8"))
            if known["key"] == key:
                return known["facts"]
        facts = compare(scan.entries(), read(), executable=select.executable)
        self._write(file, [{"key": key, "facts": facts}])
        return facts

    def _file(self, root: Path, select: Select) -> Path:
        where = os.fsencode(os.path.abspath(root)).hex()
        return self._folder / f"{digest_of([where, select.suffixes, select.executable])}.scan"

    @staticmethod
    def _header(file: Path) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            with file.open(encoding="utf-8") as lines:
                header = json.loads(lines.readline())
            if isinstance(header, dict) and header.get("format") == FORMAT and header.keys() >= HEADER:
                return header
        return None

    @staticmethod
    def _rows(file: Path, header: Mapping[str, Any]) -> Rows:
        with contextlib.suppress(OSError, ValueError, StopIteration), file.open(encoding="utf-8") as lines:
            # Another process may have put a newer scan in its place meanwhile.
            if json.loads(next(lines)) == header:
                columns = json.loads(next(lines))
                return dict(zip(columns[0], zip(*columns[1:], strict=True), strict=True))
        return {}

    def _entries(self, file: Path, seal: str, found: Found, select: Select) -> tuple[Entry, ...]:
        header = self._header(file)
        rows = self._rows(file, header) if header is not None and header["print"] == seal else {}
        entries, _ = _read(found, rows, header["began"] if header is not None else 0, select)
        return tuple(sorted(entries))

    def _remember(
        self, file: Path, scan: Scan, seal: str, young: bool, began: int, files: Sequence[File], read: Sequence[Entry]
    ) -> None:
        header = {
            "format": FORMAT, "print": seal, "young": young, "began": began, "digest": scan.digest, "facts": scan.facts,
        }  # fmt: skip
        columns = [list(each) for each in zip(*files, strict=True)] or [[]] * 6
        self._write(file, [header, [*columns, [each.sha256 for each in read], [each.size for each in read]]])

    def _write(self, file: Path, lines: Sequence[object]) -> None:
        """Write the file in one step; a cache that cannot be written is done without."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._folder)
            try:
                with open(descriptor, "w", encoding="utf-8") as out:
                    out.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
                os.replace(draft, file)
            except OSError:
                os.unlink(draft)
                raise


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


def _read(found: Found, rows: Rows, began: int, select: Select) -> tuple[list[Entry], list[Problem]]:
    """Return an entry for each file, in the walk's order: from the rows where it looks as then, else from its bytes."""
    entries: list[Entry | None] = []
    unknown: list[File] = []
    for each in found.files:
        row = rows.get(each[0])
        if row is None or row[:5] != each[1:] or each[3] >= began - YOUNG:
            unknown.append(each)
            entries.append(None)
        else:
            entries.append(Entry(each[0], select.executable and bool(each[5] & stat.S_IXUSR), row[6], row[5]))
    read, problems = hash_found(found, unknown, select.executable)
    if problems:
        by_path = {each.path: each for each in read}
        known = [each or by_path.get(file[0]) for each, file in zip(entries, found.files, strict=True)]
        return [each for each in known if each is not None], problems
    fresh = iter(read)
    return [each or next(fresh) for each in entries], problems


def _facts(found: Found, entries: Sequence[Entry], unreadable: Sequence[Problem]) -> dict[str, Any]:
    folders: dict[str, int] = {each: 0 for each in found.empty if "/" not in each}
    for each in entries:
        top, slash, _ = each.path.partition("/")
        top = top if slash else "."
        folders[top] = folders.get(top, 0) + 1
    problems = sorted([*found.problems, *unreadable])
    return {
        "files": len(entries),
        "bytes": sum(each.size for each in entries),
        "folders": dict(sorted(folders.items())),
        "problems": [{"path": each.path, "problem": each.problem} for each in problems],
    }
