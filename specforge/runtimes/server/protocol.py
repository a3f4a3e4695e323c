"""HTTP on one connection: uvicorn's protocol, with limits on heads that are slow or large, and answers in JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from specforge.runtimes.server.problems import Problem

HEAD_BYTES = 64 * 1024
CONNECTIONS = 4096
"""How many connections are kept open; where the system gives fewer descriptors, fewer (see `process`)."""


class Connection(HttpToolsProtocol):
    """One connection. It costs next to nothing while it is idle; a head that does not come to its end is cut off."""

    patience = 20.0
    most = CONNECTIONS

    _reading_head = True
    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin; beyond so many connections, say no at once."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(Problem(503, "too many connections"))
            return
        self._timer = self.loop.call_later(self.patience, self._slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; while they are a head, they are counted and have to come soon."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._reading_head or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self._refuse(Problem(431, f"the request's head is larger than {HEAD_BYTES:,} bytes"))
        elif self._timer is None:
            self._timer = self.loop.call_later(self.patience, self._slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._reading_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._reading_head = False
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(Problem(400, msg))

    def _slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing() and self._reading_head:
            self._refuse(Problem(408, f"the request's head did not come within {self.patience:g} s"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, problem: Problem) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # in the middle of another answer nothing can be said
            return
        content = orjson.dumps(problem.content)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(content)
        self.transport.write(STATUS_LINE[problem.status] + head + content)
        self.transport.close()
