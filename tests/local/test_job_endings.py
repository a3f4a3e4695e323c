"""How jobs end, and what is said of it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time

import pytest
from local_bench import LocalBench, a_key, python, until

from specforge.core.errors import Cancelled
from specforge.core.values import EMPTY, JobOutput, Limits, Run
from specforge.executors.base import CancelToken
from specforge.runtimes.job import process

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def alive(marker):
    """Return the processes whose command line has this text."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if marker in line]


def test_reasons_in_words(local):
    """Exit codes and signals are said in words, and so is a program that cannot be started."""
    assert local.reason(python("raise SystemExit(3)"), a_key(1)) == "exit code 3"
    assert local.reason(python("import os; os.kill(os.getpid(), 9)"), a_key(2)) == "killed by signal 9 (out of memory?)"
    words = local.reason(python("import os; os.abort()"), a_key(3))
    assert words == "killed by signal 6 (Aborted)"
    assert "`nonesuch` cannot be started: No such file" in local.reason(Run(("nonesuch",)), a_key(4))


def test_the_program_may_say_why(local):
    """What a failing program writes to the file `failure` becomes the reason; its log has the exit code."""
    code = "import sys; open(sys.argv[1] + '/failure', 'w').write('the label 七 has no pictures\\n'); sys.exit(1)"
    error = local.failure(python(code, "@out"))
    assert error.diagnostics[0].detail.endswith(": the label 七 has no pictures")
    assert error.log.endswith("[specforge] the job ended: exit code 1")


def test_the_program_may_say_what_to_do(local):
    """A last line `hint: …` of the file `failure` is shown as the hint, before where the log is."""
    code = "import sys; open(sys.argv[1] + '/failure', 'w').write('two are wrong\\nhint: mend them\\n'); sys.exit(1)"
    found = local.failure(python(code, "@out")).diagnostics[0]
    assert found.detail.endswith(": two are wrong")
    assert found.hint == "mend them; `spec logs training.digits` shows what it printed"


def test_the_error_has_the_last_lines(local):
    """The error of a failed job carries the end of its output and how to see all of it."""
    error = local.failure(python("print('one'); print('two'); raise SystemExit(1)"))
    assert error.diagnostics[0].code == "SF440"
    assert error.diagnostics[0].hint == "`spec logs training.digits` shows what it printed"
    assert error.log.splitlines()[:2] == ["one", "two"]


def test_a_job_takes_too_long(local):
    """A job that runs longer than its timeout is ended."""
    began = time.monotonic()
    assert local.reason(python(SLEEP), timeout=0.3) == "timed out after 0.3 s"
    assert time.monotonic() - began < 5


def test_a_job_takes_too_much_memory(local):
    """A job that takes more memory than its limit is ended, its children's memory counted."""
    child = "import time; x = bytearray(300 << 20); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{child}'])"
    reason = local.reason(Run(("@python", "-c", code), limits=Limits(memory=200 << 20)))
    assert re.fullmatch(r"used [23]\d\d MiB of memory, more than its 200 MiB", reason)


def test_memory_that_processes_share_counts_once(local):
    """Forked children that share their parent's memory do not make a job too large."""
    code = """
import os, time
block = bytearray(60 << 20)
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.8)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
"""
    outputs = local.perform(Run(("@python", "-c", code), limits=Limits(memory=200 << 20)))
    assert outputs["usage"]["memory_peak"] < 200 << 20


def test_usage_is_measured(local):
    """A result says how long the job ran, its processor time and its peak memory, children included."""
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(90 << 20); sum(range(4000000))'])"
    )
    usage = local.perform(python(code))["usage"]
    assert usage["cpu_seconds"] > 0.02
    assert usage["seconds"] > 0
    assert usage["memory_peak"] > 90 << 20


def test_cancelling_a_polite_program(local):
    """A program gets SIGTERM first, and the time of the grace to finish in its own way."""
    code = """
import signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""
    with local.background(python(code)) as job:
        until(lambda: "up" in local.recorder.texts("log"), "the program")
        local.executor.cancel(local.place, a_key().id, 20)
        with pytest.raises(Cancelled):
            job.result(10)
    assert "saved" in local.log()


def test_a_stubborn_program_is_killed_after_the_grace(local):
    """A program that ignores SIGTERM is killed when the grace is over, not before."""
    with local.background(python(STUBBORN)) as job:
        until(lambda: "up" in local.recorder.texts("log"), "the program")
        began = time.monotonic()
        local.executor.cancel(local.place, a_key().id, 0.5)
        with pytest.raises(Cancelled):
            job.result(10)
    assert 0.5 <= time.monotonic() - began < 5
    assert local.look().facts["reason"] == "cancelled"


def test_a_second_request_with_less_grace_wins(local):
    """Whoever asks again, with less patience, need not wait for the first one's grace."""
    token = CancelToken()
    with local.background(python(STUBBORN), token=token) as job:
        until(lambda: "up" in local.recorder.texts("log"), "the program")
        token.cancel()
        until(lambda: "stopping" in local.recorder.texts("state"), "the first request")
        local.executor.cancel(local.place, a_key().id, 0.0)
        with pytest.raises(Cancelled):
            job.result(5)


def test_nothing_outlives_the_job(local):
    """Children that were left running, also in sessions of their own, end with the job."""
    marker = f"987654{os.getpid()}"
    code = f"""
import os, subprocess
subprocess.Popen(["sleep", "{marker}"])
subprocess.Popen(["sleep", "{marker}"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "{marker}"])
    os._exit(0)
os.wait()
"""
    local.perform(python(code))
    assert alive(marker) == []


def test_a_child_that_keeps_the_output_open_does_not_hold_the_job(local):
    """A job has ended when its program has, whoever still could write to its output."""
    began = time.monotonic()
    local.perform(Run(("/bin/sh", "-c", "sleep 60 & echo done")))
    assert time.monotonic() - began < 10
    assert local.log() == ["done"]


def test_outputs_that_do_not_fit(local):
    """A file where a folder should be, a link that leads outside, facts that are no JSON: each is said."""
    model = (JobOutput("model", "model", required=True),)
    code = "import sys; open(sys.argv[1] + '/model', 'w').close()"
    assert "left a file `model`" in local.reason(python(code, "@out"), a_key(1), outputs=model)
    code = "import os, sys; os.mkdir(sys.argv[1] + '/model'); os.symlink('/etc/hostname', sys.argv[1] + '/model/x')"
    reason = local.reason(python(code, "@out"), a_key(2), outputs=model)
    assert "`x` is a link that leads outside the folder" in reason
    assert local.reason(python(""), a_key(3), outputs=model) == "ended well but left no `model/` in its output folder"
    assert "left no `f.json`" in local.reason(python(""), a_key(4), facts="f.json")
    code = "import sys; open(sys.argv[1] + '/f.json', 'w').write('{\"a\": NaN}')"
    assert "`f.json` that is not JSON: `NaN`" in local.reason(python(code, "@out"), a_key(5), facts="f.json")
    assert local.look(a_key(5)).facts["exit"] == 0


def test_an_output_that_may_be_missing(local):
    """An output that is not required and not there is an empty tree."""
    tree = local.perform(python(""), outputs=(JobOutput("rest", "rest"),))["tree.rest"]
    assert local.executor.entries(tree) == ()


def test_retries_begin_afresh(local, tmp_path):
    """A job with retries runs again after a failure, with the folders as they were, and counts as one run."""
    code = """
import os, sys
assert not os.path.exists("litter") and os.listdir(sys.argv[1]) == []
open("litter", "w").close()
open(sys.argv[1] + "/litter", "w").close()
with open(sys.argv[2], "a") as file:
    file.write("x")
sys.exit(0 if os.path.getsize(sys.argv[2]) == 3 else 5)
"""
    count = tmp_path / "count"
    local.perform(python(code, "@out", str(count)), retry=4)
    assert count.read_text() == "xxx"
    assert local.log() == [f"[specforge] try {n} of 5 failed: exit code 5" for n in (1, 2)]
    assert local.reason(python("raise SystemExit(6)"), a_key(2), retry=1) == "exit code 6"


def test_a_boot_file_that_is_not_there(local):
    """A program of the code folder that is missing is said before anything runs, and costs no attempt."""
    code = local.trees.tree({"other.py": b""})
    error = local.failure(Run(("@python", "@code/train.py")), code=code)
    assert "there is no `train.py` in the code folder" in str(error)
    assert not error.ended


@pytest.mark.parametrize("limit", [200_000])
def test_a_file_beyond_the_size_that_is_allowed(local, tmp_path, limit):
    """Where files may not grow (a quota, a limit), the job fails with its reason and the pool stays usable."""
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from local_bench import LocalBench
from specforge.core.values import Run
bench = LocalBench(Path(sys.argv[1]), log_limit=4_000_000)
print(bench.reason(Run(("/bin/sh", "-c", "yes | head -c 1000000; exec yes >$0/big", "@out"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(local.root)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "killed by signal 25 (File size limit exceeded)" in done.stdout
    assert "bytes of its log could not be written: File too large" in done.stdout
    assert local.perform(python(""), a_key(2))["facts"] == EMPTY


def test_a_full_disk(tmp_path):
    """A job that fills the disk fails with that reason, and the next one, after room was made, runs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        local = LocalBench(disk / "project")
        code = "import sys; f = open(sys.argv[1] + '/big', 'wb', 0)\nwhile True: f.write(bytes(65536))"
        reason = local.reason(python(code, "@out"), a_key(1))
        assert reason == "exit code 1 (the disk of the pool is full)"
        assert "No space left on device" in local.failure(python(code, "@out"), a_key(1)).log
        big = local.trees.tree({"a": bytes(3 << 20)})
        error = local.failure(Run(("@python", "@code/a")), a_key(2), code=big)
        assert not error.ended
        assert error.diagnostics[0].hint == "free some space, or give the pool another `folder`"
        local.executor.discard(local.place, a_key(1).id)
        local.perform(python(""), a_key(2))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_cards_know_processes_again():
    """A process is known by pid, start time and boot: another start or boot under the same pid is another process."""
    mine = process.card(os.getpid())
    assert process.is_same(mine)
    assert not process.is_same({**mine, "start": mine["start"] + 1})
    assert not process.is_same({**mine, "boot": "another"})
    assert not process.signal_same({**mine, "start": 1}, 0)
    assert process.signal_same(mine, 0)
