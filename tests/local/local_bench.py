"""What the tests of local pools do again and again: small programs, run through the real executor."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtJob
from specforge.core.steps import RunJob
from specforge.core.values import Key, Run
from specforge.executors.base import CancelToken, StepContext, Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.run import RunFolder
from specforge.executors.local.settings import LocalSettings
from specforge.testing.job_bench import Recorder
from specforge.testing.storage import SuiteTrees

PATIENCE = 30.0


def a_key(attempt=1, name="digits", step="train"):
    return Key("lineage", Address("training", name), "a" * 64, attempt, step)


def until(condition, what):
    """Wait until the condition holds and return what it gives."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return found


def python(code, *words):
    return Run(("@python", "-c", code, *words))


class LocalBench:
    """A project folder with a local pool `here`; `settings` as in a Pool document."""

    def __init__(self, root, **settings):
        root.mkdir(exist_ok=True)
        self.root = root
        self.trees = SuiteTrees()
        self.executor = LocalExecutor(Surroundings(root, root / "cache", self._reader))
        self.place = LocalSettings(**settings).place("here")
        self.recorder = Recorder()

    def _reader(self, place):
        return self.executor if place.driver == "local" else self.trees

    def context(self, key=None, token=None):
        return StepContext(key or a_key(), self.recorder, token or CancelToken())

    def perform(self, run, key=None, token=None, **changes):
        step = RunJob("train", self.place, run, **changes)
        return self.executor.perform(step, self.context(key, token)).outputs

    def failure(self, run, key=None, **changes):
        """Perform what must fail, and return the error."""
        try:
            self.perform(run, key, **changes)
        except ExecutionError as error:
            return error
        raise AssertionError("the job succeeded")

    def reason(self, run, key=None, **changes):
        """Perform what must end badly, and return the reason in words."""
        error = self.failure(run, key, **changes)
        assert error.ended
        return self.look(key).facts["reason"]

    def look(self, key=None):
        query = LookAtJob(self.place, (key or a_key()).id)
        return self.executor.observe(self.place, [query], None)[query]

    def folder(self, key=None):
        return self.root / self.place.id / "runs" / (key or a_key()).id

    def run(self, key=None):
        return RunFolder(self.folder(key))

    @contextmanager
    def background(self, run, key=None, token=None, **changes):
        """Perform in a thread; what still runs afterwards is cancelled."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.perform, run, key, token, **changes)
            try:
                yield future
            finally:
                self.executor.cancel(self.place, (key or a_key()).id, 0.0)

    def log(self, key=None):
        return [line.text for line in self.executor.logs(self.place, (key or a_key()).id, None, follow=False)]
