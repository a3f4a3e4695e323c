"""Reads files once and gives their sha256; many of them on every core.

Small files are bound by system calls and the interpreter's lock, so that threads gain nothing: helper processes take
chunks of the work, fed by one thread each, while the caller hashes too.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from subprocess import Popen

BLOCK = 1 << 20
MANY_FILES = 1500
MANY_BYTES = 48 << 20
CHUNK_FILES = 128
CHUNK_BYTES = 8 << 20
MOST_PROCESSES = 8
_REPLY = struct.Struct("<?Q32s")
_FAILED = _REPLY.pack(False, 0, b"")


class Hashed(NamedTuple):
    """What was read of a file: `size` in bytes, `sha256` in hexadecimal digits."""

    size: int
    sha256: str


Job = tuple[str, int]
"""A file to read: its path and the size it is expected to have (a hint only)."""


def hash_file(path: str, size: int = 0) -> Hashed:
    """Read the file and return what was read; raises OSError."""
    total, digest = _read(path, size)
    return Hashed(total, digest.hex())


def hash_files(jobs: Sequence[Job]) -> list[Hashed | OSError]:
    """Read all of the files; the answers are in the order of `jobs`, an OSError where one could not be read."""
    answers: list[Hashed | OSError | None] = [None] * len(jobs)
    chunks = _chunks(jobs)
    helpers = _helpers(jobs, len(chunks))
    threads = [threading.Thread(target=_feed, args=(each, jobs, chunks, answers), daemon=True) for each in helpers]
    for thread in threads:
        thread.start()
    try:
        _work(jobs, chunks, answers)
        for thread in threads:
            thread.join()
    finally:
        for helper in helpers:
            _stop(helper)
    # What a helper failed at is read here once more: its error is then ours, with the right words.
    return [each if each is not None else _try(jobs[index]) for index, each in enumerate(answers)]


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Be a helper process: answer chunks of files until there are no more."""
    while header := requests.read(4):
        (length,) = struct.unpack("<I", header)
        words = requests.read(length).split(b"\0")
        answers = []
        for path, size in zip(words[::2], words[1::2], strict=True):
            try:
                answers.append(_REPLY.pack(True, *_read(os.fsdecode(path), int(size))))
            except OSError:
                answers.append(_FAILED)
        replies.write(b"".join(answers))
        replies.flush()


def _read(path: str, size: int) -> tuple[int, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if size < BLOCK:
            data = os.read(descriptor, size + 1)
            if len(data) == size:
                return size, hashlib.sha256(data).digest()
        else:
            data = b""
        hasher, total, block = hashlib.sha256(data), len(data), bytearray(BLOCK)
        view = memoryview(block)
        while count := os.readv(descriptor, [block]):
            hasher.update(view[:count])
            total += count
        return total, hasher.digest()
    finally:
        os.close(descriptor)


def _try(job: Job) -> Hashed | OSError:
    try:
        return hash_file(*job)
    except OSError as error:
        return error


def _chunks(jobs: Sequence[Job]) -> deque[range]:
    chunks: deque[range] = deque()
    start = held = 0
    for index, (_, size) in enumerate(jobs):
        held += size
        if held >= CHUNK_BYTES or index + 1 - start >= CHUNK_FILES:
            chunks.append(range(start, index + 1))
            start, held = index + 1, 0
    if start < len(jobs):
        chunks.append(range(start, len(jobs)))
    return chunks


def _work(jobs: Sequence[Job], chunks: deque[range], answers: list[Hashed | OSError | None]) -> None:
    while chunks:
        try:
            chunk = chunks.popleft()
        except IndexError:
            return
        for index in chunk:
            answers[index] = _try(jobs[index])


def _helpers(jobs: Sequence[Job], chunks: int) -> list[Popen[bytes]]:
    """Start helper processes where the work is worth it, one core being ours."""
    if chunks < 2 or (len(jobs) < MANY_FILES and sum(size for _, size in jobs) < MANY_BYTES):
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [each for _ in range(min(cores, MOST_PROCESSES, chunks) - 1) if (each := _start()) is not None]


def _start() -> Popen[bytes] | None:
    import subprocess

    if not sys.executable:
        return None
    # This package's folder or zip, so that the helper finds it wherever it was unpacked.
    base = str(Path(__file__).parents[2])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from specforge.formats.hashing import serve;"
        "serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, base],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
    except OSError:
        return None


def _feed(
    helper: Popen[bytes], jobs: Sequence[Job], chunks: deque[range], answers: list[Hashed | OSError | None]
) -> None:
    """Give a helper chunk after chunk; what it does not answer stays open and is done by the caller."""
    requests, replies = helper.stdin, helper.stdout
    assert requests is not None
    assert replies is not None
    while chunks:
        try:
            chunk = chunks.popleft()
            body = b"\0".join(word for each in chunk for word in _words(jobs[each]))
            requests.write(struct.pack("<I", len(body)) + body)
            requests.flush()
            reply = replies.read(_REPLY.size * len(chunk))
        except (IndexError, OSError, ValueError):
            return
        if len(reply) != _REPLY.size * len(chunk):
            return
        for index, (good, size, digest) in zip(chunk, _REPLY.iter_unpack(reply), strict=True):
            if good:
                answers[index] = Hashed(size, digest.hex())


def _words(job: Job) -> tuple[bytes, bytes]:
    # The helper works in `/`, so that no folder is kept busy by it: a relative path is made absolute first.
    return os.fsencode(os.path.abspath(job[0])), str(job[1]).encode()


def _stop(helper: Popen[bytes]) -> None:
    if helper.poll() is None and sys.exc_info()[0] is not None:
        helper.kill()
    for pipe in (helper.stdin, helper.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # it is gone, and so is what was left in the buffer
    helper.wait()
