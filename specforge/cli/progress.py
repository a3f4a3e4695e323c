"""How an apply shows its events: a live tree on a terminal, plain lines elsewhere, JSON lines where asked."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, TextIO

from specforge.cli.board import Board, ended_words
from specforge.cli.output import Output, OutputLostError, colored
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.engine.events import (
    ChangeEnded,
    ChangeStarted,
    Event,
    RunEnded,
    Sink,
    Started,
    StepProgress,
    StepStarted,
)
from specforge.render import text
from specforge.render.events import events_json
from specforge.render.result import MARKS
from specforge.render.text import Paint

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

LOG_BURST = 50
"""Plain log lines of one step before they are thinned out to one a second."""
TAIL = 15


@dataclass
class Tails:
    """Keeps the last lines of each change's output, for the summary of a failure."""

    lines: dict[Address, deque[str]] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Keep the event's line if it is one."""
        if isinstance(event, StepStarted):
            self.lines.pop(event.address, None)
        elif isinstance(event, StepProgress) and event.kind == "log":
            self.lines.setdefault(event.address, deque(maxlen=TAIL)).append(event.text)


@dataclass(frozen=True, slots=True)
class Progress:
    """What an apply reports to: `sink` takes events, from any thread; `say` a message, from a signal handler."""

    sink: Sink
    say: Callable[[str], None]


@contextmanager
def progress(
    output: Output,
    tails: Tails,
    estimates: Mapping[Address, float],
    locate: Callable[[Sequence[Diagnostic]], tuple[Diagnostic, ...]] = tuple,
) -> Iterator[Progress]:
    """Give the progress that fits: JSON lines, a live tree, or plain lines.

    `estimates`: seconds that each change took before; `locate` puts places in the user's files into diagnostics.
    Raises OutputLostError at the end if JSON lines are asked for and could not all be written.
    """
    lock = threading.Lock()
    board = Board(estimates)
    with _shown(output, board) as show:
        gone: OSError | None = None

        def sink(event: Event) -> None:
            nonlocal gone
            with lock:
                if isinstance(event, ChangeEnded) and event.diagnostics:
                    event = replace(event, diagnostics=locate(event.diagnostics))
                tails.take(event)
                if gone is None:
                    try:
                        show(event)
                    except OSError as error:
                        gone = error  # whoever read has left, or the disk is full; the apply goes on to its end

        yield Progress(sink, board.say if is_live(output) else _write_at_once)
    if gone is not None and output.as_json:
        raise OutputLostError(gone, "the apply went on to its end")


@contextmanager
def _shown(output: Output, board: Board) -> Iterator[Callable[[Event], None]]:
    if output.as_json:
        yield lambda event: output.text(json.dumps(events_json(event), ensure_ascii=False))
    elif is_live(output):
        with live(board) as show:
            yield show
    else:
        yield PlainLines(sys.stderr).take


def is_live(output: Output) -> bool:
    """Return whether the live tree is shown: standard error is a terminal that can move its cursor."""
    return not output.as_json and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def warnings_of(event: Started, color: bool) -> str:
    """Return what the places warned of before anything was done, as text."""
    if not event.diagnostics:
        return ""
    from specforge.render.diagnostics import render_diagnostics

    return render_diagnostics(event.diagnostics, color=color) + "\n"


def _write_at_once(message: str) -> None:
    """Write without Python's buffers: a signal handler may have interrupted somebody who is writing there."""
    os.write(2, (message + "\n").encode())


@dataclass
class PlainLines:
    """One line an event, without control characters; a job that prints much is thinned out."""

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    printed: dict[Address, int] = field(default_factory=dict)
    dropped: dict[Address, int] = field(default_factory=dict)
    latest: dict[Address, float] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        if isinstance(event, Started):
            self.stream.write(warnings_of(event, colored(self.stream)))
        elif isinstance(event, ChangeStarted):
            self._write(f"{event.address}: {event.action}")
        elif isinstance(event, StepStarted):
            self.printed[event.address] = 0
            if event.words:
                self._write(f"{event.address}: {event.words}")
        elif isinstance(event, StepProgress):
            self._report(event)
        elif isinstance(event, RunEnded):
            self._write(f"run of {event.address}: {event.outcome}" + (f", {event.words}" if event.words else ""))
        elif isinstance(event, ChangeEnded):
            self._flush(event.address)
            self._write(ended_words(event))

    def _report(self, event: StepProgress) -> None:
        if event.kind == "state":
            self._write(f"{event.address}: {text.plain(event.text)}")
        elif event.kind == "log":
            self._log(event)

    def _log(self, event: StepProgress) -> None:
        address, now = event.address, self.clock()
        self.printed[address] = self.printed.get(address, 0) + 1
        if self.printed[address] > LOG_BURST and now - self.latest.get(address, now - 1) < 1:
            self.dropped[address] = self.dropped.get(address, 0) + 1
            return
        self._flush(address)
        self.latest[address] = now
        self._write(f"{address} | {text.plain(event.text)}")

    def _flush(self, address: Address) -> None:
        dropped = self.dropped.pop(address, 0)
        if dropped:
            self._write(f"{address} | … {text.count(dropped, 'line')} left out; `spec logs {address}` has all")

    def _write(self, line: str) -> None:
        self.stream.write(line.rstrip() + "\n")
        self.stream.flush()


@contextmanager
def live(board: Board) -> Iterator[Callable[[Event], None]]:
    """Show the board on the terminal until the block ends; what is over scrolls away above it."""
    from rich.console import Console
    from rich.live import Live
    from rich.segment import Segment

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    class View:
        """The board at the moment it is drawn."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for line in board.lines(time.time(), options.max_width)[: max(console.height - 2, 3)]:
                yield Segment(line)
                yield Segment.line()

    paint = Paint(colored(sys.stderr))
    with Live(View(), console=console, refresh_per_second=8, transient=True) as shown:

        def take(event: Event) -> None:
            if isinstance(event, Started) and event.diagnostics:
                shown.console.print(_ansi(warnings_of(event, colored(sys.stderr))))
            line = board.take(event)
            if line is not None:
                mark, style = MARKS[event.outcome] if isinstance(event, ChangeEnded) else ("·", "dim")
                shown.console.file.flush()
                shown.console.print(_ansi(f"{paint(mark, style)} {line}"))

        yield take


def _ansi(line: str) -> object:
    from rich.text import Text

    return Text.from_ansi(line)
