"""A small real project for the tests of the command line, and what a command came to."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

PROJECT = """\
kind: Project
name: small
variables: {pictures: {default: data}}
defaults: {store: artifacts, pool: here}
environments: {dev: {}}
"""
PLACES = """\
kind: Store
name: artifacts
folder: .specforge/artifacts
---
kind: Pool
name: here
local: {slots: 2}
"""
DATA = """\
kind: Dataset
name: shapes
description: two shades
task: image_classification
source: "${var.pictures}"
split: {train: 0.5, eval: 0.5, seed: 7}
"""


def png(value: int) -> bytes:
    """Return a grey picture of 2 by 2 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = bytes([0, value, value, 0, value, value])
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


Spec = Callable[..., Done]
