"""Scans of folders: unchanged against a bare walk, the first against reading all bytes once on every core.

`python -m benchmarks.scan [FILES [BYTES]]`: so many files (20,000) of so many bytes each on average (22,000).
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, in_turns, table, wall_of
from specforge.core.values import Select
from specforge.executors.storage.scans import YOUNG, Scans

FOLDERS = 100
SELECT = Select((".png",), executable=False)


def make(root: Path, files: int, average: int) -> None:
    """Write files of unlike sizes into class folders."""
    chance = random.Random(7)
    noise = chance.randbytes(4 * average)
    for number in range(files):
        folder = root / f"class_{number % FOLDERS:03d}"
        if number < FOLDERS:
            folder.mkdir(parents=True)
        start, size = chance.randrange(average), chance.randrange(2 * average)
        (folder / f"picture_{number:06d}.png").write_bytes(noise[start : start + size] + number.to_bytes(4))


def bare_walk(root: Path) -> list[tuple[str, int]]:
    """Walk with scandir and stat, nothing else; return paths and sizes."""
    found, waiting = [], [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for each in listing:
                if each.is_dir(follow_symlinks=False):
                    waiting.append(each.path)
                else:
                    found.append((each.path, each.stat(follow_symlinks=False).st_size))
    return found


def only_walk(root: Path) -> None:
    """Walk with scandir and stat, keep nothing."""
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for each in listing:
                if each.is_dir(follow_symlinks=False):
                    waiting.append(each.path)
                else:
                    each.stat(follow_symlinks=False)


def read_and_hash(root: Path) -> None:
    """Find all files, then read each once and take its sha256, half of the bytes in each of two processes."""
    files = bare_walk(root)
    half, held = sum(size for _, size in files) / 2, 0
    parts: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    for path, size in files:
        parts[held > half].append((path, size))
        held += size
    child = os.fork()
    for path, size in parts[child == 0]:
        descriptor = os.open(path, os.O_RDONLY)
        data = os.read(descriptor, size + 1)
        os.close(descriptor)
        hashlib.sha256(data).digest()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def measure(folder: Path, files: int, average: int) -> list[Row]:
    """Measure on a fresh folder of so many files."""
    root = folder / "pictures"
    make(root, files, average)
    number = iter(range(1000))

    def first() -> None:
        Scans(folder / f"cache-{next(number)}").scan(root, SELECT)

    # The files must be old enough to be trusted: the clock is an argument.
    known = Scans(folder / "cache", lambda: time.time_ns() + 2 * YOUNG)
    known.scan(root, SELECT)
    first()
    unchanged, walk, slower = in_turns(
        lambda: wall_of(lambda: known.scan(root, SELECT)), lambda: wall_of(lambda: only_walk(root))
    )
    fresh, read, longer = in_turns(lambda: wall_of(first), lambda: wall_of(lambda: read_and_hash(root)))
    size = f"{files:,} files, {files * average / 1e6:,.0f} MB"
    return [
        Row(f"scan, {size}, unchanged", f"{unchanged:.3f} s, {slower:.2f}×", f"bare walk {walk:.3f} s, at most 2×"),
        Row(f"scan, {size}, first", f"{fresh:.3f} s, {longer:.2f}×", f"walk, read, hash {read:.3f} s, at most 1.3×"),
    ]


def main(files: int = 20_000, average: int = 22_000) -> list[Row]:
    """Measure, and return the rows of the table: as asked, and a hundred thousand small files."""
    rows = []
    for count, size in dict.fromkeys([(files, average), (100_000, 400)]):
        with tempfile.TemporaryDirectory() as name:
            rows += measure(Path(name), count, size)
    return rows


if __name__ == "__main__":
    print(table(main(*map(int, sys.argv[1:]))))
