"""The access log: one line of JSON for each request, on standard output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Any

import orjson

_EVERY = 0.1


class Journal:
    """Collects lines and writes them ten times a second: a write for each request would cost more than its JSON."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._handle: asyncio.TimerHandle | None = None
        self._second = -1
        self._stamp = ""

    def add(self, fields: dict[str, Any]) -> None:
        """Note one request; `fields` go out after its time."""
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{self._stamp}.{int(now % 1 * 1000):03d}Z"
        self._lines.append(orjson.dumps({"time": stamp, **fields}, default=str, option=orjson.OPT_APPEND_NEWLINE))
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(_EVERY, self.flush)

    def flush(self) -> None:
        """Write what was collected. A log that nobody reads any more is no reason to fail."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.write()

    def write(self) -> None:
        """As `flush`, from any thread: the loop's timer is left alone."""
        lines, self._lines = b"".join(self._lines), []
        with contextlib.suppress(OSError):
            while lines:
                lines = lines[os.write(self._descriptor, lines) :]
