"""What can be wrong with a state, as errors with cause and hint (SF3xx)."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import StateError, StateLocked
from specforge.core.state import FORMAT, LockInfo, State, StateRef

_PERHAPS_FULL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_READ_ONLY = {sqlite3.SQLITE_READONLY: "it is read-only"}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH}


def from_the_future(location: str, form: object) -> StateError:
    """The state was written in a newer format."""
    detail = f"`{location}` has format {form}; this release reads up to format {FORMAT}"
    return StateError(Diagnostic("SF301", "State of a newer release", detail, hint="upgrade specforge"))


def ensure_project(state: State, project: str, environment: str, location: str) -> None:
    """Raise StateError if something is recorded there for another project or environment."""
    if state.ref.lineage is None or (state.project, state.environment) == (project, environment):
        return
    detail = (
        f"`{location}` belongs to project `{state.project}`, environment `{state.environment}`; "
        f"this is project `{project}`, environment `{environment}`"
    )
    hint = "give this project its own `state:` in specforge.yaml, or put the old name back"
    raise StateError(Diagnostic("SF302", "State of another project", detail, hint=hint))


def damaged(location: str, cause: object) -> StateError:
    """What lies there is not a state any more, or never was one."""
    hint = (
        f"move `{location}` and `{location}-wal`, if there is one, away and apply again: "
        "everything published is found again in the store by its identity, nothing is trained again"
    )
    return StateError(Diagnostic("SF303", "Damaged state", f"`{location}` cannot be understood: {cause}", hint=hint))


def unwritable(location: str, cause: object) -> StateError:
    """Nothing can be written there now."""
    hint = (
        "make room, or make the file and its folder writable, then run the command again: what was recorded is intact"
    )
    return StateError(Diagnostic("SF304", "State cannot be written", f"`{location}`: {cause}", hint=hint))


def unreadable(location: str, cause: object) -> StateError:
    """Something lies there, but it cannot be read."""
    hint = "check who may read the file and its folder"
    return StateError(Diagnostic("SF305", "State cannot be read", f"`{location}`: {cause}", hint=hint))


def locked(location: str, holder: LockInfo | None) -> StateLocked:
    """Somebody else holds the lock."""
    hint = "wait for it to end, or give `--lock-timeout SECONDS`"
    who = f"the lock of `{location}` is held by another process"
    if holder is not None:
        since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        who = f"{holder.who} has held the lock since {since} (pid {holder.pid}, host {holder.host}): {holder.command}"
    return StateLocked(Diagnostic("SF306", "State is locked", who, hint=hint))


def moved_on(location: str, base: StateRef, now: StateRef) -> StateError:
    """The state is no longer the one that a change was made for."""
    if base.lineage != now.lineage:
        detail = f"`{location}` now has lineage {now.lineage or '(none)'}, not {base.lineage or '(none)'}"
    else:
        detail = f"`{location}` is at serial {now.serial}, no longer at {base.serial}"
    return StateError(Diagnostic("SF307", "State has moved on", detail, hint="plan again"))


def of_sqlite(location: str, error: sqlite3.Error, *, writing: bool, room: bool = True) -> StateError:
    """Say what an error of SQLite means to the user. `room`: whether the disk has any left."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE:
        return damaged(location, "it is not whole" if "no such table" in str(error) else error)
    if not writing:
        return unreadable(location, error)
    full = code == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and not room)
    return unwritable(location, "there is no space left" if full else _READ_ONLY.get(code, error))


def words(error: OSError) -> str:
    """Return what the system says, in lower case and without the number."""
    return (error.strerror or str(error)).lower()
