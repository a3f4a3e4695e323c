"""The contract of an executor that runs jobs: derive a test class, say how an executor is made, run pytest.

class TestMine(JobContract):
    def make(self, folder, reader):
        return MyExecutor(Surroundings(folder, folder / "cache", reader)), Place("mine", "here", Frozen(slots=2))

`make` is called several times in one test, with the same folder: executors at one place, as two processes have them.
The place must let two jobs run at once. The suite's own trees lie at `Place("suite", …)`, read through `reader`.
What the jobs do is Python code by default; an executor without real processes says with `job_ok` and its like what its
programs are, and with `starts` how often one was started.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.queries import FindIdentity, LookAtJob, LookAtPlace, Presence, Query
from specforge.core.steps import Copy, EnsurePlace
from specforge.core.values import Frozen, JobInput, Key, Place, Run, Tree
from specforge.executors.base import CancelToken, Discards, Executor, StepContext, TreeReader
from specforge.formats import manifest, tree
from specforge.testing.job_bench import LIST, PATIENCE, WAIT, WRITE, Bench, Recorder, a_key
from specforge.testing.storage import SuiteTrees


class JobContract:
    """What every executor that runs jobs must do; see the module for how to use it."""

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        """Return a new executor and its place, which keeps everything in `folder`; override."""
        raise NotImplementedError

    # ---- programs: override where a job is no process of this machine ----

    def job_ok(self, folder: Path, files: Mapping[str, str], lines: Sequence[str] = ()) -> Run:
        """Return a program that leaves these files in its output folder, prints these lines, and ends well."""
        return self._writing(folder, 0, files, lines)

    def job_failing(self, folder: Path, code: int, lines: Sequence[str] = ()) -> Run:
        """Return a program that prints these lines and ends with this exit code."""
        return self._writing(folder, code, {}, lines)

    def job_long(self, folder: Path) -> Run:
        """Return a program that prints `waiting`, runs until `finish`, then leaves `model/m.txt` and ends well."""
        return Run(("@python", "-c", WAIT, "@out", str(folder / "starts"), str(folder / "finish")))

    def job_listing(self, folder: Path, name: str) -> Run:
        """Return a program that leaves `model/listing.txt`: the paths of the files in its input `name`, one a line."""
        del folder
        return Run(("@python", "-c", LIST, f"@in/{name}", "@out"))

    def finish(self, folder: Path) -> None:
        """Let every long program end."""
        (folder / "finish").touch()

    def starts(self, folder: Path) -> int:
        """Return how often a program was started."""
        file = folder / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def tree(self, bench: Bench, files: Mapping[str, bytes]) -> Tree:
        """Return a tree of these files that the executor can read."""
        return bench.trees.tree(files)

    @contextmanager
    def out_of_reach(self, bench: Bench) -> Iterator[None]:
        """Make the place impossible to ask for a while; skip where that cannot be done."""
        del bench
        pytest.skip("this place cannot be made unreachable")
        yield

    def _writing(self, folder: Path, code: int, files: Mapping[str, str], lines: Sequence[str]) -> Run:
        what = json.dumps([code, dict(files), list(lines)])
        return Run(("@python", "-c", WRITE, "@out", what, str(folder / "starts")))

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        """Give a fresh place."""
        trees = SuiteTrees()
        folder = tmp_path / "project"
        folder.mkdir()
        one, place = self.make(folder, lambda _: trees)
        two, _ = self.make(folder, lambda _: trees)
        one.perform(EnsurePlace(place, place.settings), StepContext(a_key(step="place")))
        return Bench(place, one, two, trees, folder)

    @contextmanager
    def running(self, bench: Bench, key: Key, token: CancelToken | None = None) -> Iterator[Future[Frozen]]:
        """Perform a long job in a thread; give its outputs-to-be once its program runs; end it afterwards."""
        context = StepContext(key, bench.recorder, token or CancelToken())
        step, before = bench.step(self.job_long(bench.folder)), self.starts(bench.folder)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: bench.one.perform(step, context).outputs)
            try:
                bench.until(
                    lambda: (self.starts(bench.folder) > before and bench.runs(key)) or future.done(), "the job to run"
                )
                yield future
            finally:
                self.finish(bench.folder)
                bench.one.cancel(bench.place, key.id, 0.1)

    # ---- results ----

    def test_gives_what_the_program_left(self, bench: Bench) -> None:
        """Every output is a tree with a digest, readable from elsewhere; what is excluded is not in it."""
        run = self.job_ok(bench.folder, {"model/m.txt": "weights", "notes/a.txt": "note", "b.txt": "b"}, ["hello"])
        outputs = bench.perform(run, a_key())
        assert bench.read(outputs, "model") == {"m.txt": "weights"}
        assert bench.read(outputs, "rest") == {"notes/a.txt": "note", "b.txt": "b"}
        assert any("hello" in text for text in bench.read(outputs, "log").values())
        found = outputs["tree.model"]
        assert isinstance(bench.two, TreeReader)
        assert tree.digest(bench.two.entries(found)) == found.digest
        assert outputs["usage"]["seconds"] >= 0

    def test_equal_files_give_equal_digests(self, bench: Bench) -> None:
        """Two runs that leave the same files give the same digest, wherever they lie."""
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"})
        first, second = bench.perform(run, a_key(1)), bench.perform(run, a_key(2))
        assert first["tree.model"].digest == second["tree.model"].digest
        assert first["tree.model"].path != second["tree.model"].path

    def test_gives_the_facts(self, bench: Bench) -> None:
        """The content of the facts file is given back, frozen."""
        run = self.job_ok(bench.folder, {"model/m.txt": "", "facts.json": '{"accuracy": 0.5, "labels": ["a"]}'})
        outputs = bench.perform(run, a_key(), facts="facts.json")
        assert Frozen(accuracy=0.5, labels=("a",)) == outputs["facts"]

    def test_shows_its_inputs(self, bench: Bench) -> None:
        """A job finds the files of its input by their paths."""
        given = self.tree(bench, {"0/a.png": b"a", "1/数字.png": b"b"})
        outputs = bench.perform(self.job_listing(bench.folder, "data"), a_key(), inputs=(JobInput("data", given),))
        assert bench.read(outputs, "model") == {"listing.txt": "0/a.png\n1/数字.png\n"}

    def test_shows_the_samples_of_the_wanted_usages(self, bench: Bench) -> None:
        """Of a data set, a job sees the samples of some usages only; one without usage is for training."""
        samples = [manifest.Sample("a.png", "TRAIN"), manifest.Sample("b.png", "EVAL"), manifest.Sample("c.png")]
        files = {"a.png": b"a", "b.png": b"b", "c.png": b"c", "d.manifest": manifest.write(samples)}
        given = self.tree(bench, files)
        for attempt, (usages, shown) in enumerate([(("TRAIN",), "a c"), (("EVAL",), "b"), (None, "a b c")], start=1):
            inputs = (JobInput("data", given, usages),)
            outputs = bench.perform(self.job_listing(bench.folder, "data"), a_key(attempt), inputs=inputs)
            names = [*(f"{name}.png" for name in shown.split()), "d.manifest"]
            assert "".join(f"{name}\n" for name in names) == bench.read(outputs, "model")["listing.txt"]

    # ---- once ----

    def test_the_same_key_twice_starts_once(self, bench: Bench) -> None:
        """Performed again, by another executor, a job gives the same result and does not run again."""
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"})
        first = bench.perform(run, a_key())
        assert first == bench.perform(run, a_key(), bench.two)
        assert self.starts(bench.folder) == 1

    def test_two_at_once_start_once(self, bench: Bench) -> None:
        """Performed at the same moment from several threads, a job starts once and all get its result."""
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"})
        barrier = threading.Barrier(4)

        def perform(number: int) -> Frozen:
            barrier.wait(PATIENCE)
            executor = bench.one if number % 2 else bench.two
            return executor.perform(bench.step(run), StepContext(a_key())).outputs

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(perform, range(4)))
        assert [results[0]] * 4 == results
        assert self.starts(bench.folder) == 1

    def test_attaches_to_a_running_job(self, bench: Bench) -> None:
        """Whoever performs a job that runs waits for it, says so, and gets the same result."""
        with self.running(bench, a_key()) as first, ThreadPoolExecutor(1) as pool:
            second = Recorder()
            step = bench.step(self.job_long(bench.folder))
            other = pool.submit(lambda: bench.two.perform(step, StepContext(a_key(), second)).outputs)
            bench.until(lambda: "attached to a running job" in second.texts("state"), "the second to attach")
            self.finish(bench.folder)
            assert first.result(PATIENCE) == other.result(PATIENCE)
        assert self.starts(bench.folder) == 1

    def test_another_attempt_runs_again(self, bench: Bench) -> None:
        """A new attempt is a new run, whether the last one failed or not."""
        with pytest.raises(ExecutionError):
            bench.perform(self.job_failing(bench.folder, 1), a_key(1))
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"})
        bench.perform(run, a_key(2))
        bench.perform(run, a_key(3))
        assert self.starts(bench.folder) == 3

    # ---- failures ----

    def test_a_failure_is_final_and_repeats(self, bench: Bench) -> None:
        """A job that failed has used its attempt up: performed again it fails with the same words, without running."""
        run = self.job_failing(bench.folder, 3, ["first words", "last words"])
        with pytest.raises(ExecutionError, match="exit code 3") as failure:
            bench.perform(run, a_key())
        with pytest.raises(ExecutionError) as again:
            bench.perform(run, a_key(), bench.two)
        assert failure.value.ended
        assert again.value.ended
        assert failure.value.diagnostics == again.value.diagnostics
        assert "last words" in failure.value.log
        assert self.starts(bench.folder) == 1

    def test_a_missing_output_is_a_failure(self, bench: Bench) -> None:
        """A job that ends well without a required output failed, for the reason that the output gives."""
        with pytest.raises(ExecutionError, match="write a model") as failure:
            bench.perform(self.job_ok(bench.folder, {"notes.txt": "no model"}), a_key())
        assert failure.value.ended

    def test_changed_input_starts_nothing(self, bench: Bench) -> None:
        """An input that is not what its digest says fails the step before anything runs; it may be tried again."""
        given = replace(self.tree(bench, {"a.png": b"a"}), digest="0" * 64)
        run = self.job_ok(bench.folder, {"model/m.txt": ""})
        with pytest.raises(ExecutionError) as failure:
            bench.perform(run, a_key(), inputs=(JobInput("data", given),))
        assert not failure.value.ended
        assert self.starts(bench.folder) == 0

    # ---- looking ----

    def test_an_unknown_job_is_absent(self, bench: Bench) -> None:
        """A job that never started is absent."""
        assert bench.look(a_key()).presence is Presence.ABSENT

    def test_a_running_job_is_seen(self, bench: Bench) -> None:
        """A job that runs is present, with its state and when it started."""
        with self.running(bench, a_key()):
            seen = bench.look(a_key())
            assert seen.presence is Presence.PRESENT
            assert seen.facts["state"] == "running"
            assert seen.facts["exit"] is None
            assert seen.facts["started"] > 0

    def test_an_ended_job_is_seen(self, bench: Bench) -> None:
        """A job that ended is present, with its exit code and the reason in words."""
        bench.perform(self.job_ok(bench.folder, {"model/m.txt": ""}), a_key(1))
        with pytest.raises(ExecutionError):
            bench.perform(self.job_failing(bench.folder, 3), a_key(2))
        well, badly = bench.look(a_key(1)), bench.look(a_key(2))
        assert (well.facts["state"], well.facts["exit"]) == ("ended", 0)
        assert (badly.facts["state"], badly.facts["exit"]) == ("ended", 3)
        assert "exit code 3" in badly.facts["reason"]

    def test_every_query_is_answered(self, bench: Bench) -> None:
        """Looking never raises: what the place cannot answer, or has no time for, is unreachable with a problem."""
        queries: list[Query] = [
            LookAtPlace(bench.place),
            LookAtJob(bench.place, a_key().id),
            FindIdentity(bench.place, "a" * 64),
        ]
        for deadline in (None, 10, 0):
            answers = bench.one.observe(bench.place, queries, deadline)
            assert set(queries) == set(answers)
            for seen in answers.values():
                assert (seen.presence is Presence.UNREACHABLE) == bool(seen.problem)

    def test_out_of_reach_is_not_absent(self, bench: Bench) -> None:
        """A place that cannot be asked answers that it is unreachable, of jobs that it has and of those it has not."""
        bench.perform(self.job_ok(bench.folder, {"model/m.txt": ""}), a_key())
        with self.out_of_reach(bench):
            assert bench.look(a_key()).presence is Presence.UNREACHABLE
            assert bench.look(a_key(2)).presence is Presence.UNREACHABLE
        assert bench.look(a_key()).presence is Presence.PRESENT

    # ---- stopping ----

    def test_cancel_ends_a_running_job(self, bench: Bench) -> None:
        """A job that is cancelled ends; whoever waits for it hears so, and so does whoever asks later."""
        with self.running(bench, a_key()) as waiting:
            bench.two.cancel(bench.place, a_key().id, 0.2)
            with pytest.raises(Cancelled) as stopped:
                waiting.result(PATIENCE)
            assert stopped.value.ended
            assert bench.look(a_key()).facts["state"] == "ended"
            with pytest.raises(Cancelled):
                bench.perform(self.job_long(bench.folder), a_key(), bench.two)
        assert self.starts(bench.folder) == 1

    def test_a_token_cancels_too(self, bench: Bench) -> None:
        """A performer that is asked to stop stops its job."""
        token = CancelToken()
        with self.running(bench, a_key(), token) as waiting:
            token.cancel()
            with pytest.raises(Cancelled):
                waiting.result(PATIENCE)
        assert bench.look(a_key()).facts["state"] == "ended"

    def test_cancel_is_silent(self, bench: Bench) -> None:
        """Cancelling what never ran, or has ended, does nothing."""
        bench.one.cancel(bench.place, a_key().id, 0.1)
        assert bench.look(a_key()).presence is Presence.ABSENT
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"})
        first = bench.perform(run, a_key())
        bench.one.cancel(bench.place, a_key().id, 0.1)
        assert first == bench.perform(run, a_key())

    # ---- logs ----

    def test_lines_arrive_as_events_and_stay(self, bench: Bench) -> None:
        """What a job prints is reported while it runs, and can be read afterwards, in order."""
        lines = [f"epoch {number} 轮" for number in range(5)]
        bench.perform(self.job_ok(bench.folder, {"model/m.txt": ""}, lines), a_key())
        assert lines == [text for text in bench.recorder.texts("log") if text in lines]
        kept = [line.text for line in bench.two.logs(bench.place, a_key().id, None, follow=False)]
        assert lines == [text for text in kept if text in lines]

    def test_since_leaves_earlier_lines_out(self, bench: Bench) -> None:
        """Lines from before the asked time are not given."""
        bench.perform(self.job_ok(bench.folder, {"model/m.txt": ""}, ["early"]), a_key())
        late = bench.look(a_key()).facts["started"] + 3600
        assert list(bench.one.logs(bench.place, a_key().id, late, follow=False)) == []

    def test_following_ends_with_the_job(self, bench: Bench) -> None:
        """Following a log gives its lines and stops when the job has ended."""
        with self.running(bench, a_key()), ThreadPoolExecutor(1) as pool:
            lines = pool.submit(lambda: list(bench.two.logs(bench.place, a_key().id, None, follow=True)))
            self.finish(bench.folder)
            assert lines.result(PATIENCE) is not None

    # ---- the place ----

    def test_a_place_is_made_and_taken_away(self, bench: Bench) -> None:
        """The place is there after it was ensured, and gone after it was ensured away; both may be done twice."""
        query = LookAtPlace(bench.place)
        for wanted, expected in ((bench.place.settings, Presence.PRESENT), (None, Presence.ABSENT)):
            for _ in range(2):
                bench.one.perform(EnsurePlace(bench.place, wanted), StepContext(a_key(step="place")))
                assert bench.two.observe(bench.place, [query], 10)[query].presence is expected

    def test_copies_are_whole_and_done_once(self, bench: Bench) -> None:
        """A copied tree has the digest of its source; copying again, or what is there already, changes nothing."""
        source = self.tree(bench, {"train.py": b"print(1)", "lib/a.py": b"A = 1"})
        step = Copy(source, bench.place, "code/one")
        first = bench.one.perform(step, StepContext(a_key(step="copy"))).outputs["tree"]
        assert first == bench.two.perform(step, StepContext(a_key(step="copy"))).outputs["tree"]
        assert source.digest == first.digest
        assert bench.read(Frozen({"tree.copy": first}), "copy") == {"train.py": "print(1)", "lib/a.py": "A = 1"}

    def test_discarding_keeps_the_answer(self, bench: Bench) -> None:
        """After its heavy parts were dropped, a job still gives its result and its log, and does not run again."""
        if not isinstance(bench.one, Discards):
            pytest.skip("this executor keeps everything a job leaves")
        run = self.job_ok(bench.folder, {"model/m.txt": "weights"}, ["hello"])
        first = bench.perform(run, a_key())
        for _ in range(2):
            bench.one.discard(bench.place, a_key().id)
        assert first == bench.perform(run, a_key(), bench.two)
        assert "hello" in [line.text for line in bench.two.logs(bench.place, a_key().id, None, follow=False)]
        assert self.starts(bench.folder) == 1
