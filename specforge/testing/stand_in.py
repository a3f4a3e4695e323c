"""A replica for tests and benchmarks, without a model: a small HTTP server on a Unix socket; standard library only.

`python stand_in.py SOCKET BEHAVIOUR [WORD…]` prints its words, then behaves: `ready` answers `/health` with 200,
`never` and `loading` with 503; `crash` ends with exit code 3 before it listens; `stubborn` is ready and does not end
when asked to; `parent` is ready and has a child that does not. `/` is answered with the words; `/slow` once there is a
file `finish` beside the socket; `/in/…` with a file of the inputs. Asked to end, it answers what it has begun.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_POLL = 0.005


class StandIn:
    """Listens until it is asked to end."""

    def __init__(self, path: str, behaviour: str, words: list[str]) -> None:
        self._folder = os.path.dirname(os.path.abspath(path))
        self._behaviour = behaviour
        self._words = words
        self._busy: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._bell, self._ring = socket.socketpair()

    def run(self) -> None:
        """Answer requests, each in a thread, until asked to end; then those that were begun."""
        import select

        while self._bell not in (found := select.select([self._listener, self._bell], [], [])[0]):
            if self._listener in found:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._answer, args=(connection,))
                thread.start()
                self._busy = [each for each in self._busy if each.is_alive()] + [thread]
        self._listener.close()
        for thread in self._busy:
            thread.join()

    def end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take no more requests."""
        if self._behaviour != "stubborn":
            self._ring.send(b"e")

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                block = connection.recv(4096)
                if not block:
                    return
                data += block
            code, body = self._reply(data.split()[1].decode())
            head = f"HTTP/1.1 {code} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            try:
                connection.sendall(head.encode() + body)
            except BrokenPipeError:
                return

    def _reply(self, path: str) -> tuple[int, bytes]:
        if path == "/health":
            return (503, b"") if self._behaviour in ("never", "loading") else (200, b'{"health": "true"}')
        if path == "/slow":
            while not os.path.exists(os.path.join(self._folder, "finish")):
                time.sleep(_POLL)
        if path.startswith("/in/"):
            try:
                with open(path[1:], "rb") as file:
                    return 200, file.read()
            except FileNotFoundError:
                return 404, b""
        return 200, " ".join(self._words).encode()


def main(path: str, behaviour: str, *words: str) -> int:
    """Be the replica; returns the exit code."""
    for word in words:
        print(word, flush=True)
    if behaviour == "crash":
        return 3
    server = StandIn(path, behaviour, list(words))
    signal.signal(signal.SIGTERM, server.end)
    if behaviour == "parent":
        import subprocess

        stay = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
        subprocess.Popen([sys.executable, "-I", "-S", "-c", stay], start_new_session=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
