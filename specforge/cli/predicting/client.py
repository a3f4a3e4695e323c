"""Asks a service: a few requests at once, answers in the order of the inputs."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from specforge.cli.predicting.inputs import Body, Input, body_of
from specforge.core.making import dataclass

AT_ONCE = 4
"""Requests that are under way at the same time."""
AHEAD = 64
"""Requests that are begun before the answers to those before them were taken."""
LONGEST = 500
"""Characters of an answer that is no JSON which are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one input: the service's JSON, or `error` in words. `status` is None if nothing was answered.

    `unreachable`: nobody listens there, so that asking on makes no sense.
    """

    name: str
    status: int | None
    content: Any = None
    error: str = ""
    unreachable: bool = False
    seconds: float = 0.0


class Client:
    """Asks one service; each thread keeps its connection."""

    def __init__(self, address: str, timeout: float) -> None:
        parts = urlsplit(address)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path or "/"
        self._timeout = timeout
        self._kept = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def answers(self, inputs: Sequence[Input]) -> Iterator[Answer]:
        """Give the answer to each input, in order; stops after the first that finds nobody there."""
        waiting: list[Future[Answer]] = []
        rest = iter(inputs)
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            while True:
                waiting += [pool.submit(self.ask, each) for each in islice(rest, AHEAD - len(waiting))]
                if not waiting:
                    return
                answer = waiting.pop(0).result()
                yield answer
                if answer.unreachable:
                    return
        finally:
            pool.shutdown(cancel_futures=True)
            for connection in self._open:
                connection.close()

    def ask(self, one: Input) -> Answer:
        """Send one input and return what came of it; never raises for what the world does."""
        try:
            body = body_of(one)
        except ValueError as error:
            return Answer(one.name, None, error=str(error))
        except OSError as error:
            return Answer(one.name, None, error=f"it cannot be read: {(error.strerror or str(error)).lower()}")
        began = time.monotonic()
        try:
            status, content = self._send(body)
        except TimeoutError:
            return Answer(one.name, None, error=f"no answer within {self._timeout:g} s")
        except ConnectionRefusedError:
            return Answer(one.name, None, error="nobody listens there", unreachable=True)
        except (OSError, http.client.HTTPException) as error:
            words = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
            return Answer(one.name, None, error=f"the connection broke: {words}")
        return _answer(one.name, status, content, time.monotonic() - began)

    def _send(self, body: Body) -> tuple[int, bytes]:
        """Send on this thread's connection; one that was kept may have been closed meanwhile: then once more."""
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is not None:
            with suppress(ConnectionError, http.client.BadStatusLine):
                return self._exchange(connection, body)
            connection.close()
        fresh = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = self._kept.connection = fresh(self._host, self._port, timeout=self._timeout)
        self._open.append(connection)
        try:
            return self._exchange(connection, body)
        except (OSError, http.client.HTTPException):
            connection.close()
            self._kept.connection = None
            raise

    def _exchange(self, connection: http.client.HTTPConnection, body: Body) -> tuple[int, bytes]:
        headers = {"Content-Type": body.kind, "Accept": "application/json"}
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read whole: there is an answer
            connection.request("POST", self._path, body.content, headers)
        response = connection.getresponse()
        return response.status, response.read()


def _answer(name: str, status: int, content: bytes, seconds: float) -> Answer:
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if 200 <= status < 300:
        if said is None and content.strip() != b"null":
            return Answer(name, status, error=f"the answer is no JSON: {_shortened(content)}", seconds=seconds)
        return Answer(name, status, said, seconds=seconds)
    return Answer(name, status, said, f"{status} {_words(said, content, status)}", seconds=seconds)


def _words(said: Any, content: bytes, status: int) -> str:
    """Return what the server says of a request that failed: `{"error": {"message": …}}`, or what else there is."""
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    for key in ("detail", "message", "error_msg"):
        if isinstance(said, dict) and isinstance(said.get(key), str):
            return str(said[key])
    return _shortened(content) or http.client.responses.get(status, "")


def _shortened(content: bytes) -> str:
    shown = " ".join(content.decode(errors="replace").split())
    return shown[:LONGEST] + ("…" if len(shown) > LONGEST else "")
