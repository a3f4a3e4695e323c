"""Write the 1,797 scans of handwritten digits that scikit-learn ships as PNG files, one folder per label.

The last 97, by other writers, go to a folder of their own: no dataset has them. Files that are there stay untouched.

    python make_pictures.py data/digits data/held-out
"""

import struct
import sys
import zlib
from pathlib import Path

HELD_OUT = 97
BRIGHTEST = 15  # the scans have 17 shades, 0 to 16; times 15 they fill a byte


def png(rows):
    """Return a grey PNG, 8 bits a pixel. Not compressed: the bytes must not depend on the version of zlib."""
    height, width = len(rows), len(rows[0])
    pixels = b"".join(b"\0" + bytes(row) for row in rows)
    stored = struct.pack("<BHH", 1, len(pixels), len(pixels) ^ 0xFFFF) + pixels
    data = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(pixels))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name, data):
    """Return one part of a PNG file: length, name, data, check sum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write(scans, source, held_out):
    """Write the scans that are not there yet; return how many."""
    images, labels = scans.images, scans.target
    written = 0
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = (held_out if number >= len(labels) - HELD_OUT else source) / str(label)
        target = folder / f"{number:04d}.png"
        if target.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")  # so that no half-written picture stays when this is interrupted
        part.write_bytes(png([[int(shade) * BRIGHTEST for shade in row] for row in image]))
        part.replace(target)
        written += 1
    return written


if __name__ == "__main__":
    from sklearn.datasets import load_digits

    print(f"{write(load_digits(), Path(sys.argv[1]), Path(sys.argv[2])):,} pictures written")
