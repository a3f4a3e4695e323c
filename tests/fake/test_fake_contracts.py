"""The fake places fulfil the contracts of real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from specforge.core.values import Frozen, Place, Run
from specforge.executors.base import Executor, TreeReader
from specforge.executors.fake import FakeExecutor, FakeWorld, JobCall, Made
from specforge.testing.job_bench import Bench
from specforge.testing.jobs import JobContract
from specforge.testing.storage import SUITE, StorageContract, Store


class TestFakeStore(StorageContract):
    """The contract, in memory."""

    place = Place("fake-store", "artifacts")

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        if not hasattr(self, "world"):
            self.world = FakeWorld()
            self.world.outside = lambda place: reader(place) if place == SUITE else None
        return FakeExecutor(self.world), self.place

    def damage(self, store: Store, sha256: str, content: bytes | None) -> bool:
        data = self.world.store(self.place)
        if data.listings.pop(sha256, None) is None:
            del data.objects[sha256]
            if content is not None:
                data.objects[sha256] = content
        return True

    def cut_off(self, store: Store) -> bool:
        self.world.unreachable.add(str(self.place))
        return True


def program(call: JobCall) -> Made:
    """Do what the contract's programs do."""
    match call.argv:
        case ("write", what):
            code, files, lines = json.loads(what)
            return Made({path: text.encode() for path, text in files.items()}, tuple(lines), code)
        case ("list", name):
            return Made({"model/listing.txt": "".join(f"{path}\n" for path in sorted(call.inputs[name])).encode()})
    return Made({"model/m.txt": b""}, ("waiting",))


class TestFakePool(JobContract):
    """The contract of jobs, in memory."""

    place = Place("fake-pool", "here", Frozen(slots=2))

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        if not hasattr(self, "world"):
            self.world = FakeWorld()
            self.world.program = program
            self.world.long.add("long")
            self.world.outside = lambda place: reader(place) if place == SUITE else None
        return FakeExecutor(self.world), self.place

    def job_ok(self, folder: Path, files: Mapping[str, str], lines: Sequence[str] = ()) -> Run:
        return Run(("write", json.dumps([0, dict(files), list(lines)])))

    def job_failing(self, folder: Path, code: int, lines: Sequence[str] = ()) -> Run:
        return Run(("write", json.dumps([code, {}, list(lines)])))

    def job_long(self, folder: Path) -> Run:
        return Run(("long",))

    def job_listing(self, folder: Path, name: str) -> Run:
        return Run(("list", name))

    def finish(self, folder: Path) -> None:
        self.world.finish()

    def starts(self, folder: Path) -> int:
        return sum(self.world.starts.values())

    @contextmanager
    def out_of_reach(self, bench: Bench):
        self.world.unreachable.add(str(self.place))
        yield
        self.world.heal()
