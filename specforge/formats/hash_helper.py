"""A process that hashes files for another: reads a list of them, answers, until its input ends.

It imports next to nothing, so that it is up at once. A request is the number of files and of bytes of their paths, the
expected sizes, the paths with a NUL between; a reply is the sizes that were read, then the digests.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys

HEAD = struct.Struct("<II")
FAILED = 2**64 - 1
"""Stands for the size of a file that could not be read."""

BLOCK = 1 << 20


def read_file(path: str, size: int) -> tuple[int, str]:
    """Return the bytes read of a file and their sha256; `size` is what to expect. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # For a small file one call reads it and sees its end.
        data = os.read(descriptor, size + 1) if size < BLOCK else b""
        if data and len(data) == size:
            return size, hashlib.sha256(data).hexdigest()
        hasher, total, block = hashlib.sha256(data), len(data), bytearray(BLOCK)
        view = memoryview(block)
        while count := os.readv(descriptor, [block]):
            hasher.update(view[:count])
            total += count
        return total, hasher.hexdigest()
    finally:
        os.close(descriptor)


def request(paths: list[str], sizes: list[int]) -> bytes:
    """Return the request for these files."""
    text = os.fsencode("\0".join(paths))
    return HEAD.pack(len(paths), len(text)) + struct.pack(f"<{len(sizes)}Q", *sizes) + text


def serve() -> None:
    """Answer the requests on standard input."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while head := requests.read(HEAD.size):
        count, length = HEAD.unpack(head)
        sizes = struct.unpack(f"<{count}Q", requests.read(8 * count))
        paths = os.fsdecode(requests.read(length)).split("\0")
        read, digests = [], []
        for path, size in zip(paths, sizes, strict=True):
            try:
                found, digest = read_file(path, size)
            except OSError:
                found, digest = FAILED, "0" * 64
            read.append(found)
            digests.append(digest)
        replies.write(struct.pack(f"<{count}Q", *read) + bytes.fromhex("".join(digests)))
        replies.flush()
