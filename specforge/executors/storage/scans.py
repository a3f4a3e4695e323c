"""Scans of folders, remembered: a folder whose files look as they did is not read again.

A scan leaves, in the user's cache, the list of (path, size, mtime, ctime, inode, mode) and its print, what was
answered, and what was read of each file. The print is compared first; the rest is decoded only if it differs. A file
changed in the same tick of the clock as the scan that read it looks unchanged: files that young are read again. Without
a writable cache everything is read each time.
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
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from specforge.core.digest import digest_of
from specforge.core.making import dataclass
from specforge.core.values import Select
from specforge.formats.folder import File, Found, Problem, read, unreadable, walk
from specforge.formats.hashing import hash_files
from specforge.formats.tree import Entry, Row, digest

FORMAT = 2
# The clock of a file system ticks more slowly than ours, on some every two seconds.
YOUNG = 2_000_000_000
HEADER = {"files", "looks", "print", "young", "began", "digest", "facts"}
MARSHAL = 2
"""The version of marshal in which equal values are equal bytes."""
Content = tuple[int, str]
"""What was read of a file: size and sha256."""

Known = Mapping[str, tuple[File, Content]]
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
            looks, seal = _looks(found)
        else:
            found = walk(root, select.suffixes)
            looks, seal = _looks(found)
            if before["print"] == seal and not before["young"]:
                return Scan(before["digest"], before["facts"], lambda: self._entries(file, seal, found, select))
            answers = _read_again(found, self._known(file, before), before["began"])
        rows, problems = _rows_of(found, answers, select)
        scan = Scan(digest(rows), _facts(found, rows, problems), lambda: tuple([Entry(*each) for each in rows]))
        if not problems:
            young = max([each[3] for each in found.files], default=0) >= began - YOUNG
            header = {"print": seal, "young": young, "began": began, "digest": scan.digest, "facts": scan.facts}
            self._remember(file, header, looks, [each for each in answers if not isinstance(each, OSError)])
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
    def _known(file: Path, header: Mapping[str, Any]) -> Known:
        with contextlib.suppress(OSError, ValueError), file.open("rb") as lines:
            # Another process may have put a newer scan in its place meanwhile.
            if json.loads(lines.readline()) != header:
                return {}
            looks = lines.read(header["looks"])
            if hashlib.sha256(looks).hexdigest() != header["print"]:
                return {}
            files, _ = marshal.loads(looks)  # noqa: S302 - their print says that a scan of ours wrote them
            sizes = array("q", lines.read(8 * len(files)))
            text = lines.read(32 * len(files)).hex()
            if len(text) != 64 * len(files):
                return {}
            digests = [text[at : at + 64] for at in range(0, 64 * len(files), 64)]
            contents = zip(sizes, digests, strict=True)
            return {each[0]: (each, content) for each, content in zip(files, contents, strict=True)}
        return {}

    def _entries(self, file: Path, seal: str, found: Found, select: Select) -> tuple[Entry, ...]:
        header = self._header(file)
        known = self._known(file, header) if header is not None and header["print"] == seal else {}
        answers = _read_again(found, known, header["began"] if header is not None else 0)
        return tuple([Entry(*each) for each in _rows_of(found, answers, select)[0]])

    def _remember(self, file: Path, header: dict[str, Any], looks: bytes, contents: Sequence[Content]) -> None:
        line = json.dumps({"format": FORMAT, "files": len(contents), "looks": len(looks), **header}).encode() + b"\n"
        sizes = array("q", [size for size, _ in contents]).tobytes()
        digests = bytes.fromhex("".join([sha256 for _, sha256 in contents]))
        self._write(file, b"".join([line, looks, sizes, digests]))

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


def _looks(found: Found) -> tuple[bytes, str]:
    """Return all that a walk found as bytes, the same for the same, and their print."""
    device = os.stat(found.root).st_dev
    rest = ([tuple(each) for each in found.problems], found.empty, device)
    looks = marshal.dumps((found.files, rest), MARSHAL)
    return looks, hashlib.sha256(looks).hexdigest()


def _read_again(found: Found, known: Known, began: int) -> Sequence[Content | OSError]:
    """Return each file's content, in the walk's order: as remembered where it looks as then, else from its bytes."""
    answers: list[Content | OSError | None] = []
    unknown: list[int] = []
    for index, each in enumerate(found.files):
        row = known.get(each[0])
        if row is None or row[0] != each or each[3] >= began - YOUNG:
            unknown.append(index)
            answers.append(None)
        else:
            answers.append(row[1])
    fresh = hash_files([(found.source(found.files[each][0]), found.files[each][1]) for each in unknown])
    for index, answer in zip(unknown, fresh, strict=True):
        answers[index] = answer
    return [each for each in answers if each is not None]


def _rows_of(found: Found, answers: Sequence[Content | OSError], select: Select) -> tuple[list[Row], list[Problem]]:
    """Return the entries of the files that could be read, as plain tuples by path, and the problems of the others."""
    bit = stat.S_IXUSR if select.executable else 0
    rows: list[Row] = []
    problems = []
    for file, told in zip(found.files, answers, strict=True):
        if isinstance(told, OSError):
            problems.append(unreadable(file[0], told))
        else:
            rows.append((file[0], file[5] & bit != 0, told[0], told[1]))
    rows.sort()
    return rows, problems


def _facts(found: Found, rows: Sequence[Row], unread: Sequence[Problem]) -> dict[str, Any]:
    folders = {each: 0 for each in found.empty if "/" not in each} | _counts([path for path, *_ in rows])
    problems = sorted([*found.problems, *unread])
    return {
        "files": len(rows),
        "bytes": sum([size for _, _, size, _ in rows]),
        "folders": dict(sorted(folders.items())),
        "problems": [{"path": each.path, "problem": each.problem} for each in problems],
    }


def _counts(paths: Sequence[str]) -> dict[str, int]:
    """Return how many of the sorted paths lie in each folder of the first level; `.` has those in none."""
    counts: dict[str, int] = {}
    at = 0
    while at < len(paths):
        folder, slash, _ = paths[at].partition("/")
        # What begins with `folder/` stands together, before whatever begins with `folder0`, the letter after `/`.
        end = bisect_left(paths, f"{folder}0", at) if slash else at + 1
        name = folder if slash else "."
        counts[name] = counts.get(name, 0) + end - at
        at = end
    return counts
