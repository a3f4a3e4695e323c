"""Watching a running program: its output, its memory, its time, and whether somebody wants it stopped."""

from __future__ import annotations

import json
import os
import select
import signal
import time

from specforge.runtimes.job.log import LogWriter
from specforge.runtimes.job.process import Command, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_SAMPLE = 0.5
_SAMPLE_NEAR_LIMIT = 0.05
_GRACE = 10.0
_CHUNK = 1 << 20


class Interrupted(Exception):
    """A signal came while waiting for a slot."""


class Ending:
    """How a program ended: `state` succeeded | failed | cancelled, its exit code or signal, the reason in words."""

    def __init__(self, state: str, reason: str = "", code: int | None = None, number: int | None = None) -> None:
        self.state = state
        self.reason = reason
        self.code = code
        self.number = number


class Bell:
    """Wakes a wait when a child ended or somebody asks to stop, with a signal or the file `cancel`."""

    def __init__(self) -> None:
        self._signalled = False
        self._raising = False
        self.descriptor, write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _asked(self, _: int, __: FrameType | None) -> None:
        self._signalled = True
        if self._raising:
            raise Interrupted

    def silence(self) -> None:
        """Take in the rings so far."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            return

    def raising(self, active: bool) -> None:
        """Make a request to stop raise, for as long as this process does nothing but wait for a lock."""
        self._raising = active

    def grace(self) -> float | None:
        """Return how many seconds the program may take to stop, or None if nobody asked it to."""
        try:
            with open("cancel") as file:
                return float(json.load(file)["grace"])
        except FileNotFoundError:
            return _GRACE if self._signalled else None
        except (OSError, ValueError, KeyError, TypeError):
            return _GRACE


class Watch:
    """Looks after one running program: its output, its memory, its time, and requests to stop it."""

    def __init__(
        self,
        command: Command,
        output: int,
        log: LogWriter,
        bell: Bell,
        *,
        memory: int | None,
        timeout: float | None,
    ) -> None:
        self._pid = command.pid
        self._output = output
        self._log = log
        self._bell = bell
        self._limit = memory
        self._timeout = timeout
        self._family = Family(command.pid)
        self._forced: Ending | None = None
        self._kill_at: float | None = None
        self.peak = 0

    def until_it_ends(self) -> Ending:
        """Wait for the program, then end whatever it left behind; return how it ended."""
        started = time.monotonic()
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        poll.register(self._bell.descriptor, select.POLLIN)
        sample_at = started + 0.02
        while self._family.status is None:
            wait = max(0.0, min(sample_at, self._kill_at or sample_at) - time.monotonic())
            for descriptor, _ in poll.poll(wait * 1000):
                if descriptor == self._bell.descriptor:
                    self._bell.silence()
                    self._family.reap()
                    sample_at = 0.0
                elif not self._pump():
                    poll.unregister(self._output)
            now = time.monotonic()
            if self._kill_at is not None and now >= self._kill_at:
                self._family.kill(patience=0.5)
                self._kill_at = now + 1.0
            if now >= sample_at and self._family.status is None:
                sample_at = now + self._look(now - started)
        self._family.kill(patience=5.0)
        while self._pump():
            pass
        return self._ending()

    def _look(self, running: float) -> float:
        """Sample the memory, judge it and the time; return the seconds until the next look."""
        used = self._family.memory(self._limit)
        self.peak = max(self.peak, used)
        grace = self._bell.grace()
        if self._limit is not None and used > self._limit:
            words = f"used {_amount(used)} of memory, more than its {_amount(self._limit)}"
            self._force(Ending("failed", words), 0.0)
        elif grace is not None:
            self._force(Ending("cancelled", "cancelled"), grace)
        elif self._timeout is not None and running >= self._timeout:
            self._force(Ending("failed", f"timed out after {self._timeout:g} s"), _GRACE)
        if self._limit is not None and used > self._limit // 2:
            return _SAMPLE_NEAR_LIMIT
        left = _SAMPLE if self._timeout is None else max(0.01, self._timeout - running)
        return min(_SAMPLE, left)

    def _force(self, ending: Ending, grace: float) -> None:
        """Begin to end it: politely, and after `grace` seconds by force. The first reason stays."""
        if self._forced is None:
            self._forced = ending
            self._log.say(f"{ending.reason}: asked to stop")
            self._signal_group(signal.SIGTERM)
        at = time.monotonic() + grace
        self._kill_at = at if self._kill_at is None else min(self._kill_at, at)

    def _signal_group(self, number: int) -> None:
        if self._family.status is None:
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:
                return

    def _pump(self) -> bool:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        self._log.write(data)
        return bool(data)

    def _ending(self) -> Ending:
        status = self._family.status or 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number else os.waitstatus_to_exitcode(status)
        if self._forced is not None:
            return Ending(self._forced.state, self._forced.reason, code, number)
        if number is not None:
            hint = "out of memory?" if number == signal.SIGKILL else signal.strsignal(number) or "unknown"
            return Ending("failed", f"killed by signal {number} ({hint})", None, number)
        return Ending("failed", f"exit code {code}", code) if code else Ending("succeeded", "", 0)


def _amount(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
