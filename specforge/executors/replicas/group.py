"""A group of replicas on disk: `POOL/groups/GROUP/`, with what was asked for, its inputs, sockets and logs.

`request.json` says what was asked for last; `ready.json` which processes were ready then; `in/NAME` are the inputs,
read-only; on `N.sock` replica N listens; `log/N.log` is what it prints; `home/N` and `tmp/N` are its own. Beside it
lies the file `GROUP.fence`, which is locked by whoever changes the group.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specforge.executors.base import StepContext, StepEvent
from specforge.executors.files import write_whole
from specforge.executors.local.pool import Pool
from specforge.executors.replicas import failures
from specforge.executors.replicas.programs import program_id
from specforge.executors.replicas.supervisord import Supervisor
from specforge.runtimes.job.folders import remove
from specforge.runtimes.job.slots import open_lock, try_lock

_POLL = 0.02
_LONGEST_NAME = 200
_HEAVY = ("in", "in.new", "home", "tmp")


class Group:
    """Reads and writes one group; starts nothing."""

    def __init__(self, pool: Pool, name: str) -> None:
        self.pool = pool
        self.name = name
        plain = re.fullmatch(r"\w[\w.-]*", name) is not None and len(name.encode()) <= _LONGEST_NAME
        self._plain = name if plain else program_id(name)
        self.folder = pool.folder / "groups" / self._plain

    def program(self, number: int) -> str:
        """Return the name of replica `number` among the pool's programs."""
        return f"{self.name}/{number}"

    def socket(self, number: int) -> str:
        """Return what its socket is called in the group's folder."""
        return f"{number}.sock"

    def log(self, number: int) -> Path:
        """Return where it prints to."""
        return self.folder / "log" / f"{number}.log"

    def numbers(self) -> list[int]:
        """Return the numbers of all replicas that were begun and not taken away, whoever keeps them up."""
        found = []
        for file in Supervisor(self.pool.folder).programs.glob("*.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                group, _, number = str(json.loads(file.read_bytes())["name"]).rpartition("/")
                if group == self.name:
                    found.append(int(number))
        return sorted(found)

    def request(self) -> dict[str, Any] | None:
        """Return what was asked for last; None: there is no such group."""
        try:
            request: dict[str, Any] = json.loads((self.folder / "request.json").read_bytes())
        except FileNotFoundError:
            return None
        return request

    def write_request(self, request: dict[str, Any]) -> None:
        """Write what is asked for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "request.json", json.dumps(request).encode())

    def once_ready(self) -> dict[str, int]:
        """Return the pids of the replicas that were ready when they were last ensured, by their numbers."""
        try:
            pids: dict[str, int] = json.loads((self.folder / "ready.json").read_bytes())
        except FileNotFoundError:
            return {}
        return pids

    def write_once_ready(self, pids: dict[str, int | None]) -> None:
        """Keep which replicas are ready now."""
        write_whole(self.folder / "ready.json", json.dumps(pids).encode())

    def last_sign(self) -> float | None:
        """Return when its replicas were last heard of, by the times of their files; None: nothing is left of them."""
        seen = []
        for file in (self.folder, *self.folder.glob("log/*.log")):
            with contextlib.suppress(OSError):
                seen.append(file.stat().st_mtime)
        return max(seen, default=None)

    def clear(self) -> None:
        """Remove everything of the group but its logs."""
        (self.folder / "request.json").unlink(missing_ok=True)
        for name in _HEAVY:
            remove(str(self.folder / name))
        for file in (*self.folder.glob("*.sock"), self.folder / "in.json", self.folder / "ready.json"):
            file.unlink(missing_ok=True)
        for folder in (self.folder / "log", self.folder):
            with contextlib.suppress(OSError):
                folder.rmdir()  # stays if anything is in it

    @contextlib.contextmanager
    def fence(self, context: StepContext) -> Iterator[None]:
        """Be the only one who changes the group. Raises Cancelled if asked to stop meanwhile, OSError."""
        path = self.folder.with_name(f"{self._plain}.fence")
        told = False
        while (descriptor := _locked(path)) is None:
            if not told:
                context.emit(StepEvent("state", "waiting: another command changes these replicas"))
                told = True
            if context.cancel.wait(_POLL):
                raise failures.cancelled(context.key)
        try:
            yield
        finally:
            if not self.folder.exists():
                path.unlink(missing_ok=True)
            # Closing alone would not do: a process forked meanwhile may have a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Lock the file and return it; None: somebody else has it. One that was removed meanwhile is no lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock(str(path))
    try:
        if try_lock(descriptor) and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except FileNotFoundError:
        pass  # removed between the two looks: try again
    os.close(descriptor)
    return None
