"""The thread in which the model runs: it takes what waits, one batch at a time, and never waits for more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from specforge.runtimes import Predictor, Request

_BATCH = 64
_PIPE = 65536


class Worker(threading.Thread):
    """Loads the package, then answers jobs until the process ends. Its methods are for the event loop's thread."""

    def __init__(self, load: Callable[[], Predictor]) -> None:
        super().__init__(name="model", daemon=True)
        self.failure: BaseException | None = None
        self.ready = False
        self.loaded = threading.Event()
        self._load = load
        self._waiting: SimpleQueue[tuple[Request, asyncio.Future[Any]]] = SimpleQueue()
        self._answered: deque[tuple[asyncio.Future[Any], Any]] = deque()
        # A pipe, not `call_soon_threadsafe`: the write lets go of the interpreter's lock, so that the loop, which it
        # wakes, finds it free.
        self._heard, self._bell = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._bell, False)
        self._begun: float | None = None
        self._current: list[asyncio.Future[Any]] = []
        self._late = False

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._waiting.qsize()

    def busy_for(self) -> float:
        """Return for how many seconds the model has been at work on one batch; 0 if it is idle."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    @property
    def hangs(self) -> bool:
        """Whether the model is still at work on a request whose caller was told that it took too long."""
        return self._late and self._begun is not None

    def expire(self, future: asyncio.Future[Any], problem: Exception) -> None:
        """Give up a request: its caller gets the problem."""
        if not future.done():
            future.set_result(problem)
            self._late = self._late or any(each is future for each in self._current)

    def submit(self, request: Request, future: asyncio.Future[Any]) -> None:
        """Have a request answered: the future gets its answer, or the exception as a value."""
        self._waiting.put((request, future))

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have answers handed out in this loop."""
        loop.add_reader(self._heard, self._deliver)

    def run(self) -> None:
        """Load, then work."""
        _yield_to_others()
        try:
            package = self._load()
        except BaseException as error:  # noqa: BLE001 - whoever started the server is told
            self.failure = error
            self.loaded.set()
            return
        # What was loaded lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self.ready = True
        self.loaded.set()
        while True:
            self._work(package)

    def _work(self, package: Predictor) -> None:
        batch = [self._waiting.get()]
        while package.batches and len(batch) < _BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except Empty:
                break
        # Whoever has gone, or was told that it took too long, needs no answer any more.
        batch = [each for each in batch if not each[1].done()]
        if not batch:
            return
        self._late, self._current = False, [future for _, future in batch]
        self._begun = time.monotonic()
        try:
            answers = package.answer([request for request, _ in batch])
        except BaseException as error:  # noqa: BLE001 - each of its callers is told
            answers = [error] * len(batch)
        self._current, self._begun = [], None
        self._answered.extend((future, answer) for (_, future), answer in zip(batch, answers, strict=True))
        # A full pipe wakes the loop as well as one byte more would.
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b".")

    def _deliver(self) -> None:
        """Hand out what was answered; in the loop's thread."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._heard, _PIPE)
        while self._answered:
            future, answer = self._answered.popleft()
            if not future.done():
                future.set_result(answer)


def _yield_to_others() -> None:
    """Let this thread, when it is woken, wait until the event loop has nothing left to do (Linux).

    Else, on one core, it interrupts the loop only to find the interpreter's lock taken; and what the loop reads
    meanwhile goes into the same batch.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
