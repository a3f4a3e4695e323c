"""Publishing of many files into a store, against a copy that is made durable: `cp -r`, then `sync` of the file system.

`python -m benchmarks.publish [FILES [BYTES]]`: so many files (5,000) of so many bytes each on average (4,000). Ours
also takes the digest of every file and checks it, so that what is published can be found and verified.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Row, in_turns, table, wall_of
from benchmarks.scan import make
from specforge.core.address import Address
from specforge.core.steps import EnsurePlace, Publish
from specforge.core.values import EMPTY, Frozen, Key, Place, Tree, VersionSeries
from specforge.executors.base import StepContext, Surroundings
from specforge.executors.storage.executor import FolderExecutor
from specforge.formats.tree import digest

IDENTITY = "1" * 64
SERIES = VersionSeries("bench", "dataset", "pictures", "V{:03d}")
CONTEXT = StepContext(Key("bench", Address("dataset", "pictures"), IDENTITY, 1, "publish"))
REPEATS = 3


def measure(folder: Path, files: int, average: int) -> list[Row]:
    """Measure on a fresh folder of so many files; nothing is removed in between, for that slows down what follows."""
    source = folder / "pictures"
    make(source, files, average)
    executor = FolderExecutor(Surroundings(folder, folder / "cache", lambda _: executor))
    tree = Tree(Place("folder", "."), source.name)
    tree = replace(tree, digest=digest(executor.entries(tree)))
    stores = iter(range(1000))
    copies = iter(range(1000))

    def publish() -> None:
        place = Place("folder", f"store-{next(stores)}")
        executor.perform(EnsurePlace(place, EMPTY), CONTEXT)
        executor.perform(Publish(place, Frozen(data=tree), "data", SERIES, identity=IDENTITY), CONTEXT)

    def copy() -> None:
        target = folder / f"copy-{next(copies)}"
        subprocess.run(["cp", "-r", str(source), str(target)], check=True)
        subprocess.run(["sync", "-f", str(target)], check=True)

    subprocess.run(["sync", "-f", str(folder)], check=True)
    ours, peer, ratio = in_turns(lambda: wall_of(publish), lambda: wall_of(copy), REPEATS)
    size = f"{files:,} files, {files * average / 1e6:,.0f} MB"
    return [Row(f"publish, {size}", f"{ours:.2f} s, {ratio:.2f}×", f"cp -r and sync {peer:.2f} s")]


def main(files: int = 5_000, average: int = 4_000) -> list[Row]:
    """Measure, and return the row of the table."""
    with tempfile.TemporaryDirectory() as name:
        return measure(Path(name), files, average)


if __name__ == "__main__":
    print(table(main(*map(int, sys.argv[1:]))))
