"""`spec drift` of services: 200 stand-in replicas on one machine, each a process behind supervisor, in 20 services.

`python -m benchmarks.drift [REPLICAS]`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, median_of, processes, table, wall_of
from specforge.core.address import Address
from specforge.core.queries import LookAtReplicas
from specforge.core.serving import ReplicaGroup
from specforge.core.state import LockInfo, PutResource, Resource
from specforge.core.steps import EnsureReplicas
from specforge.core.values import Key, Place, Run
from specforge.executors.base import StepContext, Surroundings, TreeReader
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.state.sqlite import SqliteBackend
from specforge.testing import stand_in

REPLICAS = 200
SERVICES = 20
PLACE = LocalSettings().place("here")
SPEC = (sys.executable, "-m", "specforge", "drift")


def no_reader(place: Place) -> TreeReader:
    """Say that stand-ins have no inputs."""
    raise LookupError(f"nothing is read at {place}")


def executor(root: Path) -> LocalExecutor:
    """Return the executor of the pool in this project."""
    return LocalExecutor(Surroundings(root, root / "cache", no_reader))


def address(number: int) -> Address:
    """Return the address of a service."""
    return Address("service", f"stand-in-{number:02d}")


def look(root: Path) -> int:
    """Ask about all groups at once; return how many replicas are ready."""
    queries = [LookAtReplicas(PLACE, str(address(number))) for number in range(SERVICES)]
    seen = executor(root).observe(PLACE, queries, 10)
    return sum(seen[each].facts.get("ready", 0) for each in queries)


def record(root: Path, each: int) -> None:
    """Write a project whose state says that the services were applied."""
    (root / "specforge.yaml").write_text("kind: Project\nname: stand-ins\n")
    backend = SqliteBackend(root / ".specforge" / "state.db")
    changes = []
    for number in range(SERVICES):
        about = address(number)
        group = ReplicaGroup(str(about), "i", PLACE, "stand-in", 100, each)
        changes.append(PutResource(Resource(about, "service", "{}", PLACE, groups=(group,))))
    with backend.lock(LockInfo("bench", "bench", "bench", time.time(), os.getpid(), "here"), 10):
        backend.commit("bench", time.time(), changes, backend.begin(uuid.uuid4().hex, "stand-ins", "default"))


@contextmanager
def running(root: Path, each: int) -> Iterator[None]:
    """Have the services' groups, of so many replicas each."""
    run = Run(("@python", "-I", "-S", stand_in.__file__, "@socket", "ready"))
    pool = executor(root)
    wanted = [(str(address(number)), run, each) for number in range(SERVICES)]
    try:
        for group, what, count in wanted:
            pool.perform(EnsureReplicas(PLACE, group, what, count), context(group))
        yield
    finally:
        for group, _, _ in wanted:
            pool.perform(EnsureReplicas(PLACE, group, None, 0), context(group))


def context(group: str) -> StepContext:
    """Return what a step is performed with."""
    return StepContext(Key("lineage", Address("service", group), "a" * 64, 1, "replicas"))


def main(replicas: int = REPLICAS) -> list[Row]:
    """Measure one look at all of them, in this process and by the command."""
    each = replicas // SERVICES
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        record(root, each)
        with running(root, each):
            if (ready := look(root)) != each * SERVICES:
                raise SystemExit(f"{ready} of {each * SERVICES} replicas are ready")
            inside = median_of(lambda: wall_of(lambda: look(root)))
            command = processes(SPEC, cwd=root).wall
    return [
        Row(f"`spec drift`, {each * SERVICES:,} replicas in {SERVICES} services", f"{command:.3f} s", "under 1 s"),
        Row(f"one look at {each * SERVICES:,} replicas in {SERVICES} groups", f"{inside:.3f} s"),
    ]


if __name__ == "__main__":
    print(table(main(*map(int, sys.argv[1:]))))
