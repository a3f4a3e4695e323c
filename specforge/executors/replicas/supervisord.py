"""The one supervisord of a pool: started when something is to be kept up, asked over its socket, ended with the last.

It lives in `POOL/supervisor`, in a session of its own, and finds everything relative to that folder, so that a pool
that is moved keeps what runs in it. It holds the file `lock` while it lives: that, never a pid, says whether it runs.
`change` is the lock of whoever starts it, ends it, or changes what it keeps up.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specforge.executors.base import CancelToken
from specforge.executors.files import write_whole
from specforge.executors.replicas import xml_rpc
from specforge.runtimes.job.slots import is_locked, open_lock, try_lock

PATIENCE = 15.0
"""How long supervisor may take to start, to end, or to answer, in seconds."""
_POLL = 0.01
_LOG_LIMIT = 1 << 20
_MOST_FILES = 8192
_ENDING = 6  # supervisor's own number for this

# The parent ends at once, so that supervisord is nobody's child who would have to wait for it. The card's time says
# when it was last alive: nobody else notes the end of one that is killed.
_BOOT = """\
import json, os, signal, sys
os.chdir(sys.argv[1])
if os.fork():
    os._exit(0)
with open("/proc/self/stat", "rb") as file:
    text = file.read()
with open("/proc/sys/kernel/random/boot_id") as file:
    boot = file.read().strip()
card = {"pid": os.getpid(), "start": int(text[text.rindex(b")") + 2:].split()[19]), "boot": boot}
with open("card.new", "w") as file:
    json.dump(card, file)
os.replace("card.new", "card.json")
def beat(*_):
    try:
        os.utime("card.json")
    except OSError:
        return
signal.signal(signal.SIGALRM, beat)
signal.setitimer(signal.ITIMER_REAL, 5, 5)
sys.path.append(sys.argv[2])
sys.argv[:] = ["supervisord", "-n", "-c", "/proc/self/cwd/supervisord.conf"]
from supervisor.supervisord import main
main()
"""
_CONF = """\
; written by specforge; what is kept up is changed with `spec`
[unix_http_server]
file=/proc/self/cwd/socket
chmod=0600
[supervisord]
nodaemon=true
silent=true
logfile=/proc/self/cwd/supervisord.log
logfile_maxbytes={log_limit}
logfile_backups=1
pidfile=/proc/self/cwd/supervisord.pid
childlogdir=/proc/self/cwd
nocleanup=true
umask=022
minfds={files}
minprocs=1
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files=/proc/self/cwd/programs/*.conf
"""
_BEFORE = "card.before.json"
_OWN_FILES = (
    "supervisord.conf",
    "supervisord.pid",
    "socket",
    "card.json",
    _BEFORE,
    "launch.py",
    "python",
    "stderr",
)


class NoAnswer(OSError):
    """Supervisor does not run, or does not answer; says so in words."""


class Refused(Exception):
    """Supervisor answered that it cannot do this; `code` is its own."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def is_installed() -> bool:
    """Return whether the package supervisor is there; it is not loaded."""
    return importlib.util.find_spec("supervisor") is not None


class Supervisor:
    """Starts, asks and ends the supervisord of the pool in this folder."""

    def __init__(self, pool: Path) -> None:
        self.folder = pool / "supervisor"
        self.programs = self.folder / "programs"

    def is_alive(self) -> bool:
        """Return whether it runs."""
        return is_locked(str(self.folder / "lock"))

    def card(self) -> dict[str, Any] | None:
        """Return what its process is known by, whether or not it still runs."""
        try:
            card: dict[str, Any] = json.loads((self.folder / "card.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return card

    def last_seen(self) -> float | None:
        """Return when one that was killed was last alive, to about five seconds; None: none was."""
        try:
            return (self.folder / (_BEFORE if self.is_alive() else "card.json")).stat().st_mtime
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def changing(self, cancel: CancelToken | None = None) -> Iterator[None]:
        """Be the only one who changes what is kept up; raises NoAnswer if that takes long or a stop is asked for."""
        self.programs.mkdir(parents=True, exist_ok=True)
        self.programs.chmod(0o700)  # variables may hold secrets
        descriptor = open_lock(str(self.folder / "change"))
        until = time.monotonic() + 4 * PATIENCE
        try:
            while not try_lock(descriptor):
                if time.monotonic() > until or (cancel is not None and cancel.cancelled):
                    raise NoAnswer("another command changes what supervisor keeps up")
                time.sleep(_POLL)
            yield
        finally:
            # Closing alone would not do: a process forked meanwhile may have a copy of the descriptor.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def ensure(self) -> None:
        """Have it run; to be called while `changing`. One that starts anew keeps up nothing: not what was before."""
        if self.is_alive():
            self._wait_until_it_answers()
            return
        lock = open_lock(str(self.folder / "lock"))
        try:
            until = time.monotonic() + PATIENCE
            while not try_lock(lock):  # those who look at it hold it for a moment
                if time.monotonic() > until:
                    raise NoAnswer("the lock of supervisor is held by somebody else")
                time.sleep(_POLL)
            self._prepare()
            self._start(lock)
        finally:
            os.close(lock)  # supervisor has its own copy, which keeps the lock
        self._wait_until_it_answers()

    def end(self) -> None:
        """End it and wait until it has ended; to be called while `changing`, when nothing is kept up any more."""
        if self.is_alive():
            with contextlib.suppress(NoAnswer):
                self.call("shutdown")
            self._wait_until_it_ended()
        for name in _OWN_FILES:
            (self.folder / name).unlink(missing_ok=True)
        if self.programs.is_dir() and not os.listdir(self.programs):
            self.programs.rmdir()

    def call(self, method: str, *arguments: str | bool, patience: float = PATIENCE) -> Any:
        """Call a method of supervisor's interface; raises NoAnswer, Refused.

        One that is about to start, or to end, is waited for, `patience` seconds at most.
        """
        body = xml_rpc.call(f"supervisor.{method}", arguments)
        until = time.monotonic() + patience
        while True:
            try:
                return xml_rpc.answer(self._ask(body, max(until - time.monotonic(), _POLL)))
            except TimeoutError:
                raise NoAnswer(f"supervisor did not answer within {patience:g} s") from None
            except xml_rpc.Fault as fault:
                if fault.code != _ENDING:
                    raise Refused(fault.code, fault.words) from None
                why = "it is about to end"
            except OSError as error:
                why = (error.strerror or str(error)).lower()
            except Exception as error:
                raise NoAnswer(f"supervisor gave no answer that can be read: {error}") from error
            if time.monotonic() > until or not self.is_alive():
                raise NoAnswer(f"supervisor cannot be asked: {why}")
            time.sleep(_POLL)

    # ---- inside ----

    def _ask(self, body: bytes, patience: float) -> bytes:
        """Send one request over the socket, which is named by its open folder: the name of a socket is short."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(patience)
                connection.connect(f"/proc/self/fd/{folder}/socket")
                head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                return _body_of(connection)
        finally:
            os.close(folder)

    def _prepare(self) -> None:
        """Write what it reads, and clear away what an earlier one kept up: whoever wants that will ask for it."""
        for stale in self.programs.glob("*.conf"):
            stale.unlink()
        if (self.folder / "card.json").exists():
            (self.folder / "card.json").rename(self.folder / _BEFORE)
        for name in ("socket", "stderr"):
            (self.folder / name).unlink(missing_ok=True)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        write_whole(self.folder / "supervisord.conf", _CONF.format(log_limit=_LOG_LIMIT, files=files).encode())
        write_whole(self.folder / "launch.py", Path(__file__).with_name("launch.py").read_bytes())
        python = self.folder / "python"
        python.unlink(missing_ok=True)
        python.symlink_to(sys.executable)  # so that no name of a folder has to be quoted

    def _start(self, lock: int) -> None:
        found = importlib.util.find_spec("supervisor")
        if found is None or found.origin is None:
            raise NoAnswer("supervisor is not installed")
        base, errors = str(Path(found.origin).parents[1]), str(self.folder / "stderr")
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-W", "ignore", "-c", _BOOT, str(self.folder), base],
            {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, lock, 3),  # supervisor leaves descriptors below 5 alone
            ],
            setsid=True,
        )
        os.waitpid(pid, 0)

    def _wait_until_it_answers(self) -> None:
        try:
            self.call("getSupervisorVersion")
        except NoAnswer:
            if not self.is_alive():
                raise NoAnswer(f"supervisor ended while it started{self._last_words()}") from None
            raise

    def _wait_until_it_ended(self) -> None:
        until = time.monotonic() + PATIENCE
        while self.is_alive():
            if time.monotonic() > until:
                raise NoAnswer(f"supervisor did not end within {PATIENCE:g} s")
            time.sleep(_POLL)

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "stderr").read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return f": {lines[-1]}" if lines else ""


def _body_of(connection: socket.socket) -> bytes:
    """Return the body of the answer; supervisor says how long it is, and closes the connection after it."""
    data = bytearray()
    while block := connection.recv(1 << 16):
        data += block
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    if not head.split(b"\r\n")[0].endswith(b"200 OK"):
        raise OSError(f"it said {head.split(bytes(2))[0][:80]!r}")
    return body
