"""What ends the process from within: too much memory, a model that hangs, a supervisor that is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

MEMORY_EXIT = 70
HANG_EXIT = 75

_EVERY = 0.1
_PDEATHSIG = 1


def follow_parent() -> None:
    """Have this process asked to stop when the one that started it ends (Linux; elsewhere nothing)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended just before
        os.kill(os.getpid(), signal.SIGTERM)


def resident() -> int:
    """Return this process's resident memory in bytes; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def watch_memory(limit: int, tell: Callable[[str], None]) -> None:
    """End the process, with a line in the log, when it takes more than `limit` bytes."""

    def watch() -> None:
        while True:
            used = resident()
            if used > limit:
                tell(f"the model takes {used:,} bytes of memory, more than the {limit:,} that it may; ending")
                os._exit(MEMORY_EXIT)
            time.sleep(_EVERY)

    threading.Thread(target=watch, name="memory", daemon=True).start()
