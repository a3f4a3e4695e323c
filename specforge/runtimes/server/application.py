"""The ASGI application: routes, limits and answers. The model's work is the worker's."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from specforge.runtimes import InputError, Request
from specforge.runtimes.server import Settings
from specforge.runtimes.server.contract import Contract, Method
from specforge.runtimes.server.journal import Journal
from specforge.runtimes.server.openapi import document
from specforge.runtimes.server.problems import Header, Problem, later
from specforge.runtimes.server.reading import check, read_request, uuid_of
from specforge.runtimes.server.worker import Worker

BUFFERS = 8
"""How many bodies of the largest size are held in memory while they arrive, at most."""

_LINGER_SECONDS = 2.0
_HEALTH = "/health"
_OPENAPI = "/openapi.json"
_JSON: Header = (b"content-type", b"application/json")
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The caller closed the connection."""


class Call:
    """One request as it is taken apart, and what its line in the log says."""

    __slots__ = ("body_read", "content_type", "length", "method", "path", "received", "uuid")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.content_type = ""
        self.length = 0
        self.received = 0
        self.uuid: Any = None
        self.body_read = True
        for name, value in scope["headers"]:
            if name == b"content-type":
                self.content_type = value.decode("latin-1")
            elif name == b"content-length":
                # The parser has refused what is no number.
                self.length = int(value)
                self.body_read = self.length == 0
            elif name == b"transfer-encoding":
                self.body_read = False
            elif name == b"x-request-id":
                self.uuid = value.decode("latin-1")[:200]


class Application:
    """Answers requests. `stopping`: no new ones are accepted; `in_flight`: how many are being answered."""

    def __init__(self, settings: Settings, contract: Contract, worker: Worker, journal: Journal) -> None:
        self.stopping = False
        self.in_flight = 0
        self._settings = settings
        self._contract = contract
        self._worker = worker
        self._journal = journal
        self._buffered = 0
        self._openapi = orjson.dumps(document(contract, settings.name))
        self._allowed = {_HEALTH: ("GET", "HEAD"), _OPENAPI: ("GET", "HEAD")}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.monotonic()
        call = Call(scope)
        self.in_flight += 1
        status, content = 499, b""
        try:
            status, content, headers = await self._answer(call, receive)
            await _send(call, receive, send, status, content, headers)
        except Gone:
            pass
        finally:
            self.in_flight -= 1
            if call.path != _HEALTH:  # asked every second by whoever keeps the replica up
                self._journal.add({
                    "method": call.method,
                    "path": call.path[:200],
                    "status": status,
                    "ms": round((time.monotonic() - begun) * 1000, 2),
                    "received": call.received,
                    "bytes": len(content),
                    "uuid": call.uuid,
                })  # fmt: skip

    async def _answer(self, call: Call, receive: Receive) -> tuple[int, bytes, Sequence[Header]]:
        try:
            if call.path in self._allowed:
                return self._about(call)
            return 200, await self._predict(call, receive), ()
        except Problem as problem:
            return problem.status, orjson.dumps(problem.content), problem.headers
        except (Gone, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - a bug of ours is an answer, too
            self.tell(traceback.format_exc().rstrip())
            return 500, orjson.dumps(Problem(500, "the server failed; its log says why").content), ()

    def _about(self, call: Call) -> tuple[int, bytes, Sequence[Header]]:
        _allow(call, self._allowed[call.path])
        if call.path == _OPENAPI:
            return 200, self._openapi, ()
        fit = self._worker.ready and not self.stopping and not self._hangs()
        return (200, b'{"health":"true"}', ()) if fit else (503, b'{"health":"false"}', ())

    async def _predict(self, call: Call, receive: Receive) -> bytes:
        method, kind = self._method(call)
        self._admit()
        if call.length > self._settings.body:
            raise self._too_large(call.length)
        body = await self._read(call, receive)
        request = read_request(method, kind, call.content_type, body)
        uuid = uuid_of(request.body)
        if uuid is not None:
            call.uuid = uuid
        answer = await self._ask(request)
        return self._content(method, answer, uuid)

    def _method(self, call: Call) -> tuple[Method, str]:
        methods = self._contract.routes.get(call.path)
        if methods is None:
            raise Problem(404, f"there is nothing at `{call.path[:200]}`; the model is at `POST /`")
        _allow(call, tuple(methods))
        kinds = methods[call.method]
        kind = call.content_type.partition(";")[0].strip().lower()
        if kind not in kinds:
            wanted = " or ".join(f"`{each}`" for each in kinds)
            sent = f"`{kind[:100]}`" if kind else "nothing"
            raise Problem(415, f"the content type is {sent}; this model takes {wanted}")
        return kinds[kind], kind

    def _admit(self) -> None:
        """Raise Problem if nothing can be taken on now: better at once than after a wait."""
        if self.stopping:
            raise Problem(503, "the server is stopping", [later(1), (b"connection", b"close")])
        if not self._worker.ready:
            raise Problem(503, "the model is being loaded", [later(1)])
        if self._hangs():
            raise Problem(503, "the model is still at work on an earlier request", [later(self._settings.grace)])
        if self._worker.depth >= self._settings.queue:
            raise Problem(429, f"{self._settings.queue} requests wait already", [later(1)])

    def _hangs(self) -> bool:
        return self._worker.hangs

    def _too_large(self, size: int) -> Problem:
        said = f"the body has {size:,} bytes or more; at most {self._settings.body:,} are taken"
        return Problem(413, said, [(b"connection", b"close")])

    async def _read(self, call: Call, receive: Receive) -> bytes:
        """Return the body; raises Problem if it is too large or there is no room for it, Gone if it ends too early.

        That it goes on is the connection's care.
        """
        chunks: list[bytes] = []
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk: bytes = message["body"]
                chunks.append(chunk)
                call.received += len(chunk)
                self._buffered += len(chunk)
                if call.received > self._settings.body:
                    raise self._too_large(call.received)
                if not message["more_body"]:
                    call.body_read = True
                    return chunk if len(chunks) == 1 else b"".join(chunks)
                if self._buffered > BUFFERS * self._settings.body:
                    raise Problem(503, "too many requests arrive at once", [later(1), (b"connection", b"close")])
        finally:
            self._buffered -= call.received

    async def _ask(self, request: Request) -> Any:
        """Return the model's answer; raises Problem."""
        if self._worker.depth >= self._settings.queue:
            raise Problem(429, f"{self._settings.queue} requests wait already", [later(1)])
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        late = Problem(504, f"the model did not answer within {self._settings.time:g} s")
        handle = loop.call_later(self._settings.time, self._worker.expire, future, late)
        self._worker.submit(request, future)
        try:
            answer = await future
        finally:
            handle.cancel()
        if not isinstance(answer, BaseException):
            return answer
        if isinstance(answer, Problem):
            raise answer
        self.tell("".join(traceback.format_exception(answer)).rstrip())
        if isinstance(answer, InputError):
            raise Problem(422, str(answer)[:500])
        if type(answer).__name__ == "UnidentifiedImageError":
            raise Problem(422, "what was sent is no picture")
        if isinstance(answer, SystemExit):
            raise Problem(500, "the model ended its work with an exit")
        raise Problem(500, f"the model failed with a {type(answer).__name__}; its log says more")

    def _content(self, method: Method, answer: Any, uuid: Any) -> bytes:
        if isinstance(answer, dict) and uuid is not None and "meta" not in answer:
            answer = {"meta": {"uuid": uuid}, **answer}
        try:
            content = orjson.dumps(answer, default=_plain, option=_OPTIONS)
        except TypeError as error:
            self.tell(f"the model's answer is no JSON: {error}")
            raise Problem(500, f"the model's answer is no JSON: {error}"[:300]) from None
        if method.check_response is not None:
            # What is checked is what goes out: numpy's numbers are numbers there.
            value = orjson.loads(content)
            several = isinstance(value, dict) and set(value) == {"predictions"}
            try:
                for each in value["predictions"] if several else [value]:
                    check(method.check_response, each, "answer")
            except Problem as problem:
                self.tell(f"the model's answer does not fit its response schema: {problem.message}")
                said = f"the model's answer does not fit its response schema: {problem.message}"
                raise Problem(500, said) from None
        return content

    def tell(self, text: str) -> None:
        """Write to the service's log."""
        self._journal.write()
        print(text, file=sys.stdout, flush=True)


def _allow(call: Call, methods: Sequence[str]) -> None:
    if call.method not in methods:
        allowed = ", ".join(methods)
        headers = [(b"allow", allowed.encode())]
        raise Problem(405, f"`{call.path[:200]}` does not take {call.method}, only {allowed}", headers)


def _plain(value: Any) -> Any:
    """Return a value that JSON has for one that it does not have: numpy's scalars and odd arrays, sets, tuples."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex) or not isinstance(value, Mapping):
        raise TypeError(f"a {type(value).__name__} has no form in JSON")
    return dict(value)


async def _send(
    call: Call, receive: Receive, send: Send, status: int, content: bytes, headers: Sequence[Header]
) -> None:
    length = (b"content-length", str(len(content)).encode())
    if call.body_read:
        await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
        await send({"type": "http.response.body", "body": content})
        return
    # The caller still sends. Its answer goes out now, and what it sends is read and dropped for a while: a connection
    # that is closed with bytes unread is reset, and the answer is lost with it.
    headers = [_JSON, length, *(each for each in headers if each[0] != b"connection"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" or not message["more_body"]:
                    break
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
