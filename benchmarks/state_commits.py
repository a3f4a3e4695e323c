"""What the state costs: commits of one and of ten resources with unique bytes, their syncs, reading 10,000 back.

Beside it the same rows by bare SQLite with the same durability. With `--count ROWS FOLDER` the commits are made only,
for strace to count the syncs.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.measure import Row, median_of
from specforge.core.address import Address
from specforge.core.digest import digest_of
from specforge.core.state import Evidence, LockInfo, PutResource, Resource, Version
from specforge.core.values import Frozen, Place
from specforge.state.sqlite import SqliteBackend

COMMITS = 300
RESOURCES = 10_000
STORE = Place("folder", ".specforge/artifacts")
LOCK = LockInfo("bench", "bench", "benchmark", 0.0, 0, "")


def resource(number: int) -> Resource:
    """Return a training with one published version and bytes of its own: SQLite skips pages that do not change."""
    unique = uuid.uuid4().hex * 2
    recipe = {"parameters": {"C": number, "gamma": 0.001}, "runnable": unique, "inputs": {"data": unique}}
    version = Version(
        version="V0001",
        identity=digest_of(recipe),
        build=1,
        output=unique,
        trees=Frozen(model=unique, log=unique),
        recipe=json.dumps(recipe),
        evidence=Evidence(unique, 1, Frozen(accuracy=0.97), '{"samples":null}'),
        inputs=Frozen({f"dataset.d{number % 100}": "V001"}),
        seconds=4.0,
        created=1.0,
    )
    spec = f'{{"name":"n{number}","algorithm":"svc","inputs":{{"data":"d{number % 100}"}},"unique":"{unique}"}}'
    waits_for = (Address("store", "artifacts"), Address("dataset", f"d{number % 100}"), Address("algorithm", "svc"))
    return Resource(
        Address("training", f"n{number}"),
        "artifact",
        spec,
        STORE,
        current="V0001",
        versions=(version,),
        waits_for=waits_for,
    )


def _groups(rows: int) -> Iterator[list[Resource]]:
    for number in range(COMMITS):
        yield [resource(number * rows + each) for each in range(rows)]


def ours(folder: Path, rows: int) -> float:
    """Return the seconds of a commit of so many resources by our backend."""
    backend = SqliteBackend(folder / f"{uuid.uuid4().hex}.db")
    groups = list(_groups(rows))
    with backend.lock(LOCK, 0):
        base = backend.begin("bench", "bench", "default")
        begun = time.perf_counter()
        for group in groups:
            base = backend.commit("op", 1.0, [PutResource(each) for each in group], base)
        return (time.perf_counter() - begun) / COMMITS


def bare(folder: Path, rows: int) -> float:
    """Return the seconds of a commit of so many texts of the same size by bare SQLite."""
    groups = [
        [(str(each.address), each.spec + each.versions[0].recipe * 3) for each in group] for group in _groups(rows)
    ]
    with closing(sqlite3.connect(folder / f"{uuid.uuid4().hex}.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (name TEXT PRIMARY KEY, body TEXT)")
        begun = time.perf_counter()
        for group in groups:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", group)
            connection.execute("COMMIT")
        return (time.perf_counter() - begun) / COMMITS


def syncs(folder: Path, rows: int) -> str:
    """Return the syncs of a commit, or why they were not counted."""
    if shutil.which("strace") is None:
        return "not counted: strace is not installed"
    out = folder / "strace.txt"
    argv = [
        "strace",
        "-f",
        "-o",
        str(out),
        "-e",
        "trace=fsync,fdatasync",
        sys.executable,
        "-m",
        "benchmarks.state_commits",
    ]
    subprocess.run([*argv, "--count", str(rows), str(folder)], check=True)
    return f"{sum('sync(' in line for line in out.read_text().splitlines()) / COMMITS:.2f} each"


def reading(folder: Path) -> float:
    """Return the processor seconds that reading 10,000 resources takes."""
    backend = SqliteBackend(folder / "read.db")
    if not backend.read().resources:
        with backend.lock(LOCK, 0):
            base = backend.begin("bench", "bench", "default")
            backend.commit("op", 1.0, [PutResource(resource(number)) for number in range(RESOURCES)], base)
    begun = time.process_time()
    assert len(backend.read().resources) == RESOURCES
    return time.process_time() - begun


def main() -> list[Row]:
    """Measure, and return the rows of the table."""
    rows = []
    # Not in a memory file system: a sync there costs nothing.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        for count, what in ((1, "one resource"), (10, "ten resources")):
            mine, peer = (median_of(_call(each, folder, count)) * 1000 for each in (ours, bare))
            rows.append(Row(f"commit of {what}", f"{mine:.2f} ms", f"bare SQLite {peer:.2f} ms"))
            rows.append(Row(f"commit of {what}, syncs", syncs(folder, count), "at most 2"))
        rows.append(Row("read 10,000 resources", f"{median_of(lambda: reading(folder)):.2f} s CPU", "under 0.25 s CPU"))
    return rows


def _call(measured: Callable[[Path, int], float], folder: Path, count: int) -> Callable[[], float]:
    return lambda: measured(folder, count)


if __name__ == "__main__":
    if "--count" in sys.argv:
        ours(Path(sys.argv[-1]), int(sys.argv[-2]))
    else:
        for row in main():
            print(row)
