"""The world around a real gateway: small servers on Unix sockets as replicas, and clients that keep connections."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtRoutes
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen, Key
from specforge.executors.base import StepContext, Surroundings
from specforge.executors.gateway.admin import Admin
from specforge.executors.gateway.config import ROUTES
from specforge.executors.gateway.folder import RouteFolder
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.pool import pool_of
from specforge.executors.local.settings import LocalSettings
from specforge.executors.replicas.group import Group

PATIENCE = 30.0


class Replica:
    """A server on `POOL/groups/GROUP/NUMBER.sock` that answers with its group's name.

    `/hold` is answered when `release` is set, `/headers` with what the request's head was, `/length` with the number of
    bytes of the body; `/health` with `health`.
    """

    def __init__(self, group, folder, number=0):
        self.group, self.number = group, number
        self.path = folder
        self.release = threading.Event()
        self.health = 200
        self.requests = 0
        self._held = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE)

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready):
        self._stop, self._writers = asyncio.Event(), set()
        folder = os.open(self.path, os.O_PATH)
        try:
            (self.path / f"{self.number}.sock").unlink(missing_ok=True)
            name = f"/proc/self/fd/{folder}/{self.number}.sock"
            server = await asyncio.start_unix_server(self._handle, name, backlog=2000)
        finally:
            os.close(folder)
        ready.set()
        await self._stop.wait()
        server.close()
        for each in self._writers:
            each.transport.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for each in rest:
            each.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _handle(self, reader, writer):
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _body(reader, head)
                status, answer = await self._answer(head, body)
                writer.write(b"HTTP/1.1 %d -\r\ncontent-length: %d\r\n\r\n%s" % (status, len(answer), answer))
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, head, body):
        path = path_of(head)
        if path == b"/health":
            return self.health, b""
        self.requests += 1
        if path == b"/hold":
            self._held += 1
            while not self.release.is_set():
                await asyncio.sleep(0.002)
        if path == b"/headers":
            return 200, head
        if path == b"/length":
            return 200, str(len(body)).encode()
        return 200, self.group.encode()

    def held(self):
        """How many requests were held so far."""
        return self._held

    def connections(self):
        """How many connections it has."""
        return len(self._writers)

    def close(self):
        """End like a process that is killed: what is in flight is lost, the socket stays."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)


def path_of(head):
    return head.split(b" ", 2)[1]


async def _body(reader, head):
    lines = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)
    for line in lines:
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.split(b":")[1]))
    return b""


class Client:
    """One connection that is kept; it opens another one when the server said that it closes this one."""

    def __init__(self, listen):
        self.listen, self.file, self.socket = listen, None, None

    def close(self):
        if self.socket is not None:
            self.file.close()
            self.socket.close()
            self.file = self.socket = None

    def send(self, path="/", method="GET", body=b"", headers=()):
        if self.socket is not None and select.select([self.socket], [], [], 0)[0]:
            self.close()  # the server has closed it since
        if self.socket is None:
            self.socket = socket.create_connection((self.listen.host, self.listen.port), timeout=PATIENCE)
            self.file = self.socket.makefile("rb")
        lines = [f"{method} {path} HTTP/1.1", "host: service", f"content-length: {len(body)}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self):
        """Return status, headers and body."""
        status = int(self.file.readline().split(b" ", 2)[1])
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.file.readline(), 16):
                body += self.file.read(size)
                self.file.readline()
            self.file.readline()
        else:
            body = self.file.read(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return status, headers, body

    def ask(self, *args, **options):
        self.send(*args, **options)
        return self.answer()


class GatewayBench:
    """Replicas in the groups of a local pool, and who answers; a Bench of the contract."""

    def __init__(self, root, place):
        self.pool = pool_of(place, root)
        self.started = []
        self._clients = []
        self._mine = threading.local()

    def replicas(self, group, number=0):
        replica = Replica(group, Group(self.pool, group).folder, number)
        self.started.append(replica)
        return replica

    def close(self):
        for each in (*self._clients, *self.started):
            each.close()

    def request(self, listen):
        client = getattr(self._mine, "client", None)
        if client is None or client.listen != listen:
            client = self._mine.client = Client(listen)
            self._clients.append(client)
        try:
            status, _, body = client.ask()
        except ConnectionRefusedError:
            client.close()
            return 0
        return body.decode() if status == 200 else status

    def address(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Listen("127.0.0.1", probe.getsockname()[1])

    @contextmanager
    def held(self, listen):
        before = sum(each.held() for each in self.started)
        client = Client(listen)
        client.send("/hold")
        end = time.monotonic() + PATIENCE
        while sum(each.held() for each in self.started) == before:
            assert time.monotonic() < end
            time.sleep(0.002)

        def answer():
            for each in self.started:
                each.release.set()
            status, _, body = client.answer()
            return body.decode() if status == 200 else status

        try:
            yield answer
        finally:
            client.close()
            for each in self.started:
                each.release.set()

    @contextmanager
    def taken(self, listen):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((listen.host, listen.port))
            other.listen()
            yield

    def folder(self, route):
        return RouteFolder(self.pool, route)

    def edit(self, route):
        file = self.folder(route).path / ROUTES
        changed = file.with_name("changed")
        changed.write_text(file.read_text().replace('"weight": 90', '"weight": 80'))
        changed.rename(file)  # as editors do
        return ROUTES

    def kill(self, route):
        pid = Admin(self.folder(route).path).pid()
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while Admin(self.folder(route).path).pid() == pid:
            assert time.monotonic() < end
            time.sleep(0.002)


ROUTE = "service.digits-route"


class Service:
    """A project folder with a local pool, one route at an address of its own, and its replicas."""

    def __init__(self, root):
        root.mkdir(exist_ok=True)
        self.executor = LocalExecutor(Surroundings(root, root / "cache", None))
        self.place = LocalSettings(slots=2).place("here")
        self.bench = GatewayBench(root, self.place)
        self.pool = self.bench.pool
        self.listen = self.bench.address()
        self.client = Client(self.listen)
        self.route = ROUTE

    def close(self):
        self.client.close()
        self.set({}, drain=0.0)
        self.bench.close()

    @property
    def folder(self):
        return RouteFolder(self.pool, self.route)

    @property
    def admin(self):
        return Admin(self.folder.path)

    def left(self):
        """What lies where routes are kept."""
        folder = self.pool.folder / "routes"
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def context(self):
        return StepContext(Key("lineage", Address("service", "digits"), "a" * 64, 1, "routes"))

    def step(self, weights, **changes):
        changes = {"drain": PATIENCE, **changes}
        return SetRoutes(self.place, self.route, self.listen if weights else None, Frozen(weights), **changes)

    def set(self, weights, **changes):
        return self.executor.perform(self.step(weights, **changes), self.context()).outputs

    def serve(self, *groups, weights=None):
        """Have replicas in these groups, and requests led to them."""
        replicas = [self.bench.replicas(group) for group in groups]
        self.set(weights or {groups[0]: 100})
        return replicas

    def failure(self, weights, **changes):
        """Set what must be refused, and return the error."""
        try:
            self.set(weights, **changes)
        except ExecutionError as error:
            return error
        raise AssertionError("the routes were set")

    def look(self):
        query = LookAtRoutes(self.place, self.route)
        return self.executor.observe(self.place, [query], None)[query]

    def ask(self, path="/", **options):
        """Send one request and return its status and body."""
        status, _, body = self.client.ask(path, **options)
        return status, body.decode()

    def who(self, times=10):
        return {self.bench.request(self.listen) for _ in range(times)}


def until(condition, what):
    """Wait until the condition holds and return what it gives."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return found
