"""What goes wrong at a local pool, in words: one function per kind of failure, each gives the exception to raise."""

from __future__ import annotations

import errno
from typing import Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError, Lost
from specforge.core.values import Key

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def ended(key: Key, status: dict[str, Any], log: str) -> ExecutionError:
    """Return the error of a run that is over and did not succeed."""
    log_hint = f"`spec logs {key.address}` shows what it printed"
    hint = "; ".join(filter(None, [status.get("hint"), log_hint]))
    detail = f"step `{key.step}` of {key.address}: {status['reason']}"
    if status["state"] == "cancelled":
        return Cancelled(Diagnostic("SF441", "The job was cancelled", detail, address=key.address), ended=True, log=log)
    if status["state"] == "lost":
        hint = "apply again: it is run anew, as a further attempt"
        lost = Diagnostic("SF442", "The job was lost", detail, hint=hint, address=key.address)
        return Lost(lost, ended=True, log=log)
    return ExecutionError(
        Diagnostic("SF440", "The job failed", detail, hint=hint, address=key.address), ended=True, log=log
    )


def removed(key: Key) -> ExecutionError:
    """Return the error of a run whose folder went away while it ran: how it ended is not known."""
    detail = f"step `{key.step}` of {key.address}: the folder of the run was removed while it ran"
    hint = "let the program remove only what lies in its output and temporary folders, then apply again"
    gone = Diagnostic("SF443", "Files of a job cannot be read", detail, hint=hint, address=key.address)
    return ExecutionError(gone, ended=True)


def not_started(key: Key, why: str, hint: str | None = None) -> ExecutionError:
    """Return the error of a run that could not be started; performing it again may succeed."""
    detail = f"step `{key.step}` of {key.address}: {why}"
    return ExecutionError(Diagnostic("SF444", "The job cannot be started", detail, hint=hint, address=key.address))


def not_started_cancelled(key: Key) -> Cancelled:
    """Return what is raised when a stop was asked for before there was anything to stop."""
    detail = f"step `{key.step}` of {key.address} was not started"
    return Cancelled(Diagnostic("SF441", "The job was cancelled", detail, address=key.address))


def no_room(key: Key, what: str, error: OSError) -> ExecutionError:
    """Return the error for a file that cannot be written at the pool."""
    hint = "free some space, or give the pool another `folder`" if error.errno in _FULL else None
    return not_started(key, f"{what} cannot be written: {(error.strerror or str(error)).lower()}", hint)


def changed(key: Key, what: str, path: str | None = None) -> ExecutionError:
    """Return the error for files that are not those that were planned with."""
    which = f" (`{path}`)" if path else ""
    detail = f"{what} of step `{key.step}` of {key.address} has other content than was planned with{which}"
    return ExecutionError(
        Diagnostic("SF448", "The files changed since the plan", detail, hint="plan again", address=key.address)
    )


def too_large(key: Key, need: int, slots: int) -> ExecutionError:
    """Return the error for a job that asks for more than the whole pool has."""
    detail = f"step `{key.step}` of {key.address} asks for the share of {need} slots, the pool has {slots}"
    hint = "lower the job's `resources`, or give the pool more `cpu` or `memory`"
    return ExecutionError(
        Diagnostic("SF445", "The job is too large for the pool", detail, hint=hint, address=key.address)
    )
