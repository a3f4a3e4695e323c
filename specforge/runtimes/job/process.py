"""Processes of a job on Linux: start one so that it cannot outlive its wrapper, know it again, watch it, end it.

A process is known by its pid, its start time and the boot it belongs to, never by its pid alone.
"""

from __future__ import annotations

import os
import resource
import signal
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def start_time(pid: int) -> int | None:
    """Return when the process began, in clock ticks since boot; None if there is no such process."""
    found = _stat(pid)
    return found[2] if found else None


def card(pid: int) -> dict[str, object]:
    """Return what a process is known again by, for a file: pid, start time, boot."""
    return {"pid": pid, "start": start_time(pid), "boot": boot_id()}


def is_same(known: dict[str, object]) -> bool:
    """Return whether the process on this card still runs; a zombie does not."""
    pid = known.get("pid")
    if not isinstance(pid, int) or known.get("boot") != boot_id():
        return False
    found = _stat(pid)
    return found is not None and found[2] == known.get("start") and found[0] != "Z"


def signal_same(known: dict[str, object], number: int) -> bool:
    """Send the signal if the process on this card still runs; return whether it was sent."""
    pid = known.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        # A pid may be given to another program between the look and the signal; a file descriptor of it may not.
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_same(known):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def marked(mark: str) -> list[dict[str, object]]:
    """Return the cards of the processes that were started with the variable `mark` ("NAME=value") and still run."""
    found: list[dict[str, object]] = []
    wanted, boot = mark.encode(), boot_id()
    for pid in _pids():
        # The start time is read first: should the pid change hands meanwhile, the card fits nobody.
        start = start_time(pid)
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append({"pid": pid, "start": start, "boot": boot})
        except OSError:
            continue
    return found


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent dies: nothing a job starts escapes its wrapper."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


class CannotStart(Exception):
    """The program could not be started; says why."""


class Program:
    """What to start: `output` is the file descriptor it writes to, `cores` the processors it may use (empty: all)."""

    def __init__(self, argv: list[str], variables: dict[str, str], folder: str, output: int, cores: list[int]) -> None:
        self.argv = argv
        self.variables = variables
        self.folder = folder
        self.output = output
        self.cores = cores


class Command:
    """A program about to run in a session of its own, held back until `release`, killed when its starter dies."""

    def __init__(self, program: Program) -> None:
        gate, self._gate = os.pipe()
        self._errors, errors = os.pipe()
        starter = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            _become(program, starter, gate, errors)
        os.close(gate)
        os.close(errors)

    def release(self) -> None:
        """Let it go on; raises CannotStart if the program cannot be executed."""
        os.write(self._gate, b"g")
        os.close(self._gate)
        # The pipe closes by itself when the program is executed.
        problem = os.read(self._errors, 4096)
        os.close(self._errors)
        if problem:
            raise CannotStart(problem.decode(errors="replace"))


def _become(program: Program, starter: int, gate: int, errors: int) -> None:
    """In the child: take on everything the program shall have, wait for the gate, become the program."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter or os.read(gate, 1) != b"g":
            os._exit(127)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        if program.cores:
            os.sched_setaffinity(0, program.cores)
        _prefer_to_kill()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(program.output, 1)
        os.dup2(program.output, 2)
        os.chdir(program.folder)
        os.execvpe(program.argv[0], program.argv, program.variables)  # noqa: S606 - a shell would misread it
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        os.write(errors, f"`{program.argv[0]}` cannot be started: {why}".encode(errors="replace"))
    finally:
        os._exit(127)


def _prefer_to_kill() -> None:
    """When the machine runs out of memory, the kernel shall take the job, not its wrapper or the user's editor."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        return


class Family:
    """Every process a job started, counted from its wrapper downwards; `main` is the program itself."""

    def __init__(self, main: int) -> None:
        self._own = os.getpid()
        self._main = main
        self._strangers: set[int] = set()
        self._members: set[int] = set()
        self.status: int | None = None
        """How the program ended, as `os.waitpid` says it; None while it runs."""

    def members(self) -> set[int]:
        """Return the running descendants. Only pids never seen before are looked at: this is called often."""
        now = set(_pids())
        self._strangers &= now
        self._members &= now
        parents = {pid: found[1] for pid in now - self._strangers - self._members if (found := _stat(pid))}
        grown = True
        while grown:
            related = {p for p, parent in parents.items() if parent == self._own or parent in self._members}
            grown = not related <= self._members
            self._members |= related
        self._strangers |= parents.keys() - self._members
        return self._members

    def memory(self, limit: int | None) -> int:
        """Return the resident bytes of all members; above `limit`, pages they share are counted once."""
        members = self.members()
        resident = sum(_resident(pid) for pid in members)
        if limit is not None and resident > limit:
            return sum(_proportional(pid) for pid in members)
        return resident

    def reap(self) -> bool:
        """Take in every child that ended; return whether any is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._main:
                    self.status = status
        except ChildProcessError:
            return False

    def kill(self, patience: float) -> bool:
        """Kill every member, however it hid; return whether none is left after `patience` seconds."""
        until = time.monotonic() + patience
        while self.reap():
            # Only direct children are killed: their pids cannot be reused before they are reaped, and their own
            # children become ours when they die.
            for pid in _pids():
                found = _stat(pid)
                if found and found[1] == self._own and found[0] != "Z":
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True


def cpu_seconds() -> float:
    """Return the processor time of all children reaped so far, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def largest_child() -> int:
    """Return the peak resident bytes of the largest child reaped so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _stat(pid: int) -> tuple[str, int, int] | None:
    """Return state, parent and start time of a process; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The second field is the program's name in parentheses, and may hold anything.
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[1]), int(fields[19])


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except OSError:
        return _resident(pid)


def _prctl(option: int, value: int) -> None:
    import ctypes  # others read this module for its cards only

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
