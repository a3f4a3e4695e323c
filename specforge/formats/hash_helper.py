"""A process that reads files for another: takes a list of them, answers, until its input ends.

It imports next to nothing, so that it is up at once. A request is the number of files and of bytes of their names, then
the names with a NUL between, as seen from the folder that the process was given. A reply is what `read_many` returns.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from array import array
from collections.abc import Sequence

HEAD = struct.Struct("<II")
COLUMNS = ("q", "q", "q", "Q", "q", "q")
"""Size, mtime, ctime (nanoseconds), inode and mode as the system tells them, and the bytes read; as of `array`."""
WIDTH = 8 * len(COLUMNS) + 32
"""Bytes of a reply for each file: the columns one after the other, then the digests."""
FAILED = -1
"""Stands for the bytes read of a file that could not be read."""

BLOCK = 1 << 20
FLAGS = os.O_RDONLY | os.O_CLOEXEC
_FAILED = (0, 0, 0, 0, 0, FAILED, bytes(32))


def read_open(descriptor: int, size: int) -> tuple[int, bytes]:
    """Return the bytes read of an open file and their sha256; `size` is what to expect. Raises OSError."""
    # For a small file one call reads it and sees its end.
    data = os.read(descriptor, size + 1) if size < BLOCK else b""
    if len(data) == size:
        return size, hashlib.sha256(data).digest()
    hasher, total, block = hashlib.sha256(data), len(data), bytearray(BLOCK)
    view = memoryview(block)
    while count := os.readv(descriptor, [block]):
        hasher.update(view[:count])
        total += count
    return total, hasher.digest()


def read_one(name: str, folder: int) -> tuple[int, int, int, int, int, int, bytes]:
    """Return COLUMNS and the sha256 of a file below an open folder; how it looks is from before it was read.

    Raises OSError.
    """
    descriptor = os.open(name, FLAGS, dir_fd=folder)
    try:
        about = os.fstat(descriptor)
        size, digest = read_open(descriptor, about.st_size)
    finally:
        os.close(descriptor)
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode, size, digest


def read_many(names: Sequence[str], folder: int) -> bytes:
    """Read files below an open folder: their columns, then their digests."""
    rows = []
    for name in names:
        try:
            rows.append(read_one(name, folder))
        except (OSError, OverflowError):
            rows.append(_FAILED)
    *columns, digests = zip(*rows, strict=True)
    parts = [array(code, column).tobytes() for code, column in zip(COLUMNS, columns, strict=True)]
    return b"".join([*parts, *digests])


def request(names: Sequence[str]) -> bytes:
    """Return the request for these files."""
    text = os.fsencode("\0".join(names))
    return HEAD.pack(len(names), len(text)) + text


def serve(base: str) -> None:
    """Answer the requests on standard input, for files below the folder `base`."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    folder = os.open(base, FLAGS | os.O_DIRECTORY)
    while head := requests.read(HEAD.size):
        _, length = HEAD.unpack(head)
        replies.write(read_many(os.fsdecode(requests.read(length)).split("\0"), folder))
        replies.flush()
