"""Performing a job: start it once, whoever asks and however often; wait for it; give what it left."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from specforge.core.steps import RunJob
from specforge.core.values import EMPTY, Frozen, Tree, frozen
from specforge.executors.base import Result, StepContext, StepEvent, Surroundings
from specforge.executors.local import failures
from specforge.executors.local.logs import Follower, tail_of
from specforge.executors.local.pool import Pool
from specforge.executors.local.request import own_python, request_of
from specforge.executors.local.run import RunFolder
from specforge.executors.local.staging import stage
from specforge.executors.payload import procedures_zip
from specforge.executors.toolchains import ensure_toolchain

_POLL = 0.02
_GRACE = 10.0
_WRAPPER = """\
import sys
sys.path.insert(0, sys.argv[1])
from specforge.runtimes.job.wrapper import main
main(sys.argv[2], 3)
"""
_PHASES = {"waiting": "waiting for a free slot", "running": "running", "collecting": "collecting what it left"}


class JobPerformer:
    """Performs one RunJob step at one pool."""

    def __init__(self, pool: Pool, surroundings: Surroundings, step: RunJob, context: StepContext) -> None:
        self._pool = pool
        self._surroundings = surroundings
        self._step = step
        self._context = context
        self._run = RunFolder(pool.run_folder(context.key.id))
        self._wrapper: int | None = None
        self._asked_to_stop = False

    def perform(self) -> Result:
        """Return the job's result, once it ended; raises ExecutionError."""
        need = self._pool.need(self._step.run.limits)
        if need > self._pool.slots:
            raise failures.too_large(self._context.key, need, self._pool.slots)
        try:
            self._run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failures.no_room(self._context.key, f"`{error.filename or self._run.path}`", error) from error
        if gone := self._run.what_is_gone():
            self._run.settle_gone(gone)  # an apply was killed, and somebody removed what it had not published yet
        while (status := self._run.status()) is None:
            if self._goes_on():
                self._wait()
            elif self._run.path.is_dir():
                self._begin()
            else:
                raise failures.removed(self._context.key)
        return self._result(status)

    def _begin(self) -> None:
        """Start the job, or settle what became of it; does nothing if somebody else is at it."""
        with self._run.staging() as lock:
            if not lock.held or self._run.has_wrapper() or self._run.status() is not None:
                return
            if self._run.command() is not None:
                self._run.settle_lost()
                return
            if self._wrapper is not None:
                self._wrapper_failed()
            if self._context.cancel.cancelled:
                raise failures.not_started_cancelled(self._context.key)
            python = self._python()
            self._context.emit(StepEvent("state", "preparing"))
            stage(self._run.path, self._step, self._surroundings, self._context)
            try:
                procedures = str(procedures_zip(self._surroundings.cache))
                request = request_of(self._step, self._pool, self._run.path, python, procedures)
                self._run.write("request.json", json.dumps(request))
                self._wrapper = start_wrapper(self._run.path, lock.descriptor)
            except OSError as error:
                raise failures.no_room(self._context.key, f"`{error.filename or self._run.path}`", error) from error
            lock.handed_over = True

    def _python(self) -> str:
        lock = self._step.run.toolchain
        if lock is None:
            return own_python()
        return str(ensure_toolchain(self._surroundings.cache, lock, self._context))

    def _wait(self) -> None:
        """Wait until the run is no longer running, and report what it does meanwhile."""
        if self._wrapper is None:
            self._context.emit(StepEvent("state", "attached to a running job"))
        follower = Follower(self._run, self._pool.log_limit, self._context, from_start=self._wrapper is not None)
        phase = ""
        while self._run.status() is None and self._goes_on():
            follower.report()
            if (now := self._run.phase()) not in ("", phase):
                phase = now
                self._context.emit(StepEvent("state", _PHASES.get(phase, phase)))
            if self._context.cancel.cancelled:
                self._stop()
                time.sleep(_POLL)
            else:
                self._context.cancel.wait(_POLL)
        follower.finish()
        self._reap()

    def _goes_on(self) -> bool:
        """Return whether somebody prepares or runs it; a program may remove the locks that say so, our child lives."""
        if self._run.is_running():
            return True
        try:
            return self._wrapper is not None and os.waitpid(self._wrapper, os.WNOHANG)[0] == 0
        except ChildProcessError:
            return False

    def _stop(self) -> None:
        if not self._asked_to_stop and self._run.has_wrapper():
            self._asked_to_stop = True
            self._context.emit(StepEvent("state", "stopping"))
            self._run.ask_to_stop(_GRACE)

    def _reap(self) -> None:
        """Take in our own child, if the wrapper is one; after its status is written it ends at once."""
        until = time.monotonic() + 1.0
        while self._wrapper is not None and time.monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self._wrapper, os.WNOHANG)[0] == 0:
                    time.sleep(0.001)
                    continue
            return

    def _wrapper_failed(self) -> None:
        """Our wrapper ended before it started anything: say what it said."""
        if self._asked_to_stop:
            raise failures.not_started_cancelled(self._context.key)
        try:
            said = (self._run.path / "wrapper.err").read_text(errors="replace").strip()
        except FileNotFoundError:
            raise failures.removed(self._context.key) from None
        why = said.splitlines()[-1] if said else "it ended without a word"
        raise failures.not_started(self._context.key, f"the job's wrapper failed: {why}")

    def _result(self, status: dict[str, Any]) -> Result:
        if status["state"] != "succeeded":
            raise failures.ended(self._context.key, status, tail_of(self._run, self._pool.log_limit))
        place, run = self._pool.place, self._run.path.relative_to(self._pool.folder)
        outputs = {
            f"tree.{name}": Tree(place, str(run / each["path"]), each["digest"])
            for name, each in status["outputs"].items()
        }
        facts = EMPTY if status["facts"] is None else frozen(status["facts"])
        return Result(Frozen({**outputs, "facts": facts, "usage": frozen(status["usage"])}))


def start_wrapper(run: Path, staging: int) -> int:
    """Start the wrapper of a staged run in a session of its own; `staging` is handed to it. Returns its pid."""
    import specforge

    base = str(Path(specforge.__file__).parents[1])
    log = str(run / "wrapper.err")
    return os.posix_spawn(
        sys.executable,
        # Bare: neither site-packages nor the user's variables have a say in it.
        [sys.executable, "-I", "-S", "-c", _WRAPPER, base, str(run)],
        {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, staging, 3),
        ],
        setsid=True,
    )
