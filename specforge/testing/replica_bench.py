"""What the contract of replicas works with: a place with two executors at it, and groups that are asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.making import dataclass
from specforge.core.queries import LookAtReplicas, Presence, Seen
from specforge.core.steps import EnsureReplicas, Ready
from specforge.core.values import Frozen, Key, Place, Run
from specforge.executors.base import CancelToken, Executor, StepContext
from specforge.testing.job_bench import PATIENCE, Recorder
from specforge.testing.store_bench import SuiteTrees

GROUP = "service.digits-0123456789ab"
WITHIN = 20.0


@dataclass
class ReplicaBench:
    """One place with two executors at it, the suite's trees, and what the tests do again and again."""

    place: Place
    one: Executor
    two: Executor
    trees: SuiteTrees
    folder: Path
    recorder: Recorder = field(default_factory=Recorder)

    def step(self, run: Run | None, count: int, **changes: Any) -> EnsureReplicas:
        """Return the step that wants so many replicas."""
        step = EnsureReplicas(self.place, GROUP, run, count, ready=Ready(within=WITHIN))
        return replace(step, **changes)

    def ensure(self, run: Run | None, count: int, executor: Executor | None = None, **changes: Any) -> Frozen:
        """Perform the step and return its outputs."""
        context = StepContext(a_key(), self.recorder)
        return (executor or self.one).perform(self.step(run, count, **changes), context).outputs

    def failure(self, run: Run | None, count: int, **changes: Any) -> ExecutionError:
        """Perform the step, which must fail, and return its error."""
        try:
            self.ensure(run, count, **changes)
        except ExecutionError as error:
            return error
        raise AssertionError("the replicas got ready")

    def look(self, group: str = GROUP, deadline: float = 10.0) -> Seen:
        """Look at the group, through the second executor."""
        query = LookAtReplicas(self.place, group)
        return self.two.observe(self.place, [query], deadline)[query]

    def states(self, group: str = GROUP) -> list[str]:
        """Return the states of the group's replicas, by their numbers."""
        return [each["state"] for each in self.look(group).facts.get("replicas", ())]

    def pids(self, group: str = GROUP) -> dict[int, tuple[int, float]]:
        """Return {number: (pid, when it was started)} of the replicas that are ready."""
        replicas = self.look(group).facts.get("replicas", ())
        return {each["number"]: (each["pid"], each["started"]) for each in replicas if each["state"] == "ready"}

    def is_absent(self, group: str = GROUP) -> bool:
        """Return whether nobody keeps such a group."""
        return self.look(group).presence is Presence.ABSENT

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; fail after a while."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.005)

    @contextmanager
    def ensuring(
        self, run: Run | None, count: int, token: CancelToken | None = None, **changes: Any
    ) -> Iterator[Doing]:
        """Perform the step in a thread; give what comes of it."""
        doing = Doing()
        context = StepContext(a_key(), self.recorder, token or CancelToken())

        def perform() -> None:
            try:
                doing.outputs = self.one.perform(self.step(run, count, **changes), context).outputs
            except ExecutionError as error:
                doing.error = error

        thread = threading.Thread(target=perform)
        thread.start()
        doing.thread = thread
        try:
            yield doing
        finally:
            thread.join(PATIENCE)
        assert not thread.is_alive(), "the step does not come to an end"


@dataclass
class Doing:
    """A step that is being performed: its outputs or its error, once it is over."""

    thread: threading.Thread = field(default_factory=threading.Thread)
    outputs: Frozen | None = None
    error: ExecutionError | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to an end."""
        return not self.thread.is_alive()


def a_key() -> Key:
    """Return a run key of a service."""
    return Key("lineage", Address("service", "digits"), "a" * 64, 1, "replicas")
