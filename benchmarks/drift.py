"""Looking at services: 200 stand-in replicas on one machine, each a process behind supervisor, one group each.

`python -m benchmarks.drift [REPLICAS]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, median_of, processes, table, wall_of
from specforge.core.address import Address
from specforge.core.queries import LookAtReplicas
from specforge.core.steps import EnsureReplicas
from specforge.core.values import Key, Place, Run
from specforge.executors.base import StepContext, Surroundings, TreeReader
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.testing import stand_in

REPLICAS = 200
PLACE = LocalSettings().place("here")
CONTEXT = StepContext(Key("lineage", Address("service", "digits"), "a" * 64, 1, "replicas"))
FRESH = """
import sys
from pathlib import Path
from benchmarks.drift import look
ready = look(Path(sys.argv[1]), int(sys.argv[2]))
assert ready == int(sys.argv[2]), ready
"""


def no_reader(place: Place) -> TreeReader:
    """Say that stand-ins have no inputs."""
    raise LookupError(f"nothing is read at {place}")


def executor(root: Path) -> LocalExecutor:
    """Return the executor of the pool in this project."""
    return LocalExecutor(Surroundings(root, root / "cache", no_reader))


def group(number: int) -> str:
    """Return the name of a group."""
    return f"service.stand-in-{number:04d}"


def look(root: Path, replicas: int) -> int:
    """Ask about all groups at once; return how many replicas are ready."""
    queries = [LookAtReplicas(PLACE, group(number)) for number in range(replicas)]
    seen = executor(root).observe(PLACE, queries, 10)
    return sum(seen[each].facts.get("ready", 0) for each in queries)


@contextmanager
def running(root: Path, replicas: int) -> Iterator[None]:
    """Have so many groups of one replica each."""
    run = Run(("@python", "-I", "-S", stand_in.__file__, "@socket", "ready"))
    pool = executor(root)
    try:
        for number in range(replicas):
            pool.perform(EnsureReplicas(PLACE, group(number), run, 1), CONTEXT)
        yield
    finally:
        for number in range(replicas):
            pool.perform(EnsureReplicas(PLACE, group(number), None, 0), CONTEXT)


def main(replicas: int = REPLICAS) -> list[Row]:
    """Measure one look at all of them, in this process and in a fresh one."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        begun = time.perf_counter()
        with running(root, replicas):
            started = time.perf_counter() - begun
            inside = median_of(lambda: wall_of(lambda: look(root, replicas)))
            fresh = processes([sys.executable, "-c", FRESH, str(root), str(replicas)]).wall
    return [
        Row(f"look at {replicas:,} groups of one replica", f"{inside:.3f} s", "at most 1 s"),
        Row(f"look at {replicas:,} groups of one replica, fresh process", f"{fresh:.3f} s", "at most 1 s"),
        Row(f"start {replicas:,} groups of one replica, one after the other", f"{started:.1f} s"),
    ]


if __name__ == "__main__":
    print(table(main(*map(int, sys.argv[1:]))))
