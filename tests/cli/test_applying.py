"""Ctrl-C, questions on a terminal, and readers that leave."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specforge.cli.commands.applying import handled_signals
from specforge.cli.output import Output, OutputLostError
from specforge.cli.progress import Tails, progress
from specforge.core.address import Address
from specforge.engine.events import ChangeStarted
from specforge.engine.session import Interrupts

ADDRESS = Address("training", "digits")


def test_first_ctrl_c_stops_second_cancels() -> None:
    """The first lets what runs end, the second cancels it; both say so; afterwards signals are as before."""
    interrupts, said = Interrupts(), []
    before = signal.getsignal(signal.SIGINT)
    with handled_signals(interrupts, said.append):
        signal.raise_signal(signal.SIGINT)
        assert interrupts.stopping
        assert not interrupts.token.cancelled
        signal.raise_signal(signal.SIGINT)
        assert interrupts.token.cancelled
    assert len(said) == 2
    assert "nothing new is started" in said[0]
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_cancels() -> None:
    """A system that shuts down does not wait for a training to end."""
    interrupts = Interrupts()
    with handled_signals(interrupts, lambda _: None):
        signal.raise_signal(signal.SIGTERM)
    assert interrupts.token.cancelled


def test_a_reader_that_leaves_does_not_end_the_apply(monkeypatch) -> None:
    """When nobody reads the events any more, the apply goes on to its end, and the command fails then."""

    class Closed:
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdout", Closed())
    after = []

    def report() -> None:
        with progress(Output(as_json=True), Tails(), {}) as shown:
            shown.sink(ChangeStarted(0.0, ADDRESS, "create"))
            shown.sink(ChangeStarted(1.0, ADDRESS, "create"))
            after.append("the rest")

    with pytest.raises(OutputLostError):
        report()
    assert after == ["the rest"]


class Terminal:
    """The command on a pseudo terminal, as a person sees it."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        command = [sys.executable, "-m", "specforge", *arguments]
        self.process = subprocess.Popen(command, cwd=project, env=environment, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until the text is shown; fail after a minute."""
        deadline = time.monotonic() + 60
        while text not in self.shown and time.monotonic() < deadline:
            if not self._read():
                break
        assert text in self.shown, self.shown

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], 1)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self.master, text.encode() + b"\n")

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read() and self.process.poll() is None:
            pass
        while self._read():
            if not select.select([self.master], [], [], 0)[0]:
                break
        os.close(self.master)
        return self.process.wait(60)


def test_yes_on_a_terminal(project: Path) -> None:
    """On a terminal the plan is shown, `yes` is asked for, the progress is a tree, and every change has its line."""
    terminal = Terminal(project, "apply")
    terminal.wait_for("Only `yes` is taken as a yes:")
    terminal.type("yes")
    terminal.wait_for("Done in ")
    assert terminal.end() == 0
    assert "dataset.shapes  V001" in terminal.shown
    assert "under way" in terminal.shown


def test_no_on_a_terminal(project: Path) -> None:
    """Anything else is a no: nothing is done, exit 1."""
    terminal = Terminal(project, "apply")
    terminal.wait_for("Only `yes` is taken as a yes:")
    terminal.type("y")
    terminal.wait_for("Nothing was done.")
    assert terminal.end() == 1
    assert not (project / ".specforge" / "artifacts").exists()
