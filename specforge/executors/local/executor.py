"""The executor of driver `local`: jobs as processes of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.queries import (
    LookAtJob,
    LookAtPlace,
    LookAtReplicas,
    LookAtRoutes,
    Presence,
    Query,
    Seen,
    unreachable,
)
from specforge.core.steps import Copy, EnsurePlace, EnsureReplicas, EnsureToolchain, RunJob, SetRoutes, Step
from specforge.core.values import EMPTY, Frozen, Place, Tree
from specforge.executors.base import LogLine, Result, StepContext, Surroundings
from specforge.executors.local import places
from specforge.executors.local.pool import Pool, pool_of
from specforge.executors.local.run import DISCARDED, RunFolder, gone_words
from specforge.formats.tree import Entry
from specforge.runtimes.job.folders import remove

_POLL = 0.02
_PATIENCE = 10.0
_HEAVY = ("in", "work", "work.first", "tmp", "home", "out")


class LocalExecutor:
    """Performs steps and answers queries at local pools; reads the trees that jobs left there."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def observe(self, place: Place, queries: Sequence[Query], deadline: float | None) -> Mapping[Query, Seen]:
        """Answer a batch, without any effect; never raises for one query."""
        until = None if deadline is None else time.monotonic() + deadline
        pool = self._pool(place)
        answers: dict[Query, Seen] = {}
        groups = [query for query in queries if isinstance(query, LookAtReplicas)]
        for query in queries:
            if isinstance(query, LookAtReplicas):
                continue
            if until is not None and time.monotonic() > until:
                answers[query] = unreachable("there was no time left to ask")
                continue
            try:
                answers[query] = self._answer(pool, query)
            except (OSError, ValueError) as error:
                answers[query] = unreachable(str(error))
        if groups:  # all at once, and last: a supervisor that hangs uses up the time
            from specforge.executors.replicas.look import look

            answers.update(look(pool, groups, None if until is None else until - time.monotonic()))
        return answers

    def preflight(self, place: Place, steps: Sequence[Step], deadline: float | None) -> Sequence[Diagnostic]:
        """Say what would keep these steps from succeeding, before anything runs."""
        from specforge.executors.local.checks import preflight

        del deadline  # everything asked here is on this machine
        return preflight(self._pool(place), steps, self._surroundings.cache)

    def perform(self, step: Step, context: StepContext) -> Result:
        """Make it so; see the protocol. Raises ExecutionError for a step that no pool performs."""
        # What performs is loaded when it is needed: a plan that changes nothing only looks.
        match step:
            case RunJob():
                from specforge.executors.local.jobs import JobPerformer

                return JobPerformer(self._pool(step.place), self._surroundings, step, context).perform()
            case EnsureReplicas():
                from specforge.executors.replicas.ensure import GroupPerformer
                from specforge.executors.secrets import with_secrets

                run = None if step.run is None else with_secrets(step.run, self._surroundings.root)
                whole = replace(step, run=run)
                return GroupPerformer(self._pool(step.place), self._surroundings, whole, context).perform()
            case EnsurePlace():
                places.ensure(self._pool(step.place), step.wanted, context)
                return Result()
            case EnsureToolchain():
                from specforge.executors.toolchains import ensure_toolchain

                ensure_toolchain(self._surroundings.cache, step.lock, context)
                return Result()
            case Copy():
                from specforge.executors.local import copies

                tree = copies.copy(self._pool(step.place), step, self._surroundings, context)
                return Result(Frozen({"tree": tree}))
            case SetRoutes():
                from specforge.executors.gateway.routes import set_routes

                return set_routes(self._pool(step.place), step, context)
        detail = f"a local pool cannot perform `{type(step).__name__}`"
        raise ExecutionError(Diagnostic("SF409", "The place cannot do this", detail))

    def cancel(self, place: Place, key: str, grace: float) -> None:
        """Stop the job with this run key and wait until it has stopped. Silent if it is not running."""
        run = RunFolder(self._pool(place).run_folder(key))
        until = time.monotonic() + grace + _PATIENCE
        asked = False
        while run.path.is_dir() and run.status() is None and time.monotonic() < until:
            if run.is_running():
                if not asked and run.has_wrapper():
                    run.ask_to_stop(grace)
                    asked = True
            elif run.command() is None:
                return
            else:
                with run.staging() as lock:
                    if lock.held and not run.has_wrapper() and run.status() is None:
                        run.settle_lost()
            time.sleep(_POLL)

    def logs(self, place: Place, key: str, since: float | None, follow: bool) -> Iterator[LogLine]:
        """Give the lines of the job's output, or of a group's; raises ExecutionError if the pool knows no such job."""
        from specforge.executors.local.logs import lines_of

        pool = self._pool(place)
        run = RunFolder(pool.run_folder(key))
        if not run.path.is_dir():
            from specforge.executors.replicas import logs

            if logs.has_logs(pool, key):
                return logs.lines_of(pool, key, since, follow)
            detail = f"the pool `{place.id}` has no run `{key}`"
            raise ExecutionError(Diagnostic("SF447", "No such job", detail, hint="its logs may have been removed"))
        return lines_of(run, pool.log_limit, since, follow)

    def discard(self, place: Place, key: str) -> None:
        """Remove what a run left, except its log and its status. Does nothing while it runs."""
        run = RunFolder(self._pool(place).run_folder(key))
        if run.status() is not None:
            run.write(DISCARDED, "")  # first: what is gone from here on is not missed
            for name in _HEAVY:
                remove(str(run.path / name))

    # ---- trees ----

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List a tree at a pool, sorted by path; raises ExecutionError if it is not there."""
        from specforge.formats import folder
        from specforge.formats import tree as trees

        root = self._root(tree)
        if isinstance(tree.digest, str):
            known = self._pool(tree.place).listing(tree)
            if known is not None:
                return trees.parse(known.read_bytes())
        try:
            return folder.entries(root)
        except (OSError, folder.UnfitFolderError) as error:
            raise _unreadable(tree, str(error)) from error

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open one of its files for reading."""
        from specforge.formats import folder

        try:
            return open(folder.locate(str(self._root(tree)), entry.path), "rb")
        except OSError as error:
            raise _unreadable(tree, f"`{entry.path}`: {(error.strerror or str(error)).lower()}") from error

    def local_folder(self, tree: Tree) -> Path | None:
        """Return the folder of a tree that a job left, if it holds nothing but the tree."""
        parts = Path(tree.path or ".").parts
        if len(parts) < 3 or parts[0] != "runs":
            return None
        request = RunFolder(self._pool(tree.place).runs / parts[1]).request() or {"outputs": ()}
        inside = Path(*parts[2:])
        left_out = (each["exclude"] for each in request["outputs"] if Path("out", each["path"]) == inside)
        return None if any(left_out) else self._root(tree)

    # ---- inside ----

    def _pool(self, place: Place) -> Pool:
        return pool_of(place, self._surroundings.root)

    def _root(self, tree: Tree) -> Path:
        if tree.path is None:
            raise _unreadable(tree, "a pool has no published trees")
        return self._pool(tree.place).folder / tree.path

    def _answer(self, pool: Pool, query: Query) -> Seen:
        if isinstance(query, LookAtJob):
            return _look_at_job(RunFolder(pool.run_folder(query.key)))
        if isinstance(query, LookAtPlace):
            return places.look(pool)
        if isinstance(query, LookAtRoutes):
            from specforge.executors.gateway.looking import look_at_routes

            return look_at_routes(pool, query.route)
        return unreachable(f"a local pool cannot answer `{type(query).__name__}`")


def _look_at_job(run: RunFolder) -> Seen:
    try:
        os.stat(run.path)
    except FileNotFoundError:
        return Seen(Presence.ABSENT)
    status = run.status()
    if status is None and run.is_running():
        command = run.command() or {}
        facts = {"state": "running", "phase": run.phase() or "preparing", "started": command.get("began")}
        return Seen(Presence.PRESENT, facts=Frozen({**facts, "exit": None, "reason": ""}), since=command.get("began"))
    ended = status or run.status()  # it may have ended between the two looks
    if ended is None:
        started = run.command()
        if started is None:
            return Seen(Presence.ABSENT)
        ended = {"started": started.get("began"), "exit": None, "reason": "the job was lost"}
    facts = {"state": "ended", "started": ended["started"], "exit": ended["exit"], "reason": ended["reason"]}
    if gone := run.what_is_gone():
        facts |= {"exit": None, "reason": f"the job was lost: {gone_words(gone)}"}
    return Seen(Presence.PRESENT, facts=Frozen(facts), since=ended["started"])


def _unreadable(tree: Tree, why: str) -> ExecutionError:
    where = EMPTY if tree.path is None else tree.path
    detail = f"the files at `{where}` of {tree.place} cannot be read: {why}"
    return ExecutionError(Diagnostic("SF443", "Files of a job cannot be read", detail))
