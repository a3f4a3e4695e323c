"""The default state backend: one SQLite file, write-ahead log, every commit on disk before it returns.

Readers never create a file: while nobody writes (no `-wal` file) the database is opened as immutable, else read-only
beside the writer. The file is made whole elsewhere and then renamed, so that a file that is empty is a damaged one.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from specforge.core.address import Address
from specforge.core.errors import StateError
from specforge.core.state import (
    FORMAT,
    DropResource,
    EndRun,
    HistoryEntry,
    LockInfo,
    PutResource,
    State,
    StateChange,
    StateRef,
)
from specforge.state import problems
from specforge.state.lock import FileLock
from specforge.state.records import (
    collector_off,
    decode_detail,
    decode_resources,
    dump,
    encode_resource,
    journal_line,
)

T = TypeVar("T")

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE resources (address TEXT PRIMARY KEY, format INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE attempts (identity TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE journal (number INTEGER PRIMARY KEY, serial INTEGER NOT NULL, at REAL NOT NULL,
        operation TEXT NOT NULL, address TEXT, event TEXT NOT NULL, detail TEXT NOT NULL)""",
)
_ADD_LINE = "INSERT INTO journal (serial, at, operation, address, event, detail) VALUES (?, ?, ?, ?, ?, ?)"
_LINES = (
    "SELECT serial, at, operation, address, event, detail FROM journal WHERE ?1 IS NULL OR address = ?1 ORDER BY number"
)
_COUNT_RUN = "INSERT INTO attempts VALUES (?, 1) ON CONFLICT (identity) DO UPDATE SET ended = ended + 1"
_READ_TRIES = 20
_PAUSE = 0.005
_ROOM = 1 << 17
_NOT_A_RECORD = (ValueError, LookupError, TypeError, AttributeError)


class _Print(NamedTuple):
    """What changes when somebody writes: the file's inode, size and time; `log`: whether there is a `-wal` file."""

    inode: int
    size: int
    mtime: int
    log: bool


class SqliteBackend:
    """The state in the SQLite file `path`; nothing is created before the first lock.

    `location` is what messages call it, as the user wrote it.
    """

    def __init__(self, path: Path, location: str | None = None) -> None:
        self._path = path
        self._location = location or str(path)
        self._lock = FileLock(path.with_name(path.name + ".lock"), self._location)
        self._guard = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._held = False

    @property
    def location(self) -> str:
        """What the file is called in messages."""
        return self._location

    # ---- reading ----

    def read(self) -> State:
        """Return one consistent state; an empty one if there is no file. Raises StateError."""
        with collector_off():
            return self._reading(self._read_state) or State()

    def history(self, address: Address | None = None) -> Iterator[HistoryEntry]:
        """Give the journal, oldest first; of one resource if an address is given. Raises StateError."""
        return iter(self._reading(lambda connection: _read_journal(connection, address)) or ())

    def lock_info(self) -> LockInfo | None:
        """Say who holds the lock now, or None."""
        return self._lock.holder()

    def _read_state(self, connection: sqlite3.Connection) -> State:
        meta = self._meta(connection)
        rows = connection.execute("SELECT format, body FROM resources ORDER BY address")
        resources = {each.address: each for each in decode_resources(rows)}
        attempts = dict(connection.execute("SELECT identity, ended FROM attempts"))
        return State(_ref(meta), str(meta["project"]), str(meta["environment"]), resources, attempts)

    def _meta(self, connection: sqlite3.Connection) -> dict[str, Any]:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if not isinstance(meta.get("format"), int):
            raise problems.damaged(self.location, "it names no format")
        if meta["format"] > FORMAT:
            raise problems.from_the_future(self.location, meta["format"])
        return meta

    def _reading(self, look: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `look` gives within one snapshot, or None if there is no file."""
        for _ in range(_READ_TRIES):
            before = self._print()
            if before is None:
                return None
            if before.size == 0:
                raise problems.damaged(self.location, "it is empty")
            try:
                found = self._snapshot(look, immutable=not before.log)
                if before.log or before == self._print():
                    return found
            except sqlite3.Error as error:
                self._raise_if_settled(before, problems.of_sqlite(self.location, error, writing=False), error)
            except _NOT_A_RECORD as error:
                cause = f"a record in it cannot be read ({error})"
                self._raise_if_settled(before, problems.damaged(self.location, cause), error)
            time.sleep(_PAUSE)
        raise problems.unreadable(self.location, "it changed each time it was read")

    def _raise_if_settled(self, before: _Print, problem: StateError, cause: Exception) -> None:
        """Raise the problem, unless a writer that came or went meanwhile may be its cause."""
        if before == self._print():
            raise problem from cause

    def _snapshot(self, look: Callable[[sqlite3.Connection], T], *, immutable: bool) -> T:
        uri = f"file:{quote(os.path.abspath(self._path))}?mode=ro{'&immutable=1' if immutable else ''}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            return look(connection)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _print(self) -> _Print | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise problems.unreadable(self.location, problems.words(error)) from error
        if stat.S_ISDIR(found.st_mode):
            raise problems.unreadable(self.location, "it is a folder")
        return _Print(found.st_ino, found.st_size, found.st_mtime_ns, self._beside("-wal").exists())

    # ---- writing ----

    @contextmanager
    def lock(self, info: LockInfo, timeout: float) -> Iterator[None]:
        """Hold the lock; waits up to `timeout` seconds, then raises StateLocked naming the holder."""
        self._make_folder()
        with self._lock.hold(info, timeout):
            self._held = True
            try:
                yield
            finally:
                self._held = False
                with self._guard:
                    self._close()

    def begin(self, lineage: str, project: str, environment: str) -> StateRef:
        """Give an empty state its lineage, project and environment; changes nothing on one that has them."""
        with self._transaction() as connection:
            ref = _ref(self._meta(connection))
            if ref.lineage is not None:
                return ref
            rows = {"lineage": lineage, "project": project, "environment": environment}
            connection.executemany("UPDATE meta SET value = ?2 WHERE key = ?1", rows.items())
            return StateRef(lineage, ref.serial)

    def commit(self, operation: str, at: float, changes: Sequence[StateChange], base: StateRef) -> StateRef:
        """Write all of the changes durably, or none. Raises StateError if the state is no longer at `base`."""
        assert base.lineage is not None, "begin comes before commit"
        with self._transaction() as connection:
            now = _ref(self._meta(connection))
            if now != base:
                raise problems.moved_on(self.location, base, now)
            serial = base.serial + 1
            for change in changes:
                _write(connection, change)
                address, event, detail = journal_line(change)
                line = (serial, at, operation, address and str(address), event, dump(detail))
                connection.execute(_ADD_LINE, line)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'serial'", (serial,))
            connection.execute("UPDATE meta SET value = ?1 WHERE key = 'format' AND value < ?1", (FORMAT,))
            return StateRef(base.lineage, serial)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._held, "writing needs the lock"
        with self._guard:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._close()
                raise problems.of_sqlite(self.location, error, writing=True, room=self._has_room()) from error
            except BaseException:
                self._close()
                raise

    def _has_room(self) -> bool:
        """Return whether the disk takes a commit: SQLite calls a disk that is quite full by several names."""
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize > _ROOM

    def _open(self) -> sqlite3.Connection:
        if self._writer is None:
            if self._print() is None:
                self._create()
            self._writer = _connect(self._path)
        return self._writer

    def _close(self) -> None:
        """Close the connection: what was not committed is rolled back, the log goes into the database."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _make_folder(self) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if folder.name == ".specforge" and not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise problems.unwritable(self.location, problems.words(error)) from error

    def _create(self) -> None:
        """Make an empty database elsewhere and rename it: whoever finds the file finds all of its tables."""
        made = self._beside(".new")
        try:
            # Leftovers of a kill; an old log would be taken for the new file's.
            for old in (
                made,
                self._beside(".new-wal"),
                self._beside(".new-shm"),
                self._beside("-wal"),
                self._beside("-shm"),
            ):
                old.unlink(missing_ok=True)
            with closing(_connect(made)) as connection:
                connection.execute("BEGIN")
                for statement in _TABLES:
                    connection.execute(statement)
                meta = {"format": FORMAT, "lineage": None, "project": "", "environment": "default", "serial": 0}
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                connection.execute("COMMIT")
            made.rename(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise problems.unwritable(self.location, problems.words(error)) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ref(meta: dict[str, Any]) -> StateRef:
    return StateRef(meta["lineage"], meta["serial"])


def _write(connection: sqlite3.Connection, change: StateChange) -> None:
    if isinstance(change, PutResource):
        row = (str(change.resource.address), FORMAT, encode_resource(change.resource))
        connection.execute("INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", row)
    elif isinstance(change, DropResource):
        connection.execute("DELETE FROM resources WHERE address = ?", (str(change.address),))
    elif isinstance(change, EndRun):
        connection.execute(_COUNT_RUN, (change.identity,))


def _read_journal(connection: sqlite3.Connection, address: Address | None) -> list[HistoryEntry]:
    wanted = None if address is None else str(address)
    return [
        HistoryEntry(serial, at, operation, about and Address.parse(about), event, decode_detail(detail))
        for serial, at, operation, about, event, detail in connection.execute(_LINES, (wanted,))
    ]
