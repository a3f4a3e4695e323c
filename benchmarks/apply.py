"""Apply of resources without effect: what the engine and the state cost, durable intents included.

A thousand places of a driver that does nothing, through the real engine and SQLite on this disk. `python -m
benchmarks.apply --count` runs one apply only, for `strace -f -c -e trace=fsync,fdatasync`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import Row, median_of
from specforge.core.address import Address
from specforge.core.queries import Presence, Query, Seen
from specforge.core.steps import EnsurePlace, Step
from specforge.core.values import EMPTY, Frozen, Place
from specforge.engine.apply import apply
from specforge.engine.session import ApplySettings
from specforge.executors.base import LogLine, Result, StepContext
from specforge.planner.plan import Action, Change, Plan, PlannedPart, Verb
from specforge.schemas.kind import Part
from specforge.state.sqlite import SqliteBackend

NODES = 1000
WORKERS = 10


class _Nothing:
    """An executor whose steps have no effect."""

    def of(self, _place: Place) -> _Nothing:
        return self

    def observe(self, _place: Place, queries: Sequence[Query], _deadline: float | None) -> Mapping[Query, Seen]:
        return {query: Seen(Presence.ABSENT) for query in queries}

    def preflight(self, _place: Place, _steps: Sequence[Step], _deadline: float | None) -> Sequence[object]:
        return ()

    def perform(self, _step: Step, _context: StepContext) -> Result:
        return Result()

    def cancel(self, _place: Place, _key: str, _grace: float) -> None:
        return

    def logs(self, _place: Place, _key: str, _since: float | None, _follow: bool) -> Iterator[LogLine]:
        return iter(())


def _plan(backend: SqliteBackend) -> Plan:
    changes = []
    for number in range(NODES):
        # Unique bytes: SQLite skips pages that do not change.
        place = Place("nothing", uuid.uuid4().hex, Frozen(number=number))
        part = Part("place", "pool", 1, Frozen(id=place.id), "prepare", (EnsurePlace(place, EMPTY),))
        changes.append(
            Change(
                Address("pool", f"p{number}"),
                "Pool",
                "place",
                Action.CREATE,
                parts=(PlannedPart(part, Verb.MAKE),),
                place=place,
                spec=f'{{"name":"p{number}","unique":"{uuid.uuid4().hex}"}}',
                outputs=Frozen(place=place),
            )
        )
    return Plan(backend.read().ref, "bench", "default", time.time(), tuple(changes))


def apply_once(folder: Path) -> float:
    """Return the seconds that one apply of all nodes took."""
    backend = SqliteBackend(folder / f"{uuid.uuid4().hex}.db")
    plan = _plan(backend)
    begun = time.perf_counter()
    result = apply(
        plan,
        backend=backend,
        executors=_Nothing(),  # type: ignore[arg-type]
        sink=lambda _: None,
        clock=time.time,
        settings=ApplySettings(parallelism=WORKERS),
    )
    seconds = time.perf_counter() - begun
    if result.failed or len(result.outcomes) != NODES:
        raise SystemExit("the apply failed")
    return seconds


def _fsyncs(folder: Path) -> float | None:
    """Return the number of fsync and fdatasync calls of one apply, or None where strace is not installed."""
    if shutil.which("strace") is None:
        return None
    out = folder / "strace.txt"
    argv = ["strace", "-f", "-o", str(out), "-e", "trace=fsync,fdatasync"]
    subprocess.run([*argv, sys.executable, "-m", "benchmarks.apply", "--count", str(folder)], check=True)
    return sum(1 for line in out.read_text().splitlines() if "sync(" in line)


def main() -> list[Row]:
    """Measure, and return the rows of the table."""
    # Not in a memory file system: a sync there costs nothing.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        seconds = median_of(lambda: apply_once(folder))
        calls = _fsyncs(folder)
    rows = [Row("apply, 1,000 no-effect resources", f"{1000 * seconds / NODES:.2f} ms each", "at most 1 ms")]
    shown = "not counted: strace is not installed" if calls is None else f"{calls / NODES:.2f} syncs each"
    rows.append(Row("the same, syncs", shown, "at most 2"))
    return rows


if __name__ == "__main__":
    if "--count" in sys.argv:
        apply_once(Path(sys.argv[-1]))
    else:
        for row in main():
            print(row)
