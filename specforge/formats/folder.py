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
from typing import NamedTuple, TypeVar

from specforge.formats.hashing import Hashing
from specforge.formats.ignore import IGNORE_FILE, LEFT_OUT, LEFT_OUT_SUFFIX, Pattern, ignored, parse
from specforge.formats.tree import Entry

LONGEST_NAME = 255
Item = TypeVar("Item")

File = tuple[str, int, int, int, int, int]
"""One file: relative path, size in bytes, mtime and ctime in nanoseconds, inode, mode. A plain tuple, for speed."""

Taken = tuple[str, "os.DirEntry[str]"]
"""A file that counts: its relative path, and its entry, which can be asked while its folder is being read."""


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


def walk(root: Path, suffixes: Iterable[str] = (), allowed_links: Iterable[Path] = ()) -> Found:
    """Return the files below `root` that count: all, or those with one of the suffixes (lower case, with the dot).

    `allowed_links`: further folders that links may lead into. Raises OSError if `root` itself cannot be read; what is
    wrong further down is among the problems.
    """
    found = Found(os.path.realpath(root))

    def look(taken: Sequence[Taken]) -> None:
        found.files += [
            (path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode)
            for path, each in taken
            if (about := each.stat())
        ]

    walker = _Walker(found, tuple(suffixes), allowed_links, look)
    walker.walk()
    twins = walker.twins([each[0] for each in found.files])
    found.files[:] = _without(found.files, twins)
    return found


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
) -> tuple[Found, list[tuple[int, str] | OSError]]:
    """Walk and read at once: return what was found, and the bytes read and sha256 of each file, in the same order.

    How a file looks is asked when it is opened. A file that cannot be read is found with zeros, and told as an OSError.
    """
    found = Found(os.path.realpath(root))
    paths: list[str] = []
    with Hashing(found.root) as hashing:

        def take(taken: Sequence[Taken]) -> None:
            names = [path for path, _ in taken]
            paths.extend(names)
            hashing.add([found.renamed.get(each, each) for each in names] if found.renamed else names)

        walker = _Walker(found, tuple(suffixes), allowed_links, take)
        walker.walk()
        read = hashing.finish()
    twins = walker.twins(paths)
    answers: list[tuple[int, str] | OSError] = list(zip(read.read, read.digests, strict=True))
    files = list(zip(paths, *read.looks, strict=True))
    for index, error in read.errors.items():
        answers[index], files[index] = error, (paths[index], 0, 0, 0, 0, 0)
    found.files = _without(files, twins)
    return found, _without(answers, twins)


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


class _Here(NamedTuple):
    """A folder to read: the prefix of its paths, its real path, patterns, real folders in which links were entered."""

    folder: str
    prefix: str
    real: str
    patterns: tuple[Pattern, ...]
    trail: tuple[str, ...]


class _Walker:
    """A walk of `found.root`. `take` is called with the files of each folder while their entries can still be asked."""

    def __init__(
        self,
        found: Found,
        suffixes: tuple[str, ...],
        allowed_links: Iterable[Path],
        take: Callable[[Sequence[Taken]], None],
    ) -> None:
        self.found = found
        self.suffixes = suffixes
        self.allowed = (found.root, *(os.path.realpath(each) for each in allowed_links))
        self.take = take
        self.waiting: list[_Here] = []
        self.other_forms = False
        self.visited: list[str] = []
        self.with_files: set[str] = set()

    def walk(self) -> None:
        """Walk the whole tree; raises OSError if its root cannot be read."""
        root = self.found.root
        os.scandir(root).close()
        self.waiting.append(_Here(root, "", root, (), ()))
        while self.waiting:
            here = self.waiting.pop()
            try:
                self.folder(here)
            except OSError as error:
                self.found.problems.append(unreadable(shown(here.prefix[:-1]) or ".", error))
        self.found.empty += sorted(each[:-1] for each in self.visited if each and each not in self.with_files)

    def folder(self, here: _Here) -> None:
        """Take what lies in one folder; the folders in it wait for their turn."""
        # Through an open folder the system finds each file sooner.
        descriptor = os.open(here.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as listing:
                inside = sorted(listing, key=attrgetter("name"))
            if any(each.name == IGNORE_FILE for each in inside):
                here = here._replace(patterns=self.patterns(here))
            taken, folders = self.sort(inside, here)
            if taken:
                self.take(taken)
                self.filled(here.prefix)
        finally:
            os.close(descriptor)
        self.waiting.extend(reversed(folders))
        self.visited.append(here.prefix)

    def sort(self, inside: Sequence[os.DirEntry[str]], here: _Here) -> tuple[list[Taken], list[_Here]]:
        """Return the files that count and the folders to enter; what is neither is said."""
        folder, prefix, real, patterns, trail = here
        suffixes, renamed = self.suffixes, self.found.renamed
        taken: list[Taken] = []
        folders: list[_Here] = []
        moved = folder != f"{self.found.root}/{prefix}"[:-1]
        for each in inside:
            name = each.name
            if name in LEFT_OUT or name.endswith(LEFT_OUT_SUFFIX):
                continue
            path = prefix + name
            if not name.isascii() and not (path := self.normal(name, prefix, folder)):
                continue
            if each.is_file(follow_symlinks=False):
                if (suffixes and not name.lower().endswith(suffixes)) or (patterns and ignored(patterns, path, False)):
                    continue
                taken.append((path, each))
            elif each.is_dir(follow_symlinks=False):
                if not (patterns and ignored(patterns, path, True)):
                    folders.append(_Here(f"{folder}/{name}", path + "/", f"{real}/{name}", patterns, trail))
                continue
            elif self.special(each, path, here):
                taken.append((path, each))
            if moved:
                renamed[path] = f"{folder}/{name}"
        return taken, folders

    def special(self, each: os.DirEntry[str], path: str, here: _Here) -> bool:
        """Return whether to take a link as a file, or say why not; anything else is a socket, a pipe or a device."""
        folder, _, real, patterns, trail = here
        if not each.is_symlink():
            if not ignored(patterns, path, False):
                self.problem(path, "is neither a file nor a folder")
            return False
        try:
            about = each.stat()
        except OSError as error:
            if not ignored(patterns, path, False):
                self.problem(path, f"is a link that cannot be followed: {words(error)}")
            return False
        is_folder = stat.S_ISDIR(about.st_mode)
        if ignored(patterns, path, is_folder) or not (is_folder or path.lower().endswith(self.suffixes or "")):
            return False
        source = f"{folder}/{each.name}"
        target = os.path.realpath(source)
        if self.outside(target):
            self.problem(path, "is a link that leads outside the folder")
        elif not is_folder:
            if stat.S_ISREG(about.st_mode):
                return True
            self.problem(path, "is neither a file nor a folder")
        elif any(_within(one, target) for one in (*trail, real)):
            self.problem(path, "is a link to a folder that it lies in")
        else:
            self.waiting.append(_Here(source, path + "/", target, patterns, (*trail, real)))
        return False

    def filled(self, prefix: str) -> None:
        """Note that a file that counts lies in this folder, and so in those around it."""
        while prefix not in self.with_files:
            self.with_files.add(prefix)
            prefix = prefix[: prefix.rfind("/", 0, -1) + 1]

    def outside(self, target: str) -> bool:
        return not any(_within(target, each) for each in self.allowed)

    def patterns(self, here: _Here) -> tuple[Pattern, ...]:
        """Return the patterns that hold in a folder with a `.specignore`."""
        try:
            text = Path(here.folder, IGNORE_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            said = words(error) if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problem(here.prefix + IGNORE_FILE, f"cannot be read: {said}")
            return here.patterns
        return (*here.patterns, *parse(unicodedata.normalize("NFC", text), len(here.prefix)))

    def normal(self, name: str, prefix: str, folder: str) -> str:
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
        if f"{self.found.root}/{path}" != (source := f"{folder}/{name}"):
            self.found.renamed[path] = source
        return path

    def twins(self, paths: Sequence[str]) -> set[int]:
        """Return which paths were there before: two names on disk may be one in NFC, and none is the right one."""
        seen: set[str] = set()
        twins = set()
        for index, path in enumerate(paths if self.other_forms else ()):
            if path in seen:
                self.problem(path, "is there twice, its names differ only in their Unicode form")
                twins.add(index)
            seen.add(path)
        return twins

    def problem(self, path: str, text: str) -> None:
        self.found.problems.append(Problem(shown(path), text))


def shown(path: str) -> str:
    """Return the path with bytes that are not UTF-8 written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _without(items: list[Item], left_out: set[int]) -> list[Item]:
    return [each for index, each in enumerate(items) if index not in left_out] if left_out else items


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
