"""Several commands at once, slots, stale plans, read-only checkouts. The real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from workshop import TRAIN, until

TWO = """
---
kind: TrainingJob
name: second
algorithm: waits
inputs: {data: digits}
parameters: {C: 20.0}
variables: {MARK: "${var.mark}", GO: "${var.go}"}
"""
SPANS = """\
import os, pathlib, sys, time

options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
begun = time.time()
time.sleep(2)
model = pathlib.Path(options["train_url"]) / "model"
model.mkdir()
(model / "model.joblib").write_text(options["C"])
with open(os.environ["MARK"], "a") as file:
    file.write(f"{begun} {time.time()}\\n")
"""


def _spans(shop) -> list[tuple[float, float]]:
    return sorted(tuple(float(word) for word in line.split()) for line in shop.marks)


def test_two_trainings_run_side_by_side_in_two_slots(marked):
    """Two jobs in two slots run at the same time."""
    marked.write("code/train.py", SPANS)
    marked.write("specs/train.yaml", TRAIN + TWO)
    marked.spec("apply", "--yes")
    (_, first_end), (second, _) = _spans(marked)
    assert second < first_end, "they ran side by side"


def test_two_trainings_follow_each_other_in_one_slot(marked):
    """With one slot they take 4 s, and never run together."""
    marked.write("code/train.py", SPANS)
    marked.write("specs/train.yaml", TRAIN + TWO)
    marked.edit("specs/places.yaml", "slots: 2", "slots: 1")
    marked.spec("apply", "--yes")
    (first, first_end), (second, end) = _spans(marked)
    assert second >= first_end
    assert end - first >= 4


def test_a_second_apply_says_who_holds_the_lock(waiting):
    """Who, since when; exit 1. A plan goes on meanwhile and writes nothing."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    second = waiting.spec("apply", "--yes", code=1)
    assert "ada" in second.stderr
    assert "since" in second.stderr
    serial = json.loads(waiting.spec("state", "list", "--json").stdout)["serial"]
    waiting.spec("plan")
    assert json.loads(waiting.spec("state", "list", "--json").stdout)["serial"] == serial
    patient = waiting.start("apply", "--yes", "--lock-timeout", "60")
    assert "Waiting for ada" in patient.stdout.readline()
    waiting.go.touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    out, _ = patient.communicate(timeout=60)
    assert patient.returncode == 0, out
    assert "No changes" in out
    assert len(waiting.marks) == 1


def test_a_saved_plan_is_applied_as_it_is(marked, tmp_path):
    """A plan saved to a file is what an apply of it does."""
    file = tmp_path / "saved.plan"
    marked.spec("plan", "-o", str(file))
    marked.spec("apply", "--yes", str(file))
    assert marked.is_clean()
    again = marked.spec("apply", "--yes", str(file), code=1)
    assert "stale" in again.stderr
    assert len(marked.marks) == 1


def test_without_a_terminal_apply_wants_yes(marked):
    """Nobody can be asked: exit 1, nothing done."""
    out = marked.spec("apply", code=1)
    assert "--yes" in out.stderr
    assert not (marked.root / ".specforge").exists()


def test_a_plan_of_a_new_project_writes_nothing(marked):
    """Planning leaves no file behind."""
    before = sorted(marked.root.rglob("*"))
    marked.spec("plan")
    assert sorted(marked.root.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_plan_works_in_a_read_only_checkout_as_another_user(marked):
    """Another user without a right to write sees the same."""
    marked.spec("apply", "--yes")
    for folder in (marked.root, *marked.root.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    snapshot = {file: file.stat().st_mtime_ns for file in marked.root.rglob("*")}
    # The interpreter may lie where only root can read: a first plan imports everything, before rights are given up.
    script = """if True:
        import os, sys
        from specforge.cli.app import main
        sys.argv = ["spec", "plan", "--detailed-exitcode"]
        try:
            main()
        except SystemExit as done:
            assert done.code in (0, None), done.code
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
        try:
            open(".specforge/state.db", "a")
        except PermissionError:
            main()
        """
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=marked.root,
        env={**marked.environment, "HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("No changes") == 2
    assert {file: file.stat().st_mtime_ns for file in marked.root.rglob("*")} == snapshot


def test_a_stale_lock_file_of_a_dead_process_is_free(waiting):
    """Killed while it held the lock: the next apply does not wait."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    waiting.go.touch()
    begun = time.monotonic()
    waiting.spec("apply", "--yes")
    assert time.monotonic() - begun < 60
    assert len(waiting.marks) == 1
