"""Reads files once and gives their sha256; many of them on every core.

Small files are bound by system calls and the interpreter's lock, so that threads gain nothing: helper processes take
chunks of the work, fed by one thread each, while the caller hashes too.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from specforge.formats.hash_helper import BLOCK, FAILED, read_file, request

if TYPE_CHECKING:
    from subprocess import Popen
    from typing import Self

__all__ = ["BLOCK", "Hashed", "Hashing", "hash_file", "hash_files"]

MANY_FILES = 1500
MANY_BYTES = 48 << 20
CHUNK_FILES = 256
CHUNK_BYTES = 8 << 20
MOST_PROCESSES = 8


class Hashed(NamedTuple):
    """What was read of a file: `size` in bytes, `sha256` in hexadecimal digits."""

    size: int
    sha256: str


Job = tuple[str, int]
"""A file to read: its path and the size it is expected to have (a hint only)."""


def hash_file(path: str, size: int = 0) -> Hashed:
    """Read the file and return what was read; raises OSError."""
    return Hashed(*read_file(path, size))


def hash_files(jobs: Sequence[Job]) -> list[Hashed | OSError]:
    """Read all of the files; the answers are in the order of `jobs`, an OSError where one could not be read."""
    with Hashing() as hashing:
        hashing.add(jobs)
        return hashing.finish()


class Hashing:
    """Reads files that become known bit by bit, so that helpers are at work while their caller still looks for more."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._answers: list[Hashed | OSError | None] = []
        self._chunks: SimpleQueue[range | None] = SimpleQueue()
        self._start = self._bytes = self._held = 0
        self._helpers: list[Popen[bytes]] | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def add(self, jobs: Sequence[Job]) -> None:
        """Take more files; with many of them, helpers begin at once."""
        first = len(self._jobs)
        self._jobs += jobs
        self._answers += [None] * len(jobs)
        for start in range(0, len(jobs), CHUNK_FILES):
            self._cut(first + start, jobs[start : start + CHUNK_FILES])
        if self._helpers is None and (len(self._jobs) >= MANY_FILES or self._bytes >= MANY_BYTES):
            self._helpers = _helpers()
            self._threads = [threading.Thread(target=self._feed, args=(each,), daemon=True) for each in self._helpers]
            for thread in self._threads:
                thread.start()

    def _cut(self, first: int, jobs: Sequence[Job]) -> None:
        """Add files to the open chunk; close it when it is worth a round trip, within these files if they are big."""
        size = sum([size for _, size in jobs])
        self._bytes += size
        if self._held + size >= CHUNK_BYTES:
            for index, (_, size) in enumerate(jobs, first + 1):
                self._held += size
                if self._held >= CHUNK_BYTES:
                    self._chunks.put(range(self._start, index))
                    self._start, self._held = index, 0
        else:
            self._held += size
        end = first + len(jobs)
        if end - self._start >= CHUNK_FILES:
            self._chunks.put(range(self._start, end))
            self._start, self._held = end, 0

    def finish(self) -> list[Hashed | OSError]:
        """Read what nobody took, wait for the others; return the answers in the order of the files."""
        self._chunks.put(range(self._start, len(self._jobs)))
        self._end_of_chunks()
        while (chunk := self._chunks.get()) is not None:
            for index in chunk:
                self._answers[index] = _try(self._jobs[index])
        self._end_of_chunks()
        for thread in self._threads:
            thread.join()
        # What a helper failed at is read here once more: its error is then ours, with the right words.
        return [each if each is not None else _try(self._jobs[at]) for at, each in enumerate(self._answers)]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for helper in self._helpers or ():
            if kind is not None:
                helper.kill()
        self._end_of_chunks()
        for thread in self._threads:
            thread.join()
        for helper in self._helpers or ():
            _stop(helper)

    def _end_of_chunks(self) -> None:
        for _ in range(len(self._threads) + 1):
            self._chunks.put(None)

    def _feed(self, helper: Popen[bytes]) -> None:
        """Give a helper chunk after chunk; what it does not answer stays open."""
        requests, replies = helper.stdin, helper.stdout
        assert requests is not None
        assert replies is not None
        while (chunk := self._chunks.get()) is not None:
            jobs = self._jobs[chunk.start : chunk.stop]
            try:
                # The helper works in `/`, so that no folder is kept busy by it.
                paths = [path if path.startswith("/") else os.path.abspath(path) for path, _ in jobs]
                requests.write(request(paths, [size for _, size in jobs]))
                requests.flush()
                reply = replies.read(40 * len(jobs))
            except (OSError, ValueError):
                return
            if len(reply) != 40 * len(jobs):
                return
            sizes = struct.unpack_from(f"<{len(jobs)}Q", reply)
            digests = reply[8 * len(jobs) :].hex()
            for at, size in enumerate(sizes):
                if size != FAILED:
                    self._answers[chunk.start + at] = Hashed(size, digests[64 * at : 64 * at + 64])


def _try(job: Job) -> Hashed | OSError:
    try:
        return Hashed(*read_file(*job))
    except OSError as error:
        return error


def _helpers() -> list[Popen[bytes]]:
    """Start a helper process for every core but ours."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [each for _ in range(min(cores, MOST_PROCESSES) - 1) if (each := _start()) is not None]


def _start() -> Popen[bytes] | None:
    import subprocess

    if not sys.executable:
        return None
    # This package's folder or zip, so that the helper finds it wherever it was unpacked.
    base = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from specforge.formats.hash_helper import serve; serve()"
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, base],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
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
