"""`kill -9` of `spec apply` at every stage: the next one converges, and the boot file ran once."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from workshop import until


def _status(shop) -> list:
    return list(shop.root.glob(".specforge/pools/here/runs/training.digits-train-*/status.json"))


def test_killed_before_the_job_starts(marked):
    """Killed as soon as the training's work begins: the next apply does it, once."""
    process = marked.start("apply", "--yes", "--json")
    for line in process.stdout:
        if '"training.digits"' in line and '"step"' in line:
            break
    marked.kill(process)
    marked.spec("apply", "--yes")
    assert len(marked.marks) == 1
    assert marked.is_clean()


def test_killed_while_the_job_runs_it_is_attached_to(waiting):
    """The job outlives the apply; the next one attaches to it and records what it gives."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    runs = waiting.plan()["runs"]
    assert [(each["address"], each["state"], each["wanted"]) for each in runs] == [("training.digits", "running", True)]
    second = waiting.start("apply", "--yes")
    assert any("attached" in line for line in iter(second.stdout.readline, ""))
    waiting.go.touch()
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0, out
    assert len(waiting.marks) == 1
    assert waiting.is_clean()


def test_killed_after_the_job_ended_before_it_was_recorded(waiting):
    """The result is found at the place: nothing runs again."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    process.send_signal(signal.SIGSTOP)
    waiting.go.touch()
    until(lambda: _status(waiting))
    waiting.kill(process)
    waiting.spec("apply", "--yes")
    assert len(waiting.marks) == 1
    assert waiting.current("training.digits") == "V0001"
    assert waiting.is_clean()


def test_killed_in_the_middle_of_publishing(marked):
    """Half a publication is nothing; the next apply completes it."""
    from workshop import png

    for number in range(600):
        marked.write(f"data/digits/0/{number}.png", png(number % 200, 8 + number // 200))
    process = marked.start("apply", "--yes")
    store = marked.root / ".specforge/artifacts"
    until(lambda: sum(1 for _ in store.glob("objects/*/*")) > 50)
    marked.kill(process)
    assert marked.spec("state", "list").returncode == 0
    marked.spec("apply", "--yes")
    assert marked.is_clean()
    assert marked.current("dataset.digits") == "V001"
    assert not list(store.glob("drafts/*"))


@pytest.mark.parametrize("tenths", range(4, 24, 4))
def test_killed_at_any_time(marked, tenths):
    """Killed some time after its start: the next apply converges and the boot file ran once."""
    process = marked.start("apply", "--yes")
    time.sleep(tenths / 10)  # not a synchronisation: any moment will do
    marked.kill(process)
    marked.spec("apply", "--yes")
    assert len(marked.marks) == 1
    assert marked.is_clean()


def test_edited_meanwhile_the_run_is_cancelled(waiting):
    """A run that is no longer wanted is a line of the plan, and is cancelled before the new one starts."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    waiting.edit("specs/train.yaml", "C: 10.0", "C: 5.0")
    text = waiting.spec("plan").stdout
    assert "cancel run of training.digits" in text
    assert "no longer wanted" in text
    second = waiting.start("apply", "--yes")
    until(lambda: len(waiting.marks) == 2)
    alive = [each for each in _commands(waiting) if _lives(each)]
    assert len(alive) == 1
    waiting.go.touch()
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0, out
    assert waiting.marks == ["C=10.0", "C=5.0"]
    assert waiting.current("training.digits") == "V0001"
    assert waiting.is_clean()


def test_edited_meanwhile_the_run_is_kept_on_request(waiting):
    """With --finish-running the old run ends and is recorded; the new one starts after it."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    waiting.edit("specs/train.yaml", "C: 10.0", "C: 5.0")
    second = waiting.start("apply", "--yes", "--finish-running")
    waiting.go.touch()
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0, out
    assert waiting.marks == ["C=10.0", "C=5.0"]
    recorded = json.loads(waiting.spec("show", "training.digits", "--json").stdout)["recorded"]
    assert [each["version"] for each in recorded["versions"]] == ["V0001", "V0002"]
    assert recorded["current"] == "V0002"
    assert waiting.is_clean()


def _commands(shop) -> list[dict]:
    files = shop.root.glob(".specforge/pools/here/runs/training.digits-train-*/command.json")
    return [json.loads(file.read_text()) for file in files]


def _lives(command: dict) -> bool:
    try:
        with open(f"/proc/{command['pid']}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(waiting):
    """After a reboot a recorded pid may be anybody's: it is neither adopted nor killed."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    folder = next(waiting.root.glob(".specforge/pools/here/runs/training.digits-train-*"))
    wrapper = json.loads((folder / "wrapper.json").read_text())
    command = json.loads((folder / "command.json").read_text())
    os.kill(wrapper["pid"], signal.SIGKILL)
    until(lambda: not _lives(command))
    for name, record in (("wrapper.json", wrapper), ("command.json", command)):
        # The same pid field, now of this test's own process; the start time is still the old one.
        own = {key: os.getpid() if key in ("pid", "pgid", "group") else value for key, value in record.items()}
        (folder / name).write_text(json.dumps(own))
    waiting.go.touch()
    first = waiting.spec("apply", "--yes", code=None)
    assert first.returncode == 1, "the lost run is said to be lost"
    waiting.spec("apply", "--yes")
    assert len(waiting.marks) == 2
    assert waiting.is_clean()


def test_first_interrupt_stops_starting_second_cancels(waiting):
    """Ctrl-C once: what runs may end; twice: it is cancelled. Nothing is left running."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    until(lambda: not any(_lives(each) for each in _commands(waiting)))
    waiting.go.touch()
    waiting.spec("apply", "--yes")
    assert len(waiting.marks) == 2
    assert waiting.is_clean()
