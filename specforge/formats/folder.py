"""A folder of the user's as files to read: which ones count, what is wrong with the others, and their digests.

Links that stay inside the folder are followed, others are a problem; what `specforge.formats.ignore` names is left
out; paths are in Unicode form NFC. Nothing is written.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from specforge.formats.hashing import Hashed, Hashing
from specforge.formats.ignore import IGNORE_FILE, LEFT_OUT, LEFT_OUT_SUFFIX, Pattern, ignored, parse
from specforge.formats.tree import Entry

LONGEST_NAME = 255

File = tuple[str, int, int, int, int, int]
"""One file: relative path, size in bytes, mtime and ctime in nanoseconds, inode, mode. A plain tuple, for speed."""


class Problem(NamedTuple):
    """Something in a folder that cannot be read as data: where, and what is wrong with it."""

    path: str
    problem: str


@dataclass(slots=True)
class Found:
    """What lies in a folder. `empty`: folders with no file that counts, at any depth, in them."""

    root: str
    files: list[File] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    def source(self, path: str) -> str:
        """Return where the file of this relative path is to be opened."""
        return self.renamed.get(path) or f"{self.root}/{path}"


class UnfitFolderError(Exception):
    """A folder that cannot be taken as a tree; says what is wrong with which files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"`{each.path}` {each.problem}" for each in self.problems[:5]))


def walk(
    root: Path,
    suffixes: Iterable[str] = (),
    allowed_links: Iterable[Path] = (),
    report: Callable[[Found, Sequence[File]], None] | None = None,
) -> Found:
    """Return the files below `root` that count: all, or those with one of the suffixes (lower case, with the dot).

    `allowed_links`: further folders that links may lead into. `report` is called with the files of each folder as it
    was read. Raises OSError if `root` itself cannot be read; what is wrong further down is among the problems.
    """
    real = os.path.realpath(root)
    walker = _Walker(Found(real), tuple(suffixes), (real, *(os.path.realpath(each) for each in allowed_links)))
    reported = 0
    os.scandir(real).close()
    while walker.waiting:
        walker.next()
        if report is not None:
            report(walker.found, walker.found.files[reported:])
            reported = len(walker.found.files)
    return walker.finish()


def entries(
    root: Path, suffixes: Iterable[str] = (), executable: bool = True, allowed_links: Iterable[Path] = ()
) -> tuple[Entry, ...]:
    """Return the folder's files as entries of a tree, sorted by path; `executable=False` leaves that bit out.

    Raises UnfitFolderError if anything in it cannot be read, OSError if `root` itself cannot be.
    """
    found, answers = read(root, suffixes, allowed_links)
    made, problems = [], list(found.problems)
    for each, answer in zip(found.files, answers, strict=True):
        if isinstance(answer, OSError):
            problems.append(unreadable(each[0], answer))
        else:
            made.append(Entry(each[0], executable and bool(each[5] & stat.S_IXUSR), *answer))
    if problems:
        raise UnfitFolderError(problems)
    return tuple(sorted(made))


def read(
    root: Path, suffixes: Iterable[str] = (), allowed_links: Iterable[Path] = ()
) -> tuple[Found, list[Hashed | OSError]]:
    """Walk and read at once: return what was found, and what was read of each file, in the same order."""
    with Hashing() as hashing:

        def report(found: Found, files: Sequence[File]) -> None:
            front = f"{found.root}/"
            if found.renamed:
                hashing.add([(found.source(each[0]), each[1]) for each in files])
            else:
                hashing.add([(front + each[0], each[1]) for each in files])
            taken.append(files)

        taken: list[Sequence[File]] = []
        found = walk(root, suffixes, allowed_links, report)
        answers = hashing.finish()
    if len(answers) != len(found.files):
        # Of twins one was left out again; their folder is not a tree anyway.
        by_path = dict(zip((each[0] for files in taken for each in files), answers, strict=True))
        answers = [by_path[each[0]] for each in found.files]
    return found, answers


def unreadable(path: str, error: OSError) -> Problem:
    """Return the problem of a file or folder that the system does not let us read."""
    return Problem(path, f"cannot be read: {words(error)}")


def words(error: OSError) -> str:
    """Return what the system says, in lower case and without the number."""
    return (error.strerror or str(error)).lower()


def locate(root: str, path: str) -> str:
    """Return where the file of an NFC path lies below `root`; its names on disk may be in another Unicode form."""
    direct = f"{root}/{path}"
    if path.isascii() or os.path.lexists(direct):
        return direct
    here = root
    for name in path.split("/"):
        step = f"{here}/{name}"
        if not os.path.lexists(step):
            with os.scandir(here) as listing:
                same = (each.path for each in listing if unicodedata.normalize("NFC", each.name) == name)
                step = next(same, step)
        here = step
    return here


class _Walker:
    def __init__(self, found: Found, suffixes: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        self.found = found
        self.suffixes = suffixes
        self.allowed = allowed
        # (folder, prefix of its paths, its real path, patterns, real folders in which links were entered)
        self.waiting: list[tuple[str, str, str, tuple[Pattern, ...], tuple[str, ...]]] = [
            (found.root, "", found.root, (), ())
        ]
        self.other_forms = False
        self.visited: list[str] = []
        self.with_files: set[str] = set()

    def next(self) -> None:
        """Read one more folder."""
        folder, prefix, real, patterns, trail = self.waiting.pop()
        try:
            self.folder(folder, prefix, real, patterns, trail)
        except OSError as error:
            self.found.problems.append(unreadable(shown(prefix[:-1]) or ".", error))

    def folder(
        self, folder: str, prefix: str, real: str, patterns: tuple[Pattern, ...], trail: tuple[str, ...]
    ) -> None:
        """Take what lies in one folder; the folders in it wait for their turn."""
        with os.scandir(folder) as listing:
            inside = sorted(listing, key=attrgetter("name"))
        if any(each.name == IGNORE_FILE for each in inside):
            patterns = self.patterns(f"{folder}/{IGNORE_FILE}", prefix, patterns)
        files, suffixes = self.found.files, self.suffixes
        before, folders = len(files), []
        moved = folder != f"{self.found.root}/{prefix}"[:-1]
        for each in inside:
            name = each.name
            if name in LEFT_OUT or name.endswith(LEFT_OUT_SUFFIX):
                continue
            path = prefix + name
            if not name.isascii() and not (path := self.normal(name, prefix, each.path)):
                continue
            if each.is_file(follow_symlinks=False):
                if (suffixes and not name.lower().endswith(suffixes)) or (patterns and ignored(patterns, path, False)):
                    continue
                about = each.stat(follow_symlinks=False)
                files.append(
                    (path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode)
                )  # fmt: skip
                if moved:
                    self.found.renamed[path] = each.path
            elif each.is_dir(follow_symlinks=False):
                if not (patterns and ignored(patterns, path, True)):
                    folders.append((each.path, path + "/", f"{real}/{name}", patterns, trail))
            else:
                self.special(each, path, real, patterns, trail)
        self.waiting.extend(reversed(folders))
        if len(files) > before:
            self.filled(prefix)
        self.visited.append(prefix)

    def special(
        self, each: os.DirEntry[str], path: str, real: str, patterns: tuple[Pattern, ...], trail: tuple[str, ...]
    ) -> None:
        """Take a link, or say why not; anything else is a socket, a pipe or a device."""
        if not each.is_symlink():
            if not ignored(patterns, path, False):
                self.problem(path, "is neither a file nor a folder")
            return
        try:
            about = os.stat(each.path)
        except OSError as error:
            if not ignored(patterns, path, False):
                self.problem(path, f"is a link that cannot be followed: {words(error)}")
            return
        folder = stat.S_ISDIR(about.st_mode)
        if ignored(patterns, path, folder):
            return
        target = os.path.realpath(each.path)
        if folder:
            if self.outside(target):
                self.problem(path, "is a link that leads outside the folder")
            elif any(_within(one, target) for one in (*trail, real)):
                self.problem(path, "is a link to a folder that it lies in")
            else:
                self.waiting.append((each.path, path + "/", target, patterns, (*trail, real)))
        elif not self.suffixes or path.lower().endswith(self.suffixes):
            if self.outside(target):
                self.problem(path, "is a link that leads outside the folder")
            elif not stat.S_ISREG(about.st_mode):
                self.problem(path, "is neither a file nor a folder")
            else:
                row = (path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode)
                self.found.files.append(row)
                self.filled(path[: path.rfind("/") + 1])
                if f"{self.found.root}/{path}" != each.path:
                    self.found.renamed[path] = each.path

    def filled(self, prefix: str) -> None:
        """Note that a file that counts lies in this folder, and so in those around it."""
        while prefix not in self.with_files:
            self.with_files.add(prefix)
            prefix = prefix[: prefix.rfind("/", 0, -1) + 1]

    def finish(self) -> Found:
        """Return what was found, empty folders and twins sorted out."""
        self.check_twins()
        self.found.empty += sorted(each[:-1] for each in self.visited if each and each not in self.with_files)
        return self.found

    def outside(self, target: str) -> bool:
        return not any(_within(target, each) for each in self.allowed)

    def patterns(self, file: str, prefix: str, outer: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            said = words(error) if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problem(prefix + IGNORE_FILE, f"cannot be read: {said}")
            return outer
        return (*outer, *parse(unicodedata.normalize("NFC", text), len(prefix)))

    def normal(self, name: str, prefix: str, source: str) -> str:
        """Return the relative path for a name with other than ASCII letters; `""` if the name cannot be taken."""
        try:
            name.encode()
        except UnicodeEncodeError:
            self.problem(prefix + shown(name), "has a name that is not UTF-8")
            return ""
        normal = unicodedata.normalize("NFC", name)
        if len(normal.encode()) > LONGEST_NAME:
            self.problem(prefix + normal, f"has a name of more than {LONGEST_NAME} bytes")
            return ""
        self.other_forms = True
        path = prefix + normal
        if f"{self.found.root}/{path}" != source:
            self.found.renamed[path] = source
        return path

    def check_twins(self) -> None:
        """Two names on disk may be one in NFC: then neither can be told from the other."""
        if not self.other_forms:
            return
        seen: set[str] = set()
        kept = []
        for each in self.found.files:
            if each[0] in seen:
                self.problem(each[0], "is there twice, its names differ only in their Unicode form")
            else:
                seen.add(each[0])
                kept.append(each)
        self.found.files[:] = kept

    def problem(self, path: str, text: str) -> None:
        self.found.problems.append(Problem(shown(path), text))


def shown(path: str) -> str:
    """Return the path with bytes that are not UTF-8 written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
