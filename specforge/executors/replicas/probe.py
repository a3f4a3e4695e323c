"""Asks replicas over their Unix sockets whether they are ready: all at once, each with little patience."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from specforge.core.making import dataclass

_POLL = 0.01
_ENOUGH = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """`path` is asked for at the socket named `name` in `folder`; the name of the folder may be of any length."""

    folder: Path
    name: str
    path: str


def ask(probes: Iterable[Probe], patience: float) -> dict[Probe, str]:
    """Return for each probe why it is not ready; empty: it answered with 200. Takes `patience` seconds at most."""
    answers: dict[Probe, str] = {}
    until = time.monotonic() + patience
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        waiting = _connect_all(probes, answers, until, stack)
        for probe, connection in waiting.items():
            selector.register(connection, selectors.EVENT_READ, probe)
        data = dict.fromkeys(waiting, b"")
        while data and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                probe, connection = key.data, waiting[key.data]
                block = _receive(connection)
                data[probe] += block
                if not block or len(data[probe]) >= _ENOUGH or b"\n" in data[probe]:
                    selector.unregister(connection)
                    answers[probe] = _meaning(data.pop(probe), probe)
        answers |= {probe: f"it does not answer `{probe.path}`" for probe in data}
    return answers


def _connect_all(
    probes: Iterable[Probe], answers: dict[Probe, str], until: float, stack: contextlib.ExitStack
) -> dict[Probe, socket.socket]:
    """Send every request; those that cannot be sent are answered at once, or when the time is over."""
    sent = {}
    to_connect = list(probes)
    while to_connect:
        busy = []
        for probe in to_connect:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.setblocking(False)
                _connect(connection, probe)
                request = f"GET {probe.path} HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode())
                sent[probe] = stack.enter_context(connection)
                continue
            except BlockingIOError:
                busy.append(probe)  # more callers wait than it lets wait
            except OSError as error:
                answers[probe] = _trouble(error)
            connection.close()
        if busy and time.monotonic() > until:
            answers |= {probe: f"it does not answer `{probe.path}`: too many callers wait" for probe in busy}
            break
        to_connect = busy
        if busy:
            time.sleep(_POLL)
    return sent


def _connect(connection: socket.socket, probe: Probe) -> None:
    folder = os.open(probe.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{probe.name}")
    finally:
        os.close(folder)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(_ENOUGH)
    except OSError:
        return b""


def _meaning(data: bytes, probe: Probe) -> str:
    words = data.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return f"it closed the connection instead of answering `{probe.path}`"
    code = words[1].decode(errors="replace")
    return "" if code == "200" else f"it answers `{probe.path}` with {code}"


def _trouble(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return "it does not listen on its socket"
    return f"its socket cannot be used: {(error.strerror or str(error)).lower()}"
