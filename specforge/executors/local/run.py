"""The folder of one run, seen from outside: what state it is in, and how to stop what runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Self

from specforge.executors.files import write_whole
from specforge.runtimes.job.slots import is_locked, open_lock, try_lock

_LEFT_OVERS_SECONDS = 5.0


class StagingLock:
    """A lock that is tried on entering, and may be handed over to the wrapper that its holder starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = -1
        self.held = False
        self.handed_over = False

    def __enter__(self) -> Self:
        self.descriptor = open_lock(str(self._path))
        self.held = try_lock(self.descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        if self.held and not self.handed_over:
            # Closing alone would not do: a process forked meanwhile may have a copy of the descriptor.
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)


class RunFolder:
    """Reads and settles one run. The locks say who works on it: `staging` its starter, `lock` its wrapper."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The run key, or what stands for it."""
        return self.path.name

    def status(self) -> dict[str, Any] | None:
        """Return how the run ended; None while it has not."""
        return self._json("status.json")

    def command(self) -> dict[str, Any] | None:
        """Return what its program is known by; None: the program never started."""
        return self._json("command.json")

    def request(self) -> dict[str, Any] | None:
        """Return what its wrapper was asked to do; None before it was staged."""
        return self._json("request.json")

    def phase(self) -> str:
        """Return what it is at: waiting, running, collecting, or nothing while its starter prepares it."""
        try:
            return (self.path / "phase").read_text()
        except FileNotFoundError:
            return ""

    def has_wrapper(self) -> bool:
        """Return whether its wrapper lives."""
        return is_locked(str(self.path / "lock"))

    def is_running(self) -> bool:
        """Return whether somebody prepares or runs it now."""
        return self.has_wrapper() or is_locked(str(self.path / "staging"))

    def staging(self) -> StagingLock:
        """Return the lock of whoever starts or settles it."""
        return StagingLock(self.path / "staging")

    def ask_to_stop(self, grace: float) -> None:
        """Have the wrapper stop the program: politely, and after `grace` seconds by force."""
        from specforge.runtimes.job import process

        with contextlib.suppress(FileNotFoundError):
            self.write("cancel", json.dumps({"grace": grace}))
            if card := self._json("wrapper.json"):
                process.signal_same(card, signal.SIGTERM)

    def settle_lost(self) -> None:
        """The wrapper is gone but its program had started: end what is left of it and write that it is lost."""
        from specforge.runtimes.job import process

        command = self.command() or {}
        same_boot = command.get("boot") == process.boot_id()
        if same_boot:
            self._end_left_overs(command)
        why = "its wrapper was killed" if same_boot else "the machine was restarted while it ran"
        began = command.get("began")
        status = {"format": 1, "state": "lost", "reason": f"the job was lost: {why}", "exit": None, "signal": None}
        moments: dict[str, Any] = {"started": began, "ended": None, "usage": {}, "outputs": {}, "facts": None}
        self.write("status.json", json.dumps({**status, **moments}))

    def write(self, name: str, text: str) -> None:
        """Write a file of the run, all or nothing."""
        write_whole(self.path / name, text.encode())

    def _end_left_overs(self, command: dict[str, Any]) -> None:
        from specforge.runtimes.job import process

        process.signal_same(command, signal.SIGKILL)
        marks = (f"TMPDIR={self.path / 'tmp'}", f"HOME={self.path / 'home'}")
        until = time.monotonic() + _LEFT_OVERS_SECONDS
        while time.monotonic() < until:
            left = [card for mark in marks for card in process.marked(mark)]
            sent = [process.signal_same(card, signal.SIGKILL) for card in left]
            if not any(sent):
                return
            time.sleep(0.005)

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        return value
