"""Reads files once and gives their sha256, copies them meanwhile if asked; many of them on every core.

Small files are bound by system calls and the interpreter's lock, so that threads gain nothing: helper processes take
portions of the work, fed by one thread each, while the caller reads too. How a file looks (its size, its times) is
asked of the open file: that costs less than by its name.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from specforge.formats.hash_helper import BLOCK, COLUMNS, FAILED, FLAGS, WIDTH, read_many, read_one, read_open, request

if TYPE_CHECKING:
    from subprocess import Popen
    from typing import Self

__all__ = ["BLOCK", "Answers", "Hashed", "Hashing", "hash_file", "hash_files"]

MANY_FILES = 1500
MANY_BYTES = 48 << 20
MOST_FILES = 512
LEAST_FILES = 16
PORTION_BYTES = 8 << 20
MOST_PROCESSES = 8


class Hashed(NamedTuple):
    """What was read of a file: `size` in bytes, `sha256` in hexadecimal digits."""

    size: int
    sha256: str


Job = tuple[str, int]
"""A file to read: its path and the size it is expected to have (a hint only)."""


class Answers(NamedTuple):
    """What was read of many files, a column each, in their order.

    `looks`: size, mtime, ctime, inode and mode from just before a file was read; `read`: the bytes read; `digests`:
    their sha256; `errors`: why a file could not be read, by its index; its columns mean nothing then.
    """

    looks: tuple[array[int], ...]
    read: array[int]
    digests: list[str]
    errors: dict[int, OSError]


def hash_file(path: str, size: int = 0) -> Hashed:
    """Read the file and return what was read; raises OSError. `size` is what to expect, a hint only."""
    descriptor = os.open(path, FLAGS)
    try:
        count, digest = read_open(descriptor, size)
    finally:
        os.close(descriptor)
    return Hashed(count, digest.hex())


def hash_files(jobs: Sequence[Job]) -> list[Hashed | OSError]:
    """Read all of the files; the answers are in the order of `jobs`, an OSError where one could not be read."""
    here = os.getcwd() if any(not path.startswith("/") for path, _ in jobs) else "/"
    with Hashing(here) as hashing:
        hashing.add([path for path, _ in jobs], sum([size for _, size in jobs]))
        answers = hashing.finish()
    told: list[Hashed | OSError] = list(map(Hashed, answers.read, answers.digests))
    for index, error in answers.errors.items():
        told[index] = error
    return told


class Hashing:
    """Reads files that become known bit by bit, so that helpers are at work while their caller still looks for more.

    `base`: the folder from which their names are seen; `held`: open files that stay open as long as a helper lives, so
    that their locks do. Raises OSError if `base` cannot be opened.
    """

    def __init__(self, base: str, held: Sequence[int] = ()) -> None:
        self._base = base
        self._held = held
        self._names: list[str] = []
        self._copies: list[str] = []
        self._bytes = 0
        self._next = 0
        self._parts: dict[int, bytes] = {}
        self._files_read = self._bytes_read = 0
        self._ended = False
        self._changed = threading.Condition()
        self._helpers: list[Popen[bytes]] | None = None
        self._threads: list[threading.Thread] = []
        self._folder = os.open(base, FLAGS | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def add(self, names: Sequence[str], size: int = 0, copies: Sequence[str] = ()) -> None:
        """Take more files, of so many bytes if that is known; with many of them, helpers begin at once.

        `copies`: where each is copied to, an absolute path; given for all files or for none.
        """
        with self._changed:
            self._copies += copies
            self._names += names
            self._bytes += size
            self._changed.notify_all()
        if self._helpers is None and (len(self._names) >= MANY_FILES or self._bytes >= MANY_BYTES):
            self._start()

    def _start(self) -> None:
        self._helpers = _helpers(self._base, self._held)
        self._threads = [threading.Thread(target=self._feed, args=(each,), daemon=True) for each in self._helpers]
        for thread in self._threads:
            thread.start()

    def finish(self, report: Callable[[int], None] = lambda _: None) -> Answers:
        """Read what nobody took, wait for the others; return the answers in the order of the files.

        `report` is told now and then how many bytes were read so far; what it raises ends the work.
        """
        if self._helpers is None and not self._bytes:
            # So few files are worth helpers only if they are big.
            self._bytes = sum([self._size(each) for each in self._names])
            if self._bytes >= MANY_BYTES:
                self._start()
        self._end()
        while portion := self._take():
            self._keep(portion, read_many(*self._portion(portion)))
            report(self._bytes_read)
        for thread in self._threads:
            thread.join()
        return self._answers()

    def _size(self, name: str) -> int:
        try:
            return os.stat(name, dir_fd=self._folder).st_size
        except OSError:
            return 0

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for helper in self._helpers or ():
            if kind is not None:
                helper.kill()
        if kind is not None:
            self._next = len(self._names)
        self._end()
        for thread in self._threads:
            thread.join()
        for helper in self._helpers or ():
            _stop(helper)
        os.close(self._folder)

    def _take(self) -> range | None:
        """Take the next files, about as many as are worth a round trip; none are left if it returns None."""
        with self._changed:
            while self._next >= len(self._names):
                if self._ended:
                    return None
                self._changed.wait()
            start, left = self._next, len(self._names) - self._next
            count = MOST_FILES
            if self._ended:
                # Towards the end the portions shrink, so that all are done at about the same time.
                count = min(count, max(LEAST_FILES, left // (2 * len(self._threads) + 2)))
            files, size = (self._files_read, self._bytes_read) if self._files_read else (len(self._names), self._bytes)
            if size:
                count = min(count, max(1, PORTION_BYTES * files // size))
            self._next = min(start + count, len(self._names))
            return range(start, self._next)

    def _keep(self, portion: range, part: bytes) -> None:
        read = array("q", part[8 * len(portion) * (len(COLUMNS) - 1) : 8 * len(portion) * len(COLUMNS)])
        with self._changed:
            self._parts[portion.start] = part
            self._files_read += len(portion)
            self._bytes_read += max(0, sum(read))

    def _portion(self, portion: range) -> tuple[list[str], int, list[str]]:
        """Return the arguments of `read_many` for these files."""
        where = slice(portion.start, portion.stop)
        return self._names[where], self._folder, self._copies[where]

    def _feed(self, helper: Popen[bytes]) -> None:
        """Give a helper portion after portion; what it does not answer stays open."""
        requests, replies = helper.stdin, helper.stdout
        assert requests is not None
        assert replies is not None
        while portion := self._take():
            try:
                names, _, copies = self._portion(portion)
                requests.write(request(names, copies))
                requests.flush()
                part = replies.read(WIDTH * len(portion))
            except (OSError, ValueError):
                return
            if len(part) != WIDTH * len(portion):
                return
            self._keep(portion, part)

    def _answers(self) -> Answers:
        columns = [array(code) for code in COLUMNS]
        digests = bytearray()
        for part in self._in_order():
            count = len(part) // WIDTH
            for at, column in enumerate(columns):
                column.frombytes(part[8 * count * at : 8 * count * (at + 1)])
            digests += part[8 * count * len(columns) :]
        text = digests.hex()
        sha256s = [text[at : at + 64] for at in range(0, len(text), 64)]
        *looks, read = columns
        answers = Answers(tuple(looks), read, sha256s, {})
        if FAILED in read:
            self._try_again(answers)
        return answers

    def _in_order(self) -> list[bytes]:
        """Return the parts one after the other; what a helper took and did not answer is read here."""
        parts, at = [], 0
        for start in [*sorted(self._parts), len(self._names)]:
            if start > at:
                parts.append(self._read_after_all(range(at, start)))
            if start < len(self._names):
                parts.append(self._parts[start])
                at = start + len(parts[-1]) // WIDTH
        return parts

    def _read_after_all(self, portion: range) -> bytes:
        for each in self._portion(portion)[2]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(each)
        return read_many(*self._portion(portion))

    def _try_again(self, answers: Answers) -> None:
        """Read here once more what failed: its error is then ours, with the right words."""
        for index, count in enumerate(answers.read):
            if count == FAILED:
                name = self._names[index]
                try:
                    copy = self._copies[index] if self._copies else None
                    *look, answers.read[index], digest = read_one(name, self._folder, copy)
                except OSError as error:
                    if error.filename == name:
                        error.filename = os.path.join(self._base, name)
                    answers.errors[index] = error
                else:
                    answers.digests[index] = digest.hex()
                    for column, value in zip(answers.looks, look, strict=True):
                        column[index] = value


def _helpers(base: str, held: Sequence[int]) -> list[Popen[bytes]]:
    """Start a helper process for every core but ours."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [each for _ in range(min(cores, MOST_PROCESSES) - 1) if (each := _start(base, held)) is not None]


def _start(base: str, held: Sequence[int]) -> Popen[bytes] | None:
    import subprocess

    if not sys.executable:
        return None
    # This package's folder or zip, so that the helper finds it wherever it was unpacked.
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parent = str(os.getpid())
    code = "import sys; sys.path.insert(0, sys.argv[1]); from specforge.formats.hash_helper import serve; "
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code + "serve(sys.argv[2], int(sys.argv[3]))", package, base, parent],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", pass_fds=held,
        )  # fmt: skip
    except OSError:
        return None


def _stop(helper: Popen[bytes]) -> None:
    for pipe in (helper.stdin, helper.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # it is gone, and so is what was left in the buffer
    helper.wait()
