"""Local pools keep the contract of executors that run jobs."""

from __future__ import annotations

from contextlib import contextmanager

from specforge.executors.base import Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.testing.jobs import JobContract


class TestLocalJobs(JobContract):
    """The contract, with real processes."""

    def make(self, folder, reader):
        executor = LocalExecutor(Surroundings(folder, folder / "cache", reader))
        return executor, LocalSettings(slots=2).place("here")

    @contextmanager
    def out_of_reach(self, bench):
        pool = bench.folder / bench.place.id
        aside = pool.with_name("aside")
        pool.rename(aside)
        pool.touch()
        yield
        pool.unlink()
        aside.rename(pool)
