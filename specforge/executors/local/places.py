"""The pool itself: made, looked at, taken away with what we made in it."""

from __future__ import annotations

import os
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.queries import Presence, Seen
from specforge.core.values import Frozen
from specforge.executors.base import StepContext, StepEvent
from specforge.executors.local import failures
from specforge.executors.local.pool import Pool
from specforge.executors.local.run import RunFolder
from specforge.runtimes.job.folders import remove

_OURS = ("runs", "slots", "copies", "listings", "users", "groups", "supervisor")


def look(pool: Pool) -> Seen:
    """Return whether the pool's folder is there, and how busy the pool is."""
    try:
        disk = os.statvfs(pool.folder)
        os.listdir(pool.folder)  # raises where it is no folder, or may not be read
    except FileNotFoundError:
        return Seen(Presence.ABSENT)
    facts = {
        "slots": pool.slots,
        "busy": pool.busy(),
        "cpu": pool.cpu,
        "memory": pool.memory,
        "free": disk.f_bavail * disk.f_frsize,
    }
    return Seen(Presence.PRESENT, facts=Frozen(facts))


def ensure(pool: Pool, wanted: Frozen | None, context: StepContext) -> None:
    """Make the pool's folder; `wanted` None: remove what we made in it, once nobody uses it any more.

    Environments and clones may share a pool: each state's lineage leaves its mark in `users`. Raises ExecutionError
    while jobs run.
    """
    users = pool.folder / "users"
    try:
        if wanted is not None:
            for name in ("runs", "slots", "users"):
                (pool.folder / name).mkdir(parents=True, exist_ok=True)
            (users / context.key.lineage).touch()
            return
        (users / context.key.lineage).unlink(missing_ok=True)
        if users.is_dir() and os.listdir(users):
            context.emit(StepEvent("state", "the pool stays: another environment uses it"))
            return
        running = [run.name for run in _runs(pool) if run.is_running()]
        if running:
            raise _busy(pool, f"{len(running)} jobs run", running, "wait for them, or cancel them", context)
        from specforge.executors.replicas.programs import look_at_programs

        kept = look_at_programs(pool) or {}
        if kept:
            words = f"{len(kept)} replicas and gateways are kept up"
            raise _busy(pool, words, sorted(kept), "delete the services there first", context)
        for name in _OURS:
            remove(str(pool.folder / name))
        for lock in pool.folder.glob("copies-*.lock"):
            lock.unlink()
        if pool.folder.is_dir() and not os.listdir(pool.folder):
            pool.folder.rmdir()
    except OSError as error:
        raise failures.no_room(context.key, f"`{error.filename or pool.folder}`", error) from error


def _runs(pool: Pool) -> list[RunFolder]:
    try:
        names = sorted(os.listdir(pool.runs))
    except FileNotFoundError:
        return []
    return [RunFolder(Path(pool.runs, name)) for name in names]


def _busy(pool: Pool, what: str, names: list[str], how: str, context: StepContext) -> ExecutionError:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    detail = f"{what} in the pool `{pool.place.id}`: {shown}"
    hint = f"{how}, and apply again"
    return ExecutionError(Diagnostic("SF446", "The pool is in use", detail, hint=hint, address=context.key.address))
