"""HTTP on one connection: uvicorn's protocol, with limits on heads that are slow or large, and answers in JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from specforge.runtimes.server.problems import Problem

HEAD_BYTES = 64 * 1024
BODY_SECONDS = 300.0
CONNECTIONS = 4096
"""How many connections are kept open; where the system gives fewer descriptors, fewer (see `process`)."""


class Whole:
    """A transport on which the head of an answer waits for its body: one write, and one wake of the caller, not two."""

    __slots__ = ("_head", "_transport", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: Any) -> None:
        self._head = b""
        self._transport = transport
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Write, or keep what is a head alone; `100 Continue` has no body to wait for."""
        if data.endswith(b"\r\n\r\n") and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def flush(self) -> None:
        """Write a head that has no body."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Write what is kept, and close."""
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """One connection. It costs next to nothing while it is idle; a head or a body that does not go on is cut off.

    A request that comes in one piece, as most do, starts no timer.
    """

    patience = 20.0
    most = CONNECTIONS

    _part = "head"
    _size = 0
    _deadline = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin; beyond so many connections, say no at once."""
        self._whole = Whole(transport)
        super().connection_made(self._whole)  # type: ignore[arg-type]
        if len(self.connections) > self.most:
            self._refuse(Problem(503, "too many connections"))
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head are counted, and what is not yet whole has to go on soon."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._part or self.transport.is_closing():
            return
        self._size += len(data)
        if self._part == "body":
            self._wait()
        elif self._size > HEAD_BYTES:
            self._refuse(Problem(431, f"the request's head is larger than {HEAD_BYTES:,} bytes"))
        elif self._timer is None:
            self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._part, self._size, self._deadline = "head", 0, 0.0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole, a body begins."""
        self._part, self._deadline = "body", 0.0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._part = ""
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out; what was sent after its request has its turn, and its time."""
        self._whole.flush()
        super().on_response_complete()
        if self._part == "body" and not self.transport.is_closing():
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(Problem(400, msg))

    def _wait(self) -> None:
        """Give the caller some time for the next bytes; none while it waits for an answer itself."""
        self._stop_timer()
        if self.pipeline:
            return
        now = self.loop.time()
        self._deadline = self._deadline or now + BODY_SECONDS
        self._timer = self.loop.call_later(min(self.patience, self._deadline - now), self._slow)

    def _slow(self) -> None:
        self._timer = None
        if self._part and not self.transport.is_closing():
            self._refuse(Problem(408, f"the request's {self._part} did not come in time"))

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
