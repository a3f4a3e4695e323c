"""Is a file the picture that its name says?"""

from __future__ import annotations

import struct
import zlib

import pytest

from specforge.formats import pictures
from specforge.formats.pictures import PictureError, Size


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width=3, height=2):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width=3, height=2):
    header = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34\xff\x00\x56"
    return b"\xff\xd8" + header + frame + scan + b"\xff\xd9"


def bmp(width=3, height=2):
    row = (width * 24 + 31) // 32 * 4
    pixels = bytes(row * abs(height))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


MADE = {"a.png": png(), "a.jpg": jpeg(), "a.jpeg": jpeg(), "a.bmp": bmp()}


@pytest.mark.parametrize("name", MADE)
def test_pictures_are_pictures(name):
    """Each format is recognised and gives its size, whatever the case of the suffix."""
    assert pictures.check(name, MADE[name]) == Size(3, 2)
    assert pictures.check(name.upper(), MADE[name]) == Size(3, 2)


def test_a_bmp_may_be_upside_down():
    """A negative height says that the rows go from the top to the bottom."""
    assert pictures.check("a.bmp", bmp(height=-2)) == Size(3, 2)


@pytest.mark.parametrize("name", MADE)
def test_every_cut_is_found(name):
    """However many bytes are missing at the end, the file is refused."""
    for length in range(len(MADE[name])):
        with pytest.raises(PictureError):
            pictures.check(name, MADE[name][:length])


def test_the_reasons():
    """What is wrong is said in words."""
    cases = {
        "the file is empty": ("a.png", b""),
        "it does not begin like a PNG file": ("a.png", b"hello, this is text"),
        "it is a JPEG file, not PNG": ("a.png", jpeg()),
        "it is a PNG file, not BMP": ("a.bmp", png()),
        "it is cut off": ("a.png", png()[:-6]),
        "a part of it ('IDAT') is damaged": ("a.png", png()[:45] + b"X" + png()[46:]),
        "it has no pixels": ("a.png", png()[:33] + chunk(b"IEND", b"")),
        "its size is 0 × 2": ("a.png", png(width=0)),
        "`.gif` is not the suffix of a picture": ("a.gif", b"GIF89a"),
    }
    for words, (name, data) in cases.items():
        with pytest.raises(PictureError) as caught:
            pictures.check(name, data)
        assert str(caught.value) == words


def test_what_cameras_add_is_no_fault():
    """Bytes behind the end mark of a JPEG are common; a thumbnail in its header does not end it early."""
    assert pictures.check("a.jpg", jpeg() + b"trailer") == Size(3, 2)


def test_what_other_programs_write():
    """Pictures written by Pillow in every mode it has for these formats are accepted."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import io

    for suffix, form, modes in (
        ("png", "PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("jpg", "JPEG", ("L", "RGB", "CMYK")),
        ("bmp", "BMP", ("1", "L", "P", "RGB", "RGBA")),
    ):
        for mode in modes:
            file = io.BytesIO()
            image.new(mode, (13, 7)).save(file, form)
            assert pictures.check(f"a.{suffix}", file.getvalue()) == Size(13, 7), (suffix, mode)
    file = io.BytesIO()
    image.new("RGB", (640, 480)).save(file, "JPEG", progressive=True, quality=90)
    assert pictures.check("a.jpg", file.getvalue()) == Size(640, 480)
