"""Lines of a run's log, also while it is written."""

from __future__ import annotations

import time
from collections.abc import Iterator

from specforge.executors.base import LogLine, StepContext, StepEvent
from specforge.executors.local.run import RunFolder
from specforge.runtimes.job.log import LogReader

_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 16
_POLL = 0.05
_BEHIND = 1 << 18
_SHOWN_AT_ONCE = 100
_TAIL_BYTES = 4096
_TAIL_LINES = 20


class Lines:
    """Cuts a log into lines, each with the time at which it began."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._rest = b""
        self._start = reader.position

    def take(self, latest: int | None = None) -> list[LogLine]:
        """Return the lines that are complete by now, of one block at most, or its `latest`; none: nothing new."""
        skipped, data = self._reader.read(_BLOCK)
        if data:
            self._reader.refresh()
        lines = []
        if skipped:
            lines = [*self.rest(), LogLine(None, f"[… {skipped:,} bytes are left out here …]")]
            self._start = self._reader.position - len(data)
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if newline:
            found = whole.split(b"\n")
            if latest is not None and len(found) > latest:
                self._start += sum(len(line) + 1 for line in found[:-latest])
                found = found[-latest:]
            for line in found:
                lines.append(self._line(line))
                self._start += len(line) + 1
        self._rest = rest
        if len(rest) > _LONGEST_LINE:
            lines += self.rest()
        return lines

    def rest(self) -> list[LogLine]:
        """Return what came after the last end of a line."""
        rest, self._rest = self._rest, b""
        line = [self._line(rest)] if rest else []
        self._start += len(rest)
        return line

    def skip_to(self, position: int) -> None:
        """Go on from this position."""
        self._reader.position = self._start = position
        self._rest = b""

    def _line(self, line: bytes) -> LogLine:
        # A progress bar overwrites its line again and again: what it says last is what one would see.
        text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
        return LogLine(self._reader.time_at(self._start), text)


class Follower:
    """Reports a running job's output as events. Of a flood, the latest lines: the log itself has them all."""

    def __init__(self, run: RunFolder, limit: int, context: StepContext, *, from_start: bool) -> None:
        self._reader = LogReader(str(run.path), limit)
        self._lines = Lines(self._reader)
        self._context = context
        if not from_start:
            self._lines.skip_to(self._reader.end())

    def report(self) -> None:
        """Emit the lines that came since the last call."""
        end = self._reader.end()
        if end - self._reader.position > _BEHIND:
            self._lines.skip_to(end - _BLOCK)
        self._emit(self._lines.take(_SHOWN_AT_ONCE))

    def finish(self) -> None:
        """Emit what is left."""
        self.report()
        while lines := self._lines.take(_SHOWN_AT_ONCE):
            self._emit(lines)
        self._emit(self._lines.rest())

    def _emit(self, lines: list[LogLine]) -> None:
        for line in lines:
            self._context.emit(StepEvent("log", line.text))


def lines_of(run: RunFolder, limit: int, since: float | None, follow: bool) -> Iterator[LogLine]:
    """Give the log's lines from unix time `since` on; with `follow`, until the run ends."""
    reader = LogReader(str(run.path), limit)
    if since is not None:
        reader.position = reader.position_at(since)
    lines = Lines(reader)
    while True:
        over = not follow or run.status() is not None or not run.is_running()
        while taken := lines.take():
            yield from taken
        if over and reader.position >= reader.end():
            yield from lines.rest()
            return
        if not over:
            time.sleep(_POLL)


def tail_of(run: RunFolder, limit: int) -> str:
    """Return the last lines of the log, for an error."""
    reader = LogReader(str(run.path), limit)
    reader.position = max(0, reader.end() - _TAIL_BYTES)
    cut = reader.position > 0
    text = b""
    while (step := reader.read(_BLOCK))[1]:
        text += step[1]
    lines = text.decode(errors="replace").splitlines()
    return "\n".join((lines[1:] if cut and len(lines) > 1 else lines)[-_TAIL_LINES:])
