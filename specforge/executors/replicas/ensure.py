"""Making a group of replicas be as a step wants it: started, ready, surplus ones ended in good order."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from specforge.core.digest import digest_of
from specforge.core.errors import ExecutionError
from specforge.core.steps import EnsureReplicas
from specforge.core.values import Frozen, Run, frozen
from specforge.executors.base import Result, StepContext, StepEvent, Surroundings
from specforge.executors.files import write_whole
from specforge.executors.local import failures as pool_failures
from specforge.executors.local.pool import Pool
from specforge.executors.local.request import own_python, put_in, variables
from specforge.executors.local.staging import show
from specforge.executors.payload import procedures_zip
from specforge.executors.replicas import failures, programs
from specforge.executors.replicas.group import Group
from specforge.executors.replicas.probe import Probe, ask
from specforge.executors.replicas.programs import Kept, Program, program_id
from specforge.executors.replicas.supervisord import NoAnswer, Refused, is_installed
from specforge.executors.toolchains import ensure_toolchain
from specforge.runtimes.job.folders import remove

_POLL = 0.02
_LOOK_SECONDS = 0.1
_PROBE_SECONDS = 1.0
_BUSY_SECONDS = 5.0
_MOST_ENDS = 2
_STALE_GRACE = 5.0
_OWN_FOLDERS = {"HOME": "home", "TMPDIR": "tmp"}


class GroupPerformer:
    """Performs one EnsureReplicas step at one pool."""

    def __init__(self, pool: Pool, surroundings: Surroundings, step: EnsureReplicas, context: StepContext) -> None:
        self._pool = pool
        self._surroundings = surroundings
        self._step = step
        self._context = context
        self._group = Group(pool, step.group)
        self._files_gone = False

    def perform(self) -> Result:
        """Make it so and return the replicas; raises ExecutionError, Cancelled if asked to stop."""
        key = self._context.key
        try:
            with self._group.fence(self._context):
                if self._step.run is None or self._step.count == 0:
                    self._take_away()
                    return Result(Frozen(replicas=()))
                if not is_installed():
                    raise ExecutionError(failures.not_installed(key))
                return Result(Frozen(replicas=frozen(self._have(self._step.run))))
        except (NoAnswer, Refused) as error:
            if self._context.cancel.cancelled:
                raise failures.cancelled(key) from error
            raise failures.no_answer(key, str(error)) from error
        except OSError as error:
            raise pool_failures.no_room(key, f"`{error.filename or self._group.folder}`", error) from error

    # ---- having them ----

    def _have(self, run: Run) -> list[dict[str, Any]]:
        step, group = self._step, self._group
        if self._context.cancel.cancelled:
            raise failures.cancelled(self._context.key)
        python = own_python()
        if run.toolchain is not None:
            python = str(ensure_toolchain(self._surroundings.cache, run.toolchain, self._context))
        self._stage()
        self._files_gone = group.request() is None
        ready = {"path": step.ready.path, "within": step.ready.within}
        group.write_request({"format": 1, "group": step.group, "count": step.count, "ready": ready})
        wanted = [self._program(run, number, python) for number in range(1, step.count + 1)]
        self._wait(self._begin(wanted))
        self._end_surplus()
        kept = self._look()
        shown = [_shown(number, kept.get(program_id(group.program(number)))) for number in range(1, step.count + 1)]
        group.write_once_ready({str(each["number"]): each["pid"] for each in shown})
        return shown

    def _stage(self) -> None:
        """Have the inputs in the group's folder; those that are there stay, because replicas may be reading them."""
        folder, inputs = self._group.folder, self._step.inputs
        folder.mkdir(parents=True, exist_ok=True)
        wanted = digest_of([[each.name, str(each.tree.digest), list(each.usages or ())] for each in inputs])
        marker = folder / "in.json"
        there = all((folder / "in" / each.name).is_dir() for each in inputs)
        if there and marker.exists() and json.loads(marker.read_bytes()) == wanted:
            return
        made = folder / "in.new"
        remove(str(made))
        made.mkdir()
        for each in inputs:
            # Copied, never linked: what a job left may be dropped while replicas still serve it.
            show(made / each.name, each, self._surroundings, self._context, linked=False)
        remove(str(folder / "in"))
        made.rename(folder / "in")
        write_whole(marker, json.dumps(wanted).encode())

    def _program(self, run: Run, number: int, python: str) -> Program:
        group, pool = self._group, self._pool
        words = {
            "@python": python,
            "@procedures": str(procedures_zip(self._surroundings.cache)),
            "@socket": group.socket(number),
        }
        given = variables(run, pool, group.folder, python)
        own = {name: f"{folder}/{number}" for name, folder in _OWN_FOLDERS.items() if name not in run.variables}
        return Program(
            name=group.program(number),
            # Relative to the group's folder, so that they hold when the project is moved.
            argv=tuple(put_in(word, Path(), words) for word in run.argv),
            folder=group.folder,
            variables={name: value for name, value in given.items() if name not in own},
            log=group.log(number),
            log_limit=pool.log_limit,
            owned=own,
            stale=(group.socket(number),),
            cores=_cores(pool),
        )

    def _begin(self, wanted: list[Program]) -> dict[int, int]:
        """Have the programs kept up; return {number: how often it had ended} of those that are not ready."""
        kept = self._look()
        numbers = range(1, len(wanted) + 1)
        ready = self._ready([number for number in numbers if self._lives(kept, number)])
        stale = [number for number in numbers if number not in ready and self._is_stale(kept, number)]
        # They may be busy only.
        ready |= self._ready([number for number in stale if self._lives(kept, number)], _BUSY_SECONDS)
        stale = [number for number in stale if number not in ready]
        if stale:
            self._say("restarting replicas that do not answer")
            names = [wanted[number - 1].name for number in stale]
            grace = min(self._step.drain, _STALE_GRACE)
            programs.stop_programs(self._pool, names, grace, self._context.cancel)
            kept = self._look()
        before = {number: self._exits(kept, number) for number in numbers if number not in ready}
        missing = [wanted[number - 1] for number in before]
        if missing:
            programs.ensure_programs(self._pool, missing, self._context.cancel)
        return before

    def _is_stale(self, kept: dict[str, Kept], number: int) -> bool:
        """Return whether a replica that is not ready will not get so by waiting."""
        found = kept.get(program_id(self._group.program(number)))
        if found is None:
            return False
        young = found.started is not None and found.started > time.time() - self._step.ready.within
        was_ready = found.pid is not None and self._group.once_ready().get(str(number)) == found.pid
        return found.state != "running" or found.restless or was_ready or not young or self._files_gone

    def _wait(self, before: dict[int, int]) -> None:
        """Wait until those are ready; raises ExecutionError if they will not be."""
        step, pending = self._step, set(before)
        until = time.monotonic() + step.ready.within
        looked, shown = 0.0, -1
        while pending:
            pending -= self._ready(sorted(pending))
            done = step.count - len(pending)
            if done != shown:
                self._say(f"{done} of {step.count} ready")
                shown = done
            now = time.monotonic()
            if pending and now - looked > _LOOK_SECONDS:
                looked = now
                self._check(pending, before)
            if pending and now > until:
                raise self._late(pending)
            if pending and self._context.cancel.wait(_POLL):
                raise failures.cancelled(self._context.key)

    def _check(self, pending: set[int], before: dict[int, int]) -> None:
        """Raise ExecutionError if one of these ends again and again, or cannot be started at all."""
        kept = programs.look_at_programs(self._pool)
        if kept is None:
            raise NoAnswer("supervisor was ended while replicas were started")
        for number in sorted(pending):
            ends = self._exits(kept, number) - before[number]
            how = programs.last_ending(self._pool, self._group.program(number)) if ends > 0 else ""
            if ends >= _MOST_ENDS or how == "exit status 127":
                times = "twice" if ends == _MOST_ENDS else f"{ends} times" if ends > _MOST_ENDS else "at once"
                raise self._not_ready(f"replica {number} of {self._step.count} ended {times}: {_words(how)}", number)

    def _late(self, pending: set[int]) -> ExecutionError:
        step, number = self._step, min(pending)
        probe = self._probe(number)
        why = ask([probe], _PROBE_SECONDS)[probe] or "it was not ready in time"
        within = f"within {step.ready.within:g} s"
        detail = f"{step.count - len(pending)} of {step.count} were ready {within}; replica {number}: {why}"
        return self._not_ready(detail, number)

    def _not_ready(self, why: str, number: int) -> ExecutionError:
        return failures.not_ready(self._context.key, why, programs.log_tail(self._group.log(number)))

    # ---- ending them ----

    def _end_surplus(self) -> None:
        surplus = [number for number in self._group.numbers() if number > self._step.count]
        if surplus:
            from specforge.executors.gateway.routes import take_out

            take_out(self._pool, self._step.group, surplus, self._context)
            self._stop(surplus)

    def _take_away(self) -> None:
        self._stop(self._group.numbers())
        self._group.clear()

    def _stop(self, numbers: list[int]) -> None:
        names = [self._group.program(number) for number in numbers]

        def waiting(left: int) -> None:
            self._say(f"waiting for {left} replica{'s' if left > 1 else ''} to answer the last requests")

        programs.stop_programs(self._pool, names, self._step.drain, self._context.cancel, waiting)
        for number in numbers:
            (self._group.folder / self._group.socket(number)).unlink(missing_ok=True)
            for folder in _OWN_FOLDERS.values():
                remove(str(self._group.folder / folder / str(number)))

    # ---- looking ----

    def _look(self) -> dict[str, Kept]:
        return programs.look_at_programs(self._pool) or {}

    def _lives(self, kept: dict[str, Kept], number: int) -> bool:
        found = kept.get(program_id(self._group.program(number)))
        return found is not None and found.state == "running"

    def _exits(self, kept: dict[str, Kept], number: int) -> int:
        found = kept.get(program_id(self._group.program(number)))
        return 0 if found is None else found.exits

    def _probe(self, number: int) -> Probe:
        return Probe(self._group.folder, self._group.socket(number), self._step.ready.path)

    def _ready(self, numbers: list[int], patience: float = _PROBE_SECONDS) -> set[int]:
        probes = {self._probe(number): number for number in numbers}
        return {probes[probe] for probe, why in ask(probes, patience).items() if not why}

    def _say(self, text: str) -> None:
        self._context.emit(StepEvent("state", text))


def _cores(pool: Pool) -> tuple[int, ...]:
    """Return the processors of the pool; none: all of the machine. Replicas share them, they hold no slots."""
    known = sorted(os.sched_getaffinity(0))
    usable = max(1, math.ceil(pool.cpu))
    return () if usable >= len(known) else tuple(known[:usable])


def _shown(number: int, kept: Kept | None) -> dict[str, Any]:
    pid, started = (None, None) if kept is None else (kept.pid, kept.started)
    return {"number": number, "pid": pid, "started": started}


def _words(how: str) -> str:
    """Return how a replica ended: supervisor's words, and what they mean."""
    code = how.removeprefix("exit status ")
    if code != how:
        return "it cannot be started" if code == "127" else f"it ended with exit code {code}"
    return f"it was {how}" if how else "its log says more"
