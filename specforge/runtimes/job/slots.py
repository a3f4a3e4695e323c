"""Slots of a pool, held at the place by the wrappers themselves, so that jobs of a killed apply count too.

A slot is a lock on a file `slots/N` of the pool's folder. Whoever waits holds `slots/queue`, so that jobs get their
slots in turn, a wide job is not starved by narrow ones, and two wide jobs never wait for each other.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Pause = Callable[[float], None]

_LOOK_AGAIN = 0.02


def open_lock(path: str) -> int:
    """Open a lock file, which is made if need be; its content does not matter."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def try_lock(file: int) -> bool:
    """Take the lock if it is free; return whether it was."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: str) -> bool:
    """Return whether somebody holds the lock file; no file: nobody does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


class Slots:
    """The slots `0` to `count - 1` of one pool; those taken are held until this process ends."""

    def __init__(self, pool: str, count: int) -> None:
        self._folder = os.path.join(pool, "slots")
        os.makedirs(self._folder, exist_ok=True)
        self._files = [open_lock(os.path.join(self._folder, str(number))) for number in range(count)]
        self.held: list[int] = []

    def take(self, need: int, waiting: Callable[[], None], pause: Pause) -> list[int]:
        """Take `need` slots, in turn, and return their numbers.

        `waiting` is called once if they are not free at once; `pause` sleeps, and may raise to give up.
        """
        queue = open_lock(os.path.join(self._folder, "queue"))
        try:
            if not (try_lock(queue) and self._take_free(need)):
                waiting()
                fcntl.flock(queue, fcntl.LOCK_EX)
                while not self._take_free(need):
                    pause(_LOOK_AGAIN)
        finally:
            os.close(queue)
        return self.held

    def _take_free(self, need: int) -> bool:
        for number, file in enumerate(self._files):
            if len(self.held) < need and number not in self.held and try_lock(file):
                self.held.append(number)
        return len(self.held) >= need


def cores_for(slots: list[int], count: int, processors: float, most: float) -> list[int]:
    """Return the processors that a job in these slots may use: its share of the pool's, at most `most`."""
    known = sorted(os.sched_getaffinity(0))
    usable = known[: max(1, min(len(known), _up(processors)))]
    share = processors / count
    cores: set[int] = set()
    for slot in slots:
        first = int(slot * share)
        last = max(first + 1, _up((slot + 1) * share))
        cores |= {usable[index % len(usable)] for index in range(first, last)}
    return sorted(cores)[: max(1, _up(most))]


def _up(number: float) -> int:
    return -int(-number // 1)
