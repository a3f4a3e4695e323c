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
DISCARDED = "discarded"
"""The mark in a run folder whose files were dropped after they had been published."""


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
        self.write_lost(why, command.get("began"))

    def write_lost(self, why: str, began: float | None) -> None:
        """Write that the run is lost, and why."""
        status = {"format": 1, "state": "lost", "reason": why, "exit": None, "signal": None}
        moments: dict[str, Any] = {"started": began, "ended": None, "usage": {}, "outputs": {}, "facts": None}
        self.write("status.json", json.dumps({**status, **moments}))

    def what_is_gone(self) -> str:
        """Return a file that the run left and that is not there any more, or not whole; empty: none, or dropped by us.

        Its digests are compared by whoever reads the files.
        """
        status = self.status() or {"outputs": {}}
        gone = next(filter(None, map(self._gone_of, status["outputs"].values())), "")
        return "" if (self.path / DISCARDED).exists() else gone

    def settle_gone(self, gone: str) -> None:
        """Write that the run is lost because this file of what it left is gone."""
        self.write_lost(gone_words(gone), (self.status() or {}).get("started"))

    def _gone_of(self, output: dict[str, Any]) -> str:
        from specforge.formats import folder, tree  # looked at is only what an apply that was killed left

        try:
            listing = (self.path / "trees" / output["digest"]).read_bytes()
        except FileNotFoundError:
            return f"trees/{output['digest']}"
        root = os.fspath(self.path / output["path"])
        for entry in tree.parse(listing):
            try:
                size = os.stat(folder.locate(root, entry.path)).st_size
            except (FileNotFoundError, NotADirectoryError):
                size = -1
            if size != entry.size:
                return f"{output['path']}/{entry.path}"
        return ""

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


def gone_words(gone: str) -> str:
    """Return why a run is lost of which this file is gone."""
    return f"`{gone}` of its run folder was removed or changed before it was published"
