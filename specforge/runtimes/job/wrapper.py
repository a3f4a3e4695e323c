"""The wrapper of one job: a small process that owns it from its start to its exit status, whoever asked for it.

Run folder: `request.json` what to do; `lock` held by the wrapper while it lives: the truth about "running";
`wrapper.json`, `command.json` who they are; `phase` one word; `cancel` asks it to stop; `log/log.txt`, `log.parts`;
`in`, `work`, `tmp`, `home`, `out` the program's folders; `trees/DIGEST` listings of what it left; `status.json`,
written last: how it ended. Only the standard library is imported, and little of it, because every job waits for this.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

from specforge.runtimes.job.folders import clean, remove
from specforge.runtimes.job.log import LogWriter, reserve
from specforge.runtimes.job.process import (
    CannotStart,
    Command,
    Program,
    adopt_orphans,
    card,
    cpu_seconds,
    largest_child,
)
from specforge.runtimes.job.slots import Slots, cores_for, open_lock
from specforge.runtimes.job.watch import Bell, Ending, Interrupted, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FORMAT = 1
_RESERVE = 1 << 16
_PIPE = 1 << 20


def main(run: str, staging: int) -> None:
    """Be the wrapper of the run in this folder; `staging` is the starter's lock, let go once ours is held."""
    os.umask(0o022)
    # Everything is done relative to the run's folder, so that a project that is moved keeps its running jobs.
    os.chdir(run)
    _close_inherited(staging)
    bell = Bell()
    # Those who look at the lock hold it for a moment: wait for them.
    fcntl.flock(open_lock("lock"), fcntl.LOCK_EX)
    _write_json("wrapper.json", card(os.getpid()))
    # Unlocking, not only closing: another process may have got a copy of the descriptor by a fork.
    fcntl.flock(staging, fcntl.LOCK_UN)
    os.close(staging)
    with open("request.json", encoding="utf-8") as file:
        request = json.load(file)
    Wrapper(request, bell).run()


class Wrapper:
    """Runs what the request says, and writes how it ended."""

    def __init__(self, request: dict[str, Any], bell: Bell) -> None:
        self._request = request
        self._bell = bell
        self._log = LogWriter(".", request["log_limit"])
        self._started = time.time()
        self._peak = 0
        self._left: dict[str, Any] = {"outputs": {}, "facts": None}
        self._hint = ""
        adopt_orphans()
        # Room for the status, so that a job that fills the disk can still say so.
        reserve("reserve", _RESERVE)

    def run(self) -> None:
        """Wait for slots, run the program, collect what it left, write the status."""
        ending = self._safely(self._attempts, Ending("failed"))
        ended = time.time()
        if ending.state != "succeeded":
            trouble = self._trouble()
            self._log.say(f"the job ended: {ending.reason}{trouble}")
            words, self._hint = _its_words(ending)
            ending.reason = words + trouble
        self._log.close()
        if ending.state == "succeeded":
            ending = self._safely(self._collect, ending)
        self._finish(ending, ended)

    def _safely(self, work: Callable[[], Ending], otherwise: Ending) -> Ending:
        """Do the work; whatever goes wrong in it, somebody waits for a status."""
        try:
            return work()
        except OSError as error:
            words = f"{error.strerror or error}{self._trouble()}"
            return Ending("failed", f"it could not be run to its end: {words}", otherwise.code)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the job without an end
            sys.excepthook(type(error), error, error.__traceback__)
            return Ending("failed", f"the job's wrapper failed: {error!r}", otherwise.code)

    def _attempts(self) -> Ending:
        if self._bell.grace() is not None:
            return Ending("cancelled", "cancelled before it started")
        try:
            cores = self._take_slots()
        except Interrupted:
            return Ending("cancelled", "cancelled while it waited for a free slot")
        self._started = time.time()
        tries = 1 + int(self._request["retry"])
        if tries > 1:
            self._keep_clean_copy()
        for number in range(1, tries + 1):
            ending = self._once(cores)
            if ending.state != "failed" or number == tries:
                return ending
            self._log.say(f"try {number} of {tries} failed: {ending.reason}")
            self._restore()
        raise AssertionError("a job has at least one try")

    def _take_slots(self) -> list[int]:
        request = self._request
        slots = Slots(os.path.join("..", ".."), request["slots"])

        def waiting() -> None:
            self._phase("waiting")

        self._bell.raising(True)
        try:
            if self._bell.grace() is not None:
                raise Interrupted
            held = slots.take(request["need"], waiting, time.sleep)
        finally:
            self._bell.raising(False)
        return cores_for(held, request["slots"], request["cpu"], request["cpu_share"])

    def _once(self, cores: list[int]) -> Ending:
        """Run the program once."""
        request = self._request
        output, write = os.pipe()
        os.set_blocking(output, False)
        _widen(write)
        program = Program(request["argv"], request["variables"], "work", write, cores)
        command = Command(program)
        os.close(write)
        # From here on a lost wrapper means a lost job: the program may have had effects.
        _write_json("command.json", {**card(command.pid), "began": time.time()})
        self._phase("running")
        watch = Watch(command, output, self._log, self._bell, memory=request["memory"], timeout=request["timeout"])
        try:
            command.release()
        except CannotStart as error:
            watch.until_it_ends()
            return Ending("failed", str(error))
        if request["outputs"]:
            # While the program runs there is time to load what the collecting needs.
            import specforge.runtimes.job.collect  # noqa: F401
        try:
            ending = watch.until_it_ends()
        finally:
            self._peak = max(self._peak, watch.peak, largest_child())
            os.close(output)
        return ending

    def _collect(self) -> Ending:
        if self._request["outputs"] or self._request["facts"]:
            from specforge.runtimes.job.collect import Incomplete, collect

            self._phase("collecting")
            try:
                self._left = collect(".", self._request)
            except Incomplete as error:
                return Ending("failed", str(error), 0)
        return Ending("succeeded", "", 0)

    def _trouble(self) -> str:
        """Say what may have been the matter, in addition to the exit code."""
        disk = os.statvfs(".")
        if disk.f_bavail * disk.f_frsize < _RESERVE:
            return " (the disk of the pool is full)"
        if self._log.lost:
            return f" ({self._log.lost:,} bytes of its log could not be written: {self._log.problem})"
        return ""

    def _finish(self, ending: Ending, ended: float) -> None:
        clean(".", succeeded=ending.state == "succeeded")
        status = {
            "format": FORMAT,
            "state": ending.state,
            "reason": ending.reason,
            "hint": self._hint,
            "exit": ending.code,
            "signal": ending.number,
            "started": self._started,
            "ended": ended,
            "usage": {
                "seconds": round(ended - self._started, 3),
                "cpu_seconds": round(cpu_seconds(), 3),
                "memory_peak": self._peak,
            },
            **self._left,
        }
        _unlink("reserve")
        _write_json("status.json", status)

    def _phase(self, word: str) -> None:
        try:
            _write("phase", word.encode())
        except OSError as error:
            self._log.problem = error.strerror or str(error)

    def _keep_clean_copy(self) -> None:
        import shutil

        shutil.copytree("work", "work.first", symlinks=True)

    def _restore(self) -> None:
        """Make the folders of the program as they were before its first try."""
        import shutil

        for name in ("work", "out", "tmp", "home"):
            remove(name)
            if name != "work":
                os.mkdir(name)
        shutil.copytree("work.first", "work", symlinks=True)


def _its_words(ending: Ending) -> tuple[str, str]:
    """Return the reason of a failure and a hint: what the program itself says in a file `failure` in its output
    folder, whose last line may begin with `hint: `; else our words and nothing.
    """
    words = ""
    if ending.code and ending.state == "failed":
        try:
            with open(os.path.join("out", "failure"), "rb") as file:
                words = file.read(2000).decode(errors="replace").strip()
        except OSError:
            return ending.reason, ""
    reason, mark, hint = words.rpartition("\nhint: ")
    return (reason if mark else words) or ending.reason, hint if mark else ""


def _close_inherited(last: int) -> None:
    """Close what the starter left open beyond `last`: a job that runs on must not keep anything of it."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > last:
            try:
                os.close(int(name))
            except OSError:
                continue  # it was the listing itself


def _widen(pipe: int) -> None:
    """Give the program room to write on while its wrapper looks elsewhere."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except OSError:
        return  # the system allows smaller pipes only: it works as well, a little slower


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return  # the program was at it


def _write_json(name: str, value: object) -> None:
    _write(name, json.dumps(value).encode())


def _write(path: str, data: bytes) -> None:
    """Write the whole file or nothing of it."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)
