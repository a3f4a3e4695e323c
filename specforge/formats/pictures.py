"""Is a file a picture of the format its name says? PNG, JPEG and BMP: signature, size, parts, end mark.

A check of the container, not of the pixels: it finds cut off, empty, renamed and unrelated files without decoding.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
"""The suffixes of pictures (lower case), sorted."""

_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG markers without a length: standalone ones and restarts.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class PictureError(ValueError):
    """The bytes are not a whole picture of that format; the text says why."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def check(name: str, data: bytes) -> Size:
    """Return the size of the picture `data`, whose format the suffix of `name` says; raise PictureError if it is not.

    A picture of another of the formats is one that its name lies about: an error that says which it is.
    """
    suffix = "." + name.rpartition(".")[2].lower()
    wanted = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP"}.get(suffix)
    if wanted is None:
        raise PictureError(f"`{suffix}` is not the suffix of a picture")
    if not data:
        raise PictureError("the file is empty")
    found = _format_of(data)
    if found is None:
        raise PictureError(f"it does not begin like a {wanted} file")
    if found != wanted:
        raise PictureError(f"it is a {found} file, not {wanted}")
    try:
        size = {"PNG": _png, "JPEG": _jpeg, "BMP": _bmp}[found](data)
    except (struct.error, IndexError):
        raise PictureError("it is cut off") from None
    if size.width < 1 or size.height < 1:
        raise PictureError(f"its size is {size.width} × {size.height}")
    return size


def _format_of(data: bytes) -> str | None:
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "BMP" if data.startswith(b"BM") else None


def _png(data: bytes) -> Size:
    at, size, pixels = len(_PNG), None, False
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 4 : at + 8 + length]
        (expected,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body) != expected:
            raise PictureError(f"a part of it ({name.decode('latin-1')!r}) is damaged")
        if size is None:
            if name != b"IHDR":
                raise PictureError("it has no header")
            size = Size(*struct.unpack_from(">II", data, at + 8))
        pixels = pixels or name == b"IDAT"
        if name == b"IEND":
            break
        at += 12 + length
    if not pixels:
        raise PictureError("it has no pixels")
    return size


def _jpeg(data: bytes) -> Size:
    at = 2
    size = None
    while True:
        if data[at] != 0xFF:
            raise PictureError("a part of it is damaged")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _BARE:
            continue
        if marker == 0xD9:
            raise PictureError("it has no pixels")
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = Size(width, height)
        if marker == 0xDA:
            break
        at += length
    if size is None:
        raise PictureError("it has no header")
    # Cameras add bytes behind the end mark; what must not be is that it is missing.
    if b"\xff\xd9" not in data[at:]:
        raise PictureError("it is cut off")
    return size


def _bmp(data: bytes) -> Size:
    total, offset, header = struct.unpack_from("<I4xII", data, 2)
    if header < 12:
        raise PictureError("it has no header")
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        planes, depth = struct.unpack_from("<HH", data, 22)
        compression = 0
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        planes, depth, compression = struct.unpack_from("<HHI", data, 26)
    if planes != 1 or depth not in (1, 4, 8, 16, 24, 32):
        raise PictureError("its header is damaged")
    row = (width * depth + 31) // 32 * 4
    needed = offset + row * abs(height) if compression in (0, 3) else total
    if len(data) < needed:
        raise PictureError("it is cut off")
    return Size(width, abs(height))
