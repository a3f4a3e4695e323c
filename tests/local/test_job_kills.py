"""What a kill leaves, and how the next performer finds it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_bench import LocalBench, a_key, python, until

from specforge.core.errors import ExecutionError, Lost
from specforge.core.queries import Presence
from specforge.core.values import JobOutput
from specforge.runtimes.job import process

ONCE = """
import os, sys, time
out, count, go = sys.argv[1:]
with open(count, "a") as file:
    file.write("ran\\n")
while not os.path.exists(go):
    time.sleep(0.01)
os.mkdir(out + "/model")
open(out + "/model/m", "w").close()
"""
MODEL = (JobOutput("model", "model", required=True),)
PERFORM = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from local_bench import LocalBench, a_key, python
from test_job_kills import MODEL, ONCE
bench = LocalBench(Path(sys.argv[1]))
bench.perform(python(ONCE, "@out", *sys.argv[2:]), outputs=MODEL)
"""


class Twice:
    """A job that counts its runs and goes on until it is let go."""

    def __init__(self, local, folder):
        self.local = local
        self.count = folder / "count"
        self.go = folder / "go"
        self.run = python(ONCE, "@out", str(self.count), str(self.go))

    def start_elsewhere(self):
        """Perform it in a process of its own; return that once the program runs."""
        code = PERFORM.format(path=sys.path)
        words = [sys.executable, "-c", code, str(self.local.root), str(self.count), str(self.go)]
        performer = subprocess.Popen(words, stderr=subprocess.PIPE)
        until(lambda: self.ran() or performer.poll() is not None, "the program")
        assert performer.poll() is None, performer.stderr.read().decode()
        return performer

    def perform(self):
        return self.local.perform(self.run, outputs=MODEL)

    def ran(self):
        return self.count.exists() and self.runs > 0

    @property
    def runs(self):
        return self.count.read_text().count("ran")


@pytest.fixture
def twice(local, tmp_path):
    return Twice(local, tmp_path)


def kill(process):
    process.kill()
    process.wait()
    process.stderr.close()


def gone(pid):
    return process.start_time(pid) is None or not process.is_same(process.card(pid))


def test_the_job_goes_on_when_its_performer_is_killed(twice):
    """After kill -9 of the performer the job runs on; the next performer attaches, and nothing ran twice."""
    kill(twice.start_elsewhere())
    assert twice.local.look().facts["state"] == "running"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(twice.perform)
        until(lambda: "attached to a running job" in twice.local.recorder.texts("state"), "the attachment")
        twice.go.touch()
        assert job.result(20)["tree.model"].digest
    assert twice.runs == 1


def test_the_job_ends_while_nobody_waits(twice):
    """A job that ends after its performer was killed is found ended, with its outputs."""
    kill(twice.start_elsewhere())
    twice.go.touch()
    until(lambda: twice.local.look().facts["state"] == "ended", "the end")
    assert twice.perform()["tree.model"].digest
    assert twice.runs == 1


@pytest.mark.parametrize("what", ["out", "out/model/m", "trees"])
def test_what_a_job_left_is_removed_before_anybody_took_it(twice, what):
    """Such a job is lost: its attempt is used up, and the next one runs the program again."""
    kill(twice.start_elsewhere())
    twice.go.touch()
    until(lambda: twice.local.look().facts["state"] == "ended", "the end")
    gone = twice.local.folder() / what
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    for _ in range(2):
        seen = twice.local.look()
        assert (seen.facts["state"], seen.facts["exit"]) == ("ended", None)
        assert "was removed or changed before it was published" in seen.facts["reason"]
        error = twice.local.failure(twice.run, outputs=MODEL)
        assert isinstance(error, Lost)
        assert error.ended
        assert "was removed or changed before it was published" in str(error)
    assert twice.runs == 1
    assert twice.local.perform(twice.run, a_key(2), outputs=MODEL)
    assert twice.runs == 2


def test_a_file_that_a_job_left_is_cut_before_anybody_took_it(twice):
    """What cannot be published any more is not tried again for ever."""
    twice.go.touch()
    twice.perform()
    (twice.local.folder() / "out" / "model" / "m").write_text("half")
    assert "`out/model/m` of its run folder" in str(twice.local.failure(twice.run, outputs=MODEL))


def test_the_wrapper_is_killed(twice):
    """After kill -9 of the wrapper its program ends too, and the job is lost: said once for all, not run again."""
    performer = twice.start_elsewhere()
    run = twice.local.run()
    wrapper, command = json.loads((run.path / "wrapper.json").read_text()), run.command()
    kill(performer)
    os.kill(wrapper["pid"], signal.SIGKILL)
    until(lambda: gone(command["pid"]), "the end of the program")
    seen = twice.local.look()
    assert (seen.presence, seen.facts["state"], seen.facts["exit"]) == (Presence.PRESENT, "ended", None)
    for _ in range(2):
        error = twice.local.failure(twice.run, outputs=MODEL)
        assert error.ended
        assert str(error) == "SF442 The job was lost: step `train` of training.digits: its wrapper was killed"
    assert twice.runs == 1
    twice.go.touch()
    assert twice.local.perform(twice.run, a_key(2), outputs=MODEL)
    assert twice.runs == 2


def test_a_waiting_performer_hears_that_the_wrapper_was_killed(twice):
    """A performer that waits when the wrapper is killed does not wait for ever."""
    with twice.local.background(twice.run, outputs=MODEL) as job:
        until(twice.ran, "the program")
        os.kill(json.loads((twice.local.folder() / "wrapper.json").read_text())["pid"], signal.SIGKILL)
        with pytest.raises(ExecutionError, match="The job was lost"):
            job.result(20)


def test_what_a_lost_job_left_running_is_ended(local):
    """Children of a lost job are found by their start, wherever they hid, and ended before it is called lost."""
    code = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    print(f"child {os.getpid()} child", flush=True)
time.sleep(60)
"""
    with local.background(python(code)) as job:
        line = until(lambda: [text for text in local.recorder.texts("log") if text.endswith(" child")], "the child")
        child = int(line[0].split()[1])
        os.kill(json.loads((local.folder() / "wrapper.json").read_text())["pid"], signal.SIGKILL)
        with pytest.raises(ExecutionError, match="The job was lost"):
            job.result(20)
    assert gone(child)


def forged(local, twice, **changes):
    """Make a run look as if its program had been the process with this card, and its wrapper were gone."""
    with local.background(twice.run, outputs=MODEL):
        until(twice.ran, "the program")
    run = local.run()
    (run.path / "status.json").unlink()
    (run.path / "command.json").write_text(json.dumps({**run.command(), **changes}))
    return run


@pytest.fixture
def stranger():
    """A process that has nothing to do with any job."""
    with subprocess.Popen(["sleep", "60"]) as found:
        # Start times are counted in ticks: nothing that starts from now on shall have the same one.
        tick = process.start_time(found.pid) + 1
        until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") > tick, "the next tick")
        yield found
        found.kill()


def test_a_pid_that_belongs_to_another_program_is_left_alone(local, twice, stranger):
    """A recorded pid that another program has by now is neither adopted nor killed."""
    forged(local, twice, pid=stranger.pid)
    assert local.look().facts["state"] == "ended"
    assert "The job was lost" in str(local.failure(twice.run, outputs=MODEL))
    assert stranger.poll() is None
    local.executor.cancel(local.place, a_key().id, 0.0)
    assert stranger.poll() is None


def test_a_process_of_another_boot_is_left_alone(local, twice, stranger):
    """After a restart of the machine the job is lost, and a process with its pid and start time is not its program."""
    forged(local, twice, **{**process.card(stranger.pid), "boot": "0-0-0"})
    assert "the machine was restarted while it ran" in str(local.failure(twice.run, outputs=MODEL))
    assert stranger.poll() is None


def test_a_wrapper_pid_that_belongs_to_another_program_is_not_signalled(local, stranger):
    """Asking a job to stop signals its wrapper only, never a program that has the same pid by now."""
    with local.background(python("import time; time.sleep(60)")) as job:
        until(lambda: local.run().command(), "the program")
        run = local.run()
        card = json.loads((run.path / "wrapper.json").read_text())
        (run.path / "wrapper.json").write_text(json.dumps({**card, "pid": stranger.pid}))
        local.executor.cancel(local.place, a_key().id, 0.0)
        with pytest.raises(ExecutionError, match="cancelled"):
            job.result(20)
    assert stranger.poll() is None


def test_killed_while_it_was_prepared(local, tmp_path):
    """A run folder whose preparation was cut short is prepared anew, and the job runs once."""
    folder = local.folder()
    for name in ("in/data", "work", "out/model"):
        (folder / name).mkdir(parents=True)
    (folder / "work" / "half.py").touch()
    (folder / "in" / "data").chmod(0o555)
    (folder / "request.json").write_text("{")
    (folder / "cancel").write_text('{"grace": 0}')
    assert local.look().presence is Presence.ABSENT
    local.executor.cancel(local.place, a_key().id, 0.0)
    code = "import os; print(os.listdir('.'), os.listdir('../in'))"
    local.perform(python(code))
    assert local.log() == ["[] []"]


def test_killed_before_the_program_was_let_go(local):
    """A wrapper that dies while its job waits for a slot leaves no trace: the job never started."""
    with LocalBench(local.root).background(python("import time; time.sleep(60)"), a_key(9)):
        until(local.run(a_key(9)).command, "the job in the slot")
        with local.background(python("print('ran')")) as job:
            until(lambda: "waiting for a free slot" in local.recorder.texts("state"), "the wait")
            os.kill(json.loads((local.folder() / "wrapper.json").read_text())["pid"], signal.SIGKILL)
            with pytest.raises(ExecutionError, match="cannot be started") as failure:
                job.result(20)
            assert not failure.value.ended
            assert local.look().presence is Presence.ABSENT
    local.perform(python("print('ran')"))
    assert local.log() == ["ran"]


def test_a_wrapper_that_cannot_start_is_no_endless_loop(local):
    """A wrapper that fails before it did anything is said with its words, and costs no attempt."""
    (local.folder() / "lock").mkdir(parents=True)
    error = local.failure(python(""))
    assert "the job's wrapper failed: IsADirectoryError" in str(error)
    assert not error.ended


def test_a_performer_killed_while_the_wrapper_starts(local):
    """Between the start of the wrapper and its lock there is no moment at which a second one would be started."""
    folder = local.folder()
    folder.mkdir(parents=True)
    began = time.monotonic()
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    with local.background(python("print('ran')")) as job:
        until(lambda: "attached to a running job" in local.recorder.texts("state"), "the wait for the starter")
        assert not job.done()
        holder.kill()
        job.result(20)
    holder.stdout.close()
    holder.wait()
    assert time.monotonic() - began < 20
    assert local.log() == ["ran"]


_HOLD = """
import fcntl, sys, time
file = open(sys.argv[1] + "/staging", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""
