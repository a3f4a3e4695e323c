"""Local pools keep the contract of executors that keep replicas."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from replica_tools import call, left, supervisor_pid

from specforge.executors.base import Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.testing.replicas import ReplicaContract


class TestLocalReplicas(ReplicaContract):
    """The contract, with real processes."""

    def make(self, folder, reader):
        executor = LocalExecutor(Surroundings(folder, folder / "cache", reader))
        return executor, LocalSettings(slots=2).place("here")

    def call(self, bench, group, number, path):
        return call(bench.folder / bench.place.id / "groups" / group, number, path)

    def finish(self, bench, group):
        (bench.folder / bench.place.id / "groups" / group / "finish").touch()

    def kill(self, bench, pid):
        os.kill(pid, signal.SIGKILL)

    def kill_keeper(self, bench):
        os.kill(supervisor_pid(bench.folder / bench.place.id), signal.SIGKILL)
        for pid in left(bench.folder):
            os.kill(pid, signal.SIGKILL)

    def left(self, bench):
        return left(bench.folder)

    @contextmanager
    def out_of_reach(self, bench):
        keeper = supervisor_pid(bench.folder / bench.place.id)
        os.kill(keeper, signal.SIGSTOP)
        yield
        os.kill(keeper, signal.SIGCONT)
