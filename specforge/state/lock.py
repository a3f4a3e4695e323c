"""A lock file: held by flock, so that the kernel frees it when its holder dies; its content says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from specforge.core.state import LockInfo
from specforge.state import problems
from specforge.state.records import decode_lock, encode_lock

_POLL = 0.02


class FileLock:
    """The lock of the state at `location`; the file stays, since to remove it would race with the next one."""

    def __init__(self, path: Path, location: str) -> None:
        self._path = path
        self._location = location

    @contextmanager
    def hold(self, info: LockInfo, timeout: float) -> Iterator[None]:
        """Hold it; waits up to `timeout` seconds, then raises StateLocked. StateError if the file cannot be made."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise problems.unwritable(self._location, problems.words(error)) from error
        try:
            self._wait(handle, time.monotonic() + timeout)
            # The content is for people only: a full disk must not keep anyone from the lock.
            with suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, encode_lock(info), 0)
            yield
        finally:
            # Closing frees the lock. The content may stay: without a lock it means nothing.
            os.close(handle)

    def _wait(self, handle: int, deadline: float) -> None:
        while not _try(handle, fcntl.LOCK_EX):
            # A reader that looks who holds the lock has a shared one for a moment: that is nobody to report.
            if not _try(handle, fcntl.LOCK_SH) and time.monotonic() >= deadline:
                raise problems.locked(self._location, decode_lock(os.pread(handle, 65536, 0)))
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(min(_POLL, max(0.001, deadline - time.monotonic())))

    def holder(self) -> LockInfo | None:
        """Return who holds it now, or None; a holder that left no name is called `another process`, with pid 0."""
        try:
            handle = os.open(self._path, os.O_RDONLY)
        except OSError:
            return None
        try:
            if _try(handle, fcntl.LOCK_SH):
                return None
            named = decode_lock(os.pread(handle, 65536, 0))
            return named or LockInfo("", "another process", "", os.fstat(handle).st_mtime, 0, "")
        finally:
            os.close(handle)


def _try(handle: int, mode: int) -> bool:
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
