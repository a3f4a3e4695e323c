"""A process that reads files for another, and copies them if asked: takes a list, answers, until its input ends.

It imports next to nothing, so that it is up at once. A request is the number of files and of bytes of the names, then
the names with a NUL between, as seen from the folder that the process was given; if there are twice as many names, the
second half is where the copies go. A reply is what `read_many` returns. Without its parent it stops after a file.
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
COPY_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
COPY_MODE = 0o444
_FAILED = (0, 0, 0, 0, 0, FAILED, bytes(32))


def read_open(descriptor: int, size: int, copy: int | None = None) -> tuple[int, bytes]:
    """Return the bytes read of an open file and their sha256; `size` is what to expect. Raises OSError.

    `copy`: an open file that gets the same bytes.
    """
    # For a small file one call reads it and sees its end.
    data = os.read(descriptor, size + 1) if size < BLOCK else b""
    if copy is not None and data:
        _write(copy, memoryview(data))
    if len(data) == size:
        return size, hashlib.sha256(data).digest()
    hasher, total, block = hashlib.sha256(data), len(data), bytearray(BLOCK)
    view = memoryview(block)
    while count := os.readv(descriptor, [block]):
        hasher.update(view[:count])
        total += count
        if copy is not None:
            _write(copy, view[:count])
    return total, hasher.digest()


def _write(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]


def read_one(name: str, folder: int, copy: str | None = None) -> tuple[int, int, int, int, int, int, bytes]:
    """Return COLUMNS and the sha256 of a file below an open folder; how it looks is from before it was read.

    `copy`: where a copy of it is made, not to be changed by anybody. Raises OSError, and leaves no copy then.
    """
    descriptor = os.open(name, FLAGS, dir_fd=folder)
    try:
        about = os.fstat(descriptor)
        if copy is None:
            size, digest = read_open(descriptor, about.st_size)
        else:
            size, digest = _copy(descriptor, about.st_size, copy)
    finally:
        os.close(descriptor)
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode, size, digest


def _copy(descriptor: int, size: int, target: str) -> tuple[int, bytes]:
    copy = os.open(target, COPY_FLAGS, COPY_MODE)
    try:
        return read_open(descriptor, size, copy)
    except OSError:
        os.unlink(target)
        raise
    finally:
        os.close(copy)


def read_many(names: Sequence[str], folder: int, copies: Sequence[str] = (), parent: int | None = None) -> bytes:
    """Read files below an open folder, and copy each if `copies` says where: their columns, then their digests.

    `parent`: ends this process if that is not its parent any more.
    """
    rows = []
    for index, name in enumerate(names):
        if parent is not None and os.getppid() != parent:
            os._exit(1)
        try:
            rows.append(read_one(name, folder, copies[index] if copies else None))
        except (OSError, OverflowError):
            rows.append(_FAILED)
    *columns, digests = zip(*rows, strict=True)
    parts = [array(code, column).tobytes() for code, column in zip(COLUMNS, columns, strict=True)]
    return b"".join([*parts, *digests])


def request(names: Sequence[str], copies: Sequence[str] = ()) -> bytes:
    """Return the request for these files."""
    text = os.fsencode("\0".join([*names, *copies]))
    return HEAD.pack(len(names), len(text)) + text


def serve(base: str, parent: int) -> None:
    """Answer the requests on standard input, for files below the folder `base`."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    folder = os.open(base, FLAGS | os.O_DIRECTORY)
    while head := requests.read(HEAD.size):
        count, length = HEAD.unpack(head)
        names = os.fsdecode(requests.read(length)).split("\0")
        replies.write(read_many(names[:count], folder, names[count:], parent))
        replies.flush()
