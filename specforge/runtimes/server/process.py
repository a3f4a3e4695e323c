"""The server's process: socket, event loop, signals, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator

import uvicorn
import uvloop

from specforge.runtimes import PackageError, Predictor
from specforge.runtimes.dependencies import check_dependencies
from specforge.runtimes.package import load_package
from specforge.runtimes.server import Settings, StartError
from specforge.runtimes.server.application import Application
from specforge.runtimes.server.contract import Contract, read_contract
from specforge.runtimes.server.journal import Journal
from specforge.runtimes.server.protocol import CONNECTIONS, Connection
from specforge.runtimes.server.watch import HANG_EXIT, follow_parent, watch_memory
from specforge.runtimes.server.worker import Worker

_TICK = 0.05
_SPARE = 100
"""Descriptors that are left for the model and the log."""
_SOCKET_NAME = 107
_KEPT = 75
_KEPT_BEHIND_GATEWAY = 3660
"""Seconds for which an idle connection is kept: on a Unix socket longer than any gateway keeps it, so that never a
request meets a connection that is just being closed."""


class _Server(uvicorn.Server):
    """uvicorn's server without its signals: how this process stops is decided here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings) -> int:
    """Serve until a signal asks to stop; return the exit code. Raises StartError."""
    follow_parent()
    # What a model prints is in the log when it happens, not when a buffer is full.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    contract = read_contract(settings.package)
    with _listening(settings) as listener:
        worker = Worker(lambda: _load(settings, contract))
        worker.start()
        journal = Journal()
        application = Application(settings, contract, worker, journal)
        if settings.memory:
            watch_memory(settings.memory, application.tell)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings, application, worker, listener))
        finally:
            journal.flush()
            sys.stdout.flush()
    if worker.failure is not None:
        raise _failed(worker.failure)
    if worker.busy_for() or not worker.loaded.is_set():
        # The model's thread cannot be ended, and it was waited for as long as it may take.
        os._exit(0)
    return 0


def _descriptors() -> int:
    """Return how many descriptors this process may have, after asking for as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, CONNECTIONS + _SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _load(settings: Settings, contract: Contract) -> Predictor:
    check_dependencies(contract.config.dependencies)
    folder = settings.package / "model"
    return load_package(contract.engine, folder, columns=contract.columns, key=contract.key)


def _failed(failure: BaseException) -> StartError:
    if isinstance(failure, PackageError):
        if failure.__cause__ is not None:
            print("".join(traceback.format_exception(failure.__cause__)).rstrip(), flush=True)
        return StartError(str(failure))
    print("".join(traceback.format_exception(failure)).rstrip(), flush=True)
    return StartError(f"the model cannot be loaded: {type(failure).__name__}: {failure}")


async def _serve(settings: Settings, application: Application, worker: Worker, listener: socket.socket) -> None:
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=_KEPT_BEHIND_GATEWAY if settings.socket else _KEPT,
        timeout_graceful_shutdown=1,
    )
    Connection.patience = settings.patience
    Connection.most = min(CONNECTIONS, _descriptors() - _SPARE)
    server = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker.attach(loop)
    serving = loop.create_task(server.serve(sockets=[listener]))
    await _until_stopped(settings, application, worker, stop)
    if worker.failure is None:
        await _drain(settings, application)
    server.should_exit = True
    await serving


async def _until_stopped(settings: Settings, application: Application, worker: Worker, stop: asyncio.Event) -> None:
    """Return when a stop is asked for or the package could not be loaded; end the process if the model hangs."""
    begun, told = time.monotonic(), False
    while not stop.is_set() and worker.failure is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK if not told else 0.5):
                await stop.wait()
        if worker.ready and not told:
            told = True
            application.tell(f"ready: {settings.name}, loaded in {time.monotonic() - begun:.2f} s")
        if worker.busy_for() > settings.time + settings.grace:
            application.tell(f"the model has been at work for {worker.busy_for():.0f} s on one request; ending")
            os._exit(HANG_EXIT)


async def _drain(settings: Settings, application: Application) -> None:
    """Answer what was accepted, for as long as that may take."""
    application.stopping = True
    application.tell(f"stopping: {application.in_flight} requests in flight")
    end = time.monotonic() + settings.drain
    while application.in_flight and time.monotonic() < end:
        await asyncio.sleep(_TICK)
    if application.in_flight:
        application.tell(f"{application.in_flight} requests were not answered within {settings.drain:g} s")


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Give the listening socket; a socket's file is taken away again."""
    if settings.socket is None:
        with _bound_port(settings.host, settings.port) as listener:
            host, port = listener.getsockname()[:2]
            print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
            yield listener
        return
    with _bound_socket(os.fspath(settings.socket)) as listener:
        made = os.stat(settings.socket).st_ino
        print(f"listening on {settings.socket}", flush=True)
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if os.stat(settings.socket).st_ino == made:
                    os.unlink(settings.socket)


def _bound_port(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reasons = {errno.EADDRINUSE: "it is taken", errno.EACCES: "ports below 1024 need rights"}
        why = reasons.get(error.errno or 0, error.strerror)
        raise StartError(f"cannot listen on port {port} of {host}: {why}") from error
    return listener


def _bound_socket(path: str) -> socket.socket:
    if len(os.fsencode(path)) > _SOCKET_NAME:
        raise StartError(f"the socket's path is longer than {_SOCKET_NAME} bytes; give it relative to the folder")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        _clear(path)
        listener.bind(path)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on `{path}`: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener


def _clear(path: str) -> None:
    """Take away what a server that was killed left; raises OSError if one listens, or if it is no socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")
