"""The progress view: what it shows of events, on a terminal and elsewhere."""

from __future__ import annotations

import io

from specforge.cli.board import Board
from specforge.cli.progress import LOG_BURST, PlainLines, Tails
from specforge.core.address import Address
from specforge.engine.events import ChangeEnded, ChangeStarted, RunEnded, Started, StepProgress, StepStarted

ONE, TWO = Address("training", "digits"), Address("dataset", "digits")


def started(board: Board) -> Board:
    """Let two changes begin."""
    board.take(Started(0.0, "op", "digits", "default", 3))
    board.take(ChangeStarted(0.0, ONE, "create"))
    board.take(ChangeStarted(1.0, TWO, "create"))
    return board


def test_tree_of_what_is_under_way() -> None:
    """Each change has a line with its elapsed time and step; its last log line stands below, cut to the width."""
    board = started(Board())
    board.take(StepStarted(1.0, ONE, "train", "run train"))
    board.take(StepProgress(2.0, ONE, "train", "log", "epoch 1 loss 0.3"))
    board.take(StepProgress(3.0, ONE, "train", "log", "\x1b[31mepoch 2\x1b[0m loss 0.2 " + "x" * 100))
    board.take(StepProgress(3.0, TWO, "publish", "state", "waiting for a free slot"))
    lines = board.lines(5.0, 60)
    assert lines[0] == "0 of 3 done, 2 under way"
    assert lines[1] == "├─ training.digits         5 s  run train"
    assert lines[2].startswith("│    epoch 2 loss 0.2 xxx")
    assert lines[2].endswith("…")
    assert len(lines[2]) <= 60
    assert lines[3] == "└─ dataset.digits          4 s  create, waiting for a free…"


def test_rate_and_time_left() -> None:
    """Progress gives how far, how fast and how long still."""
    board = started(Board())
    board.take(StepStarted(1.0, TWO, "publish", "publish"))
    board.take(StepProgress(2.0, TWO, "publish", "progress", "", 0, 200, "files"))
    board.take(StepProgress(4.0, TWO, "publish", "progress", "", 50, 200, "files"))
    assert "50 files of 200 files (25%), 25 files/s, about 6 s left" in board.lines(4.0, 100)[-1]


def test_bytes_are_said_as_people_say_them() -> None:
    """Progress in bytes is shown in MB."""
    board = started(Board())
    board.take(StepProgress(2.0, TWO, "publish", "progress", "", 1_500_000, None, "bytes"))
    assert board.lines(4.0, 100)[-1].strip() == "1.5 MB"


def test_time_left_by_history() -> None:
    """Without progress the last duration says how long it may take; beyond it nothing is said."""
    board = started(Board({ONE: 10.0}))
    assert board.lines(4.0, 100)[2] == "│    about 6 s left, by the last time"
    assert len(board.lines(11.0, 100)) == 3


def test_a_new_step_forgets_the_old_one() -> None:
    """Log lines and progress of one step are not shown under the next."""
    board = started(Board())
    board.take(StepProgress(2.0, ONE, "train", "log", "epoch 1"))
    board.take(StepStarted(3.0, ONE, "publish", "publish"))
    assert not any("epoch" in line for line in board.lines(4.0, 100))


def test_what_is_over_is_one_calm_line() -> None:
    """The end of a change gives one line and takes it out of the tree."""
    board = started(Board())
    line = board.take(ChangeEnded(4.0, ONE, "create", "done", 4.0, "V0001", "accuracy 0.98"))
    assert line == "training.digits  V0001  accuracy 0.98  (4 s)"
    assert board.lines(4.0, 100)[0] == "1 of 3 done, 1 under way"
    assert board.take(RunEnded(5.0, TWO, "cancelled", "no longer wanted")) == (
        "run of dataset.digits: cancelled, no longer wanted"
    )
    skipped = board.take(ChangeEnded(5.0, TWO, "create", "skipped", 0.0, because=ONE))
    assert skipped == "dataset.digits  skipped because of training.digits"
    assert board.lines(4.0, 100) == []


def test_notice_stays_below() -> None:
    """A message from a signal handler is shown until the end."""
    board = started(Board())
    board.say("Stopping")
    assert board.lines(1.0, 80)[-1] == "Stopping"


def test_plain_lines() -> None:
    """Without a terminal there is one line an event, and no control character."""
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.take(ChangeStarted(0.0, ONE, "create"))
    lines.take(StepStarted(0.0, ONE, "train", "run train"))
    lines.take(StepProgress(0.0, ONE, "train", "state", "waiting for a free slot"))
    lines.take(StepProgress(0.0, ONE, "train", "log", "\x1b[2Jhello\r"))
    lines.take(StepProgress(0.0, ONE, "train", "progress", "", 1, 2, "files"))
    lines.take(ChangeEnded(4.0, ONE, "create", "done", 4.0, "V0001"))
    assert stream.getvalue().splitlines() == [
        "training.digits: create",
        "training.digits: run train",
        "training.digits: waiting for a free slot",
        "training.digits | hello",
        "training.digits  V0001  (4 s)",
    ]


def test_a_talkative_job_does_not_flood() -> None:
    """After the first lines at most one a second is printed; how many were left out is said."""
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, clock=lambda: now[0])
    lines.take(StepStarted(0.0, ONE, "train", "run train"))
    for index in range(10_000):
        now[0] = index / 5000
        lines.take(StepProgress(now[0], ONE, "train", "log", f"line {index}"))
    lines.take(ChangeEnded(4.0, ONE, "create", "failed", 4.0))
    shown = stream.getvalue().splitlines()
    assert LOG_BURST < len(shown) < LOG_BURST + 12
    assert "lines left out; `spec logs training.digits` has all" in shown[-2]


def test_tails_keep_the_end() -> None:
    """The last lines of the latest step are kept for the summary, and no more."""
    tails = Tails()
    tails.take(StepProgress(0.0, ONE, "toolchain", "log", "early"))
    tails.take(StepStarted(0.0, ONE, "train", "run train"))
    for index in range(100):
        tails.take(StepProgress(0.0, ONE, "train", "log", str(index)))
    assert list(tails.lines[ONE])[-1] == "99"
    assert len(tails.lines[ONE]) == 15
