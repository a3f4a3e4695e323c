"""The contract of an executor that keeps replicas: derive a test class, say how an executor is made, run pytest.

class TestMine(ReplicaContract):
    def make(self, folder, reader):
        return MyExecutor(Surroundings(folder, folder / "cache", reader)), Place("mine", "here")

    def call(self, bench, group, number, path):
        ...  # one HTTP request to this replica

`make` is called several times in one test, with the same folder: executors at one place, as two processes have them.
The replicas are `specforge.testing.stand_in` by default; an executor without processes says with `replica` what its
programs are. What a place cannot do (`kill`, `kill_keeper`, `out_of_reach`) is skipped with a reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from specforge.core.errors import Cancelled
from specforge.core.queries import LookAtReplicas, Presence
from specforge.core.steps import EnsurePlace, Ready
from specforge.core.values import Frozen, JobInput, Place, Run
from specforge.executors.base import CancelToken, Executor, StepContext, TreeReader
from specforge.testing import stand_in
from specforge.testing.job_bench import PATIENCE
from specforge.testing.replica_bench import GROUP, ReplicaBench, a_key
from specforge.testing.store_bench import SuiteTrees

__all__ = ["ReplicaBench", "ReplicaContract"]


class ReplicaContract:
    """What every executor that keeps replicas must do; see the module for how to use it."""

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        """Return a new executor and its place, which keeps everything in `folder`; override."""
        raise NotImplementedError

    def call(self, bench: ReplicaBench, group: str, number: int, path: str) -> tuple[int, str]:
        """Send `GET path` to this replica; return status and body. Raises OSError if it does not listen. Override."""
        raise NotImplementedError

    def replica(self, behaviour: str, *words: str) -> Run:
        """Return what a replica runs; for the behaviours see `specforge.testing.stand_in`."""
        return Run(("@python", "-I", "-S", stand_in.__file__, "@socket", behaviour, *words))

    def finish(self, bench: ReplicaBench, group: str) -> None:
        """Let the replicas of the group answer `/slow`."""
        del bench, group
        pytest.skip("requests to these replicas take no time")

    def kill(self, bench: ReplicaBench, pid: int) -> None:
        """Kill this replica as the kernel does when memory is short; it is to be started again."""
        del bench, pid
        pytest.skip("replicas of this place cannot be killed from here")

    def kill_keeper(self, bench: ReplicaBench) -> None:
        """Kill whatever keeps the replicas up, together with all of them."""
        del bench
        pytest.skip("nothing keeps up these replicas that could be killed")

    def left(self, bench: ReplicaBench) -> list[int]:
        """Return the processes of replicas that still run, whoever keeps them up."""
        return [pid for pid, _ in bench.pids().values()]

    @contextmanager
    def out_of_reach(self, bench: ReplicaBench) -> Iterator[None]:
        """Make the place impossible to ask for a while; skip where that cannot be done."""
        del bench
        pytest.skip("this place cannot be made unreachable")
        yield

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[ReplicaBench]:
        """Give a fresh place; nothing runs there afterwards."""
        trees = SuiteTrees()
        folder = tmp_path / "project"
        folder.mkdir()
        one, place = self.make(folder, lambda _: trees)
        two, _ = self.make(folder, lambda _: trees)
        one.perform(EnsurePlace(place, place.settings), StepContext(a_key()))
        bench = ReplicaBench(place, one, two, trees, folder)
        yield bench
        for group in (GROUP, "service.other"):
            bench.ensure(None, 0, group=group, drain=0.0)

    # ---- started, and left alone ----

    def test_starts_them_and_waits_until_they_are_ready(self, bench: ReplicaBench) -> None:
        """Performed, so many replicas answer; pids and start times are given, and seen by others."""
        outputs = bench.ensure(self.replica("ready", "hello"), 2)
        seen = bench.look()
        assert (seen.presence, seen.facts["wanted"], seen.facts["ready"]) == (Presence.PRESENT, 2, 2)
        shown = {each["number"]: (each["pid"], each["started"]) for each in outputs["replicas"]}
        assert shown == bench.pids()
        assert [self.call(bench, GROUP, number, "/") for number in (1, 2)] == [(200, "hello")] * 2
        assert "2 of 2 ready" in bench.recorder.texts("state")

    def test_twice_starts_once(self, bench: ReplicaBench) -> None:
        """Performed again, by another executor, the same processes run on."""
        first = bench.ensure(self.replica("ready"), 2)
        assert bench.ensure(self.replica("ready"), 2, bench.two) == first
        assert len(self.left(bench)) == 2

    def test_twice_at_once_starts_once(self, bench: ReplicaBench) -> None:
        """Performed at the same moment by several, each number is started once, and all get the same."""
        barrier = threading.Barrier(4)

        def perform(number: int) -> Frozen:
            barrier.wait(PATIENCE)
            return bench.ensure(self.replica("ready"), 2, bench.one if number % 2 else bench.two)

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(perform, range(4)))
        assert results == [results[0]] * 4
        assert len(self.left(bench)) == 2

    def test_more_or_fewer_leave_the_others_alone(self, bench: ReplicaBench) -> None:
        """A change of the number starts or ends the difference only."""
        bench.ensure(self.replica("ready"), 1)
        one = bench.pids()
        bench.ensure(self.replica("ready"), 3)
        three = bench.pids()
        assert one.items() <= three.items()
        assert sorted(three) == [1, 2, 3]
        bench.ensure(self.replica("ready"), 2)
        assert bench.pids() == {number: three[number] for number in (1, 2)}
        assert len(self.left(bench)) == 2

    def test_groups_do_not_touch_each_other(self, bench: ReplicaBench) -> None:
        """Two groups run side by side; one goes, the other stays as it is; one question answers for both."""
        bench.ensure(self.replica("ready", "old"), 1)
        bench.ensure(self.replica("ready", "new"), 1, group="service.other")
        before = bench.pids("service.other")
        queries = [LookAtReplicas(bench.place, group) for group in (GROUP, "service.other", "service.none")]
        seen = bench.two.observe(bench.place, queries, 10)
        assert [seen[each].facts.get("ready", 0) for each in queries] == [1, 1, 0]
        bench.ensure(None, 0)
        assert bench.pids("service.other") == before
        assert self.call(bench, "service.other", 1, "/") == (200, "new")

    def test_shows_its_inputs(self, bench: ReplicaBench) -> None:
        """A replica finds the files of its input by their paths."""
        given = bench.trees.tree({"model/m.txt": b"weights"})
        bench.ensure(self.replica("ready"), 1, inputs=(JobInput("model", given),))
        assert self.call(bench, GROUP, 1, "/in/model/model/m.txt") == (200, "weights")

    # ---- not ready ----

    def test_those_that_never_get_ready_are_an_error(self, bench: ReplicaBench) -> None:
        """After the time given, the error has the end of their log; others are not touched; they can be taken away."""
        bench.ensure(self.replica("ready"), 1, group="service.other")
        before = bench.pids("service.other")
        error = bench.failure(self.replica("never", "loading the model"), 1, ready=Ready(within=0.5))
        assert error.ended
        assert "loading the model" in error.log
        assert "spec logs service.digits" in str(error.diagnostics[0].hint)
        assert bench.look().facts["ready"] == 0
        assert bench.pids("service.other") == before
        bench.ensure(None, 0)
        assert bench.is_absent()

    def test_those_that_crash_are_an_error_at_once(self, bench: ReplicaBench) -> None:
        """Nobody waits for the whole time given; the error says how they ended."""
        error = bench.failure(self.replica("crash", "no such model"), 1, ready=Ready(within=PATIENCE * 10))
        assert "exit code 3" in error.diagnostics[0].detail
        assert "no such model" in error.log
        assert self.left(bench) == []

    def test_a_request_to_stop_is_heard(self, bench: ReplicaBench) -> None:
        """Asked to stop while it waits for them, it stops, and they can be taken away."""
        token = CancelToken()
        with bench.ensuring(self.replica("loading"), 1, token, ready=Ready(within=PATIENCE * 10)) as doing:
            bench.until(lambda: "0 of 1 ready" in bench.recorder.texts("state"), "it to wait")
            token.cancel()
        assert isinstance(doing.error, Cancelled)
        bench.ensure(None, 0)
        assert bench.is_absent()

    # ---- restarted ----

    def test_a_killed_replica_is_started_again(self, bench: ReplicaBench) -> None:
        """One that dies comes back by itself, and the place tells how often it ended."""
        bench.ensure(self.replica("ready"), 2)
        before = bench.pids()
        self.kill(bench, before[1][0])
        bench.until(lambda: bench.pids().get(1, before[1]) != before[1], "it to come back")
        assert bench.pids()[2] == before[2]
        assert [each["exits"] for each in bench.look().facts["replicas"]] == [1, 0]
        bench.ensure(self.replica("ready"), 2)
        assert bench.pids()[2] == before[2]

    def test_a_group_that_was_killed_is_brought_back(self, bench: ReplicaBench) -> None:
        """When nobody keeps it up any more it is absent, with a time; performing the step again has it back."""
        bench.ensure(self.replica("ready"), 2)
        self.kill_keeper(bench)
        bench.until(bench.is_absent, "it to be gone")
        assert bench.look().since is not None
        bench.ensure(self.replica("ready"), 2)
        assert sorted(bench.pids()) == [1, 2]
        assert len(self.left(bench)) == 2

    # ---- ended ----

    def test_requests_in_flight_are_answered_first(self, bench: ReplicaBench) -> None:
        """A replica that is taken away answers what it has begun."""
        bench.ensure(self.replica("ready", "hello"), 1)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.call, bench, GROUP, 1, "/slow")
            with bench.ensuring(None, 0, drain=PATIENCE) as doing:
                bench.until(lambda: any("last requests" in each for each in bench.recorder.texts("state")), "draining")
                assert not doing.over
                self.finish(bench, GROUP)
            assert answer.result(PATIENCE) == (200, "hello")
        assert bench.is_absent()

    @pytest.mark.parametrize("behaviour", ["stubborn", "parent"])
    def test_those_that_do_not_end_are_forced(self, bench: ReplicaBench, behaviour: str) -> None:
        """After the time to drain, no process is left, nor any that it started."""
        bench.ensure(self.replica(behaviour), 1)
        bench.ensure(None, 0, drain=0.2)
        assert bench.is_absent()
        assert self.left(bench) == []

    def test_taken_away_twice_is_fine(self, bench: ReplicaBench) -> None:
        """Taking away what is gone, or never was, does nothing."""
        bench.ensure(None, 0)
        bench.ensure(self.replica("ready"), 1)
        assert bench.ensure(None, 0) == Frozen(replicas=())
        bench.ensure(None, 0, bench.two)
        assert bench.is_absent()
        assert self.left(bench) == []
        bench.ensure(self.replica("ready"), 1)
        assert len(bench.pids()) == 1

    # ---- looked at ----

    def test_absent_is_not_unreachable(self, bench: ReplicaBench) -> None:
        """A group nobody has heard of is absent; at a place that cannot be asked, it is not."""
        assert bench.is_absent()
        bench.ensure(self.replica("ready"), 1)
        with self.out_of_reach(bench):
            assert bench.look(deadline=0.3).presence is Presence.UNREACHABLE
        assert bench.look().facts["ready"] == 1

    def test_gives_what_they_printed(self, bench: ReplicaBench) -> None:
        """The lines of all replicas, with their numbers if there are several; they stay when the group is gone."""

        def texts() -> list[str]:
            return sorted(line.text for line in bench.two.logs(bench.place, GROUP, None, False))

        bench.ensure(self.replica("ready", "hello"), 1)
        bench.until(lambda: texts() == ["hello"], "its line")
        bench.ensure(self.replica("ready", "hello"), 2)
        bench.until(lambda: texts() == ["1 | hello", "2 | hello"], "their lines")
        bench.ensure(None, 0)
        assert len(texts()) == 2
