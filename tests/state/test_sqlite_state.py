"""The SQLite file under kill, damage, lack of room and lack of rights; the contract is tested elsewhere."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from specforge.core.address import Address
from specforge.core.errors import StateError, StateLocked
from specforge.core.state import Note, PutResource, State, StateRef
from specforge.state.problems import ensure_project
from specforge.state.sqlite import SqliteBackend
from specforge.testing.state import DIGITS, a_resource, an_intent, info, write

COMMIT_FOREVER = """
backend = SqliteBackend(Path(sys.argv[1]))
with backend.lock(info("ada"), 5):
    base = backend.begin("lineage-1", "digits", "default")
    while True:
        changes = [PutResource(a_resource(name, str(base.serial + 1))) for name in "abc"]
        base = backend.commit("op", 1.0, changes, base)
        print(base.serial, flush=True)
"""

COMMIT_AND_DIE = """
backend = SqliteBackend(Path(sys.argv[1]))
with backend.lock(info("ada"), 5):
    base = backend.begin("lineage-1", "digits", "default")
    for number in range(1, 6):
        base = backend.commit("op", 1.0, [PutResource(a_resource("digits", str(number)))], base)
    os._exit(9)
"""

HOLD = """
with SqliteBackend(Path(sys.argv[1])).lock(info("eve"), 5):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_user(folder: Path):
    """Act as somebody who may read the folder but write nothing there."""
    if os.geteuid() == 0:
        groups = os.getegid()
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(groups)
        return
    changed = [(path, path.stat().st_mode) for path in (folder, *folder.rglob("*"))]
    for path, mode in changed:
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in changed:
            path.chmod(mode)


def code_of(caught) -> str:
    (problem,) = caught.value.diagnostics
    assert problem.detail
    return problem.code


def listing(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_size for each in folder.iterdir()}


# ---- reading creates nothing ----


def test_reading_creates_nothing(tmp_path):
    """Neither an absent state, nor one at rest, nor one whose writer was killed leaves a new file by being read."""
    backend = SqliteBackend(tmp_path / ".specforge" / "state.db")
    backend.read()
    list(backend.history())
    backend.lock_info()
    assert list(tmp_path.iterdir()) == []
    write(backend, Note(None, "first"))
    before = listing(backend_folder := tmp_path / ".specforge")
    assert backend.read().ref.serial == 1
    assert len(list(backend.history())) == 1
    assert listing(backend_folder) == before
    assert set(before) == {".gitignore", "state.db", "state.db.lock"}
    assert (backend_folder / ".gitignore").read_text() == "*\n"


def test_only_the_tools_own_folder_is_ignored_by_git(tmp_path):
    """A folder with a name of the user's gets no `.gitignore`; one that is there is left alone."""
    write(SqliteBackend(tmp_path / "states" / "state.db"), Note(None, "first"))
    assert not (tmp_path / "states" / ".gitignore").exists()
    (tmp_path / ".specforge").mkdir()
    (tmp_path / ".specforge" / ".gitignore").write_text("mine\n")
    write(SqliteBackend(tmp_path / ".specforge" / "state.db"), Note(None, "first"))
    assert (tmp_path / ".specforge" / ".gitignore").read_text() == "mine\n"


def test_another_user_reads_a_read_only_folder(folder):
    """At rest, while somebody writes, and after the writer was killed: the same state, and no file more."""
    backend = SqliteBackend(folder / "state.db")
    write(backend, PutResource(a_resource()))
    with another_user(folder):
        assert backend.read().resources == {DIGITS: a_resource()}
        assert [each.event for each in backend.history(DIGITS)] == ["recorded"]
    with backend.lock(info(), 5):
        base = backend.begin("", "", "")
        backend.commit("op", 2.0, [PutResource(a_resource(intent=an_intent()))], base)
        before = sorted(listing(folder))
        with another_user(folder):
            assert SqliteBackend(folder / "state.db").read().resources[DIGITS].intent == an_intent()
            assert SqliteBackend(folder / "state.db").lock_info() == info()
        assert sorted(listing(folder)) == before


def test_another_user_reads_after_a_kill(folder, committer):
    """The log that a killed writer left is read by somebody who may not write."""
    process = committer(COMMIT_AND_DIE, folder / "state.db")
    assert process.wait(30) == 9
    before = sorted(listing(folder))
    assert "state.db-wal" in before
    with another_user(folder):
        assert SqliteBackend(folder / "state.db").read().ref.serial == 5
    assert sorted(listing(folder)) == before
    assert write(SqliteBackend(folder / "state.db"), Note(None, "next")).serial == 6


def test_readers_and_a_writer_at_once(tmp_path):
    """While a writer opens, commits and closes again and again, every reader sees one whole moment, in order."""
    stop, seen, errors = threading.Event(), [], []

    def read():
        backend = SqliteBackend(tmp_path / "state.db")
        while not stop.is_set():
            try:
                state = backend.read()
            except StateError as error:
                errors.append(error)
                return
            seen.append((state.ref.serial, {each.spec for each in state.resources.values()}))

    thread = threading.Thread(target=read)
    thread.start()
    writer = SqliteBackend(tmp_path / "state.db")
    try:
        for number in range(1, 61):
            resources = [a_resource(Address("dataset", name), spec=str(number)) for name in "abc"]
            write(writer, *(PutResource(each) for each in resources))
    finally:
        stop.set()
        thread.join(30)
    assert not errors
    assert [serial for serial, _ in seen] == sorted(serial for serial, _ in seen)
    assert all(specs in (set(), {str(serial)}) for serial, specs in seen)


class Restless(SqliteBackend):
    """A state whose file changes while it is read, as often as `times` says; then `then` happens."""

    times = 0

    def _snapshot(self, look, *, immutable):
        if self.times > 0:
            self.times -= 1
            self._path.write_bytes(self._path.read_bytes() + b"\0" * 4096)
        return super()._snapshot(look, immutable=immutable)


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path):
    """A read that a writer may have torn does not count, whether it gave an answer or an error."""
    write(SqliteBackend(tmp_path / "state.db"), PutResource(a_resource()))
    whole = (tmp_path / "state.db").read_bytes()
    backend = Restless(tmp_path / "state.db")
    backend.times = 1
    assert backend.read().resources == {DIGITS: a_resource()}
    (tmp_path / "state.db").write_bytes(whole)
    backend.times = 100
    with pytest.raises(StateError, match="changed each time") as caught:
        backend.read()
    assert code_of(caught) == "SF305"
    (tmp_path / "state.db").write_bytes(b"x" * 4096)
    backend.times = 100
    with pytest.raises(StateError, match="changed each time"):
        backend.read()
    backend.times = 0
    with pytest.raises(StateError) as caught:
        backend.read()
    assert code_of(caught) == "SF303"


# ---- durable ----


def test_a_killed_writer_loses_nothing_it_reported(tmp_path, committer):
    """After kill -9 at any moment: every commit that returned is there, and none is there by halves."""
    chance = random.Random(7)
    for _ in range(6):
        before = SqliteBackend(tmp_path / "state.db").read().ref.serial
        process = committer(COMMIT_FOREVER, tmp_path / "state.db")
        for _ in range(chance.randrange(1, 40)):
            reported = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait(30)
        reported = int(rest[-1]) if rest else reported
        backend = SqliteBackend(tmp_path / "state.db")
        state = backend.read()
        assert before < reported <= state.ref.serial <= reported + 1
        assert {each.spec for each in state.resources.values()} == {str(state.ref.serial)}
        assert sum(1 for _ in backend.history()) == 3 * state.ref.serial
        assert backend.lock_info() is None


def test_a_kill_while_the_file_is_made(tmp_path):
    """What a kill leaves of the first commit is no state, and is in nobody's way."""
    for name in ("state.db.new", "state.db.new-wal", "state.db-wal", "state.db-shm"):
        (tmp_path / name).write_bytes(b"left over")
    backend = SqliteBackend(tmp_path / "state.db")
    assert backend.read() == State()
    assert write(backend, PutResource(a_resource())).serial == 1
    assert sorted(listing(tmp_path)) == ["state.db", "state.db.lock"]


def test_a_cut_log_gives_the_last_whole_commit(tmp_path, committer):
    """Wherever the log of a killed writer is cut, the state is that after some commit, and work goes on from it."""
    process = committer(COMMIT_AND_DIE, tmp_path / "state.db")
    assert process.wait(30) == 9
    log = (tmp_path / "state.db-wal").read_bytes()
    found = []
    for number, length in enumerate(range(0, len(log) + 1, 1500)):
        at = tmp_path / str(number)
        at.mkdir()
        shutil.copy(tmp_path / "state.db", at)
        (at / "state.db-wal").write_bytes(log[:length])
        backend = SqliteBackend(at / "state.db")
        state = backend.read()
        found.append(state.ref.serial)
        assert [each.spec for each in state.resources.values()] == [str(state.ref.serial)] * min(state.ref.serial, 1)
        if number % 5 == 0:
            assert write(backend, Note(None, "next")).serial == state.ref.serial + 1
    assert found == sorted(found)
    assert set(found) >= {0, 1, 2, 3, 4}


# ---- damage ----


def test_what_is_no_state(tmp_path):
    """Garbage, an empty file, a folder, another database: one error each that says what to do, reading or writing."""
    path = tmp_path / "state.db"

    def another_database():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE songs (title TEXT)")

    def no_format():
        write(SqliteBackend(path), Note(None, "x"))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM meta WHERE key = 'format'")

    for make in (lambda: path.write_bytes(b"garbage" * 999), path.touch, another_database, no_format):
        make()
        for use in (lambda: SqliteBackend(path).read(), lambda: write(SqliteBackend(path), Note(None, "x"))):
            with pytest.raises(StateError) as caught:
                use()
            assert code_of(caught) == "SF303"
            assert "move" in caught.value.diagnostics[0].hint
            assert "trained again" in caught.value.diagnostics[0].hint
        path.unlink()
    path.mkdir()
    with pytest.raises(StateError) as caught:
        SqliteBackend(path).read()
    assert code_of(caught) == "SF305"


def test_a_cut_database_never_lies(tmp_path):
    """Cut anywhere, the file gives the whole state or an error, never a part of the state."""
    path = tmp_path / "state.db"
    resources = [a_resource(Address("dataset", f"n{number}"), spec="x" * 3000) for number in range(20)]
    write(SqliteBackend(path), *(PutResource(each) for each in resources))
    whole, data = SqliteBackend(path).read(), path.read_bytes()
    outcomes = set()
    for length in range(0, len(data), 2048):
        path.write_bytes(data[:length])
        try:
            assert SqliteBackend(path).read() == whole
            outcomes.add("whole")
        except StateError as error:
            outcomes.add(error.diagnostics[0].code)
    assert outcomes == {"SF303"} or outcomes == {"SF303", "whole"}
    path.write_bytes(data)
    assert SqliteBackend(path).read() == whole


def test_a_record_that_cannot_be_read(tmp_path):
    """A body that is not a resource is damage, not a traceback."""
    write(SqliteBackend(tmp_path / "state.db"), PutResource(a_resource()))
    for body in (
        "{",
        "[]",
        "{}",
        '{"address":"x","lifecycle":"","spec":1}',
        '{"address":"a.b","lifecycle":"","spec":7}',
    ):
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
            connection.execute("UPDATE resources SET body = ?", (body,))
        with pytest.raises(StateError) as caught:
            SqliteBackend(tmp_path / "state.db").read()
        assert code_of(caught) == "SF303"


def test_a_state_of_a_newer_release(tmp_path):
    """A newer format is refused by readers and writers, with the numbers and a hint."""
    backend = SqliteBackend(tmp_path / "state.db")
    write(backend, Note(None, "x"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
    for use in (backend.read, lambda: write(backend, Note(None, "y"))):
        with pytest.raises(StateError, match="99") as caught:
            use()
        assert code_of(caught) == "SF301"
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (1,)


def test_a_state_of_another_project():
    """Whoever compares names both projects; an empty state belongs to nobody."""
    ensure_project(State(), "digits", "default", "state.db")
    mine = State(StateRef("lineage-1", 3), "digits", "dev")
    ensure_project(mine, "digits", "dev", "state.db")
    for project, environment in (("letters", "dev"), ("digits", "prod")):
        with pytest.raises(StateError) as caught:
            ensure_project(mine, project, environment, "state.db")
        assert code_of(caught) == "SF302"
        assert "`digits`" in caught.value.diagnostics[0].detail


# ---- room and rights ----


def test_no_room(tmp_path):
    """Where a file may not grow, the commit fails with cause and hint; what was recorded is intact; later it works."""
    backend = SqliteBackend(tmp_path / "state.db")
    ref = write(backend, PutResource(a_resource()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with backend.lock(info(), 5):
            base = backend.begin("", "", "")
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
            with pytest.raises(StateError) as caught:
                backend.commit("op", 2.0, [PutResource(a_resource(spec="x" * 500_000))], base)
            assert code_of(caught) == "SF304"
            assert "intact" in caught.value.diagnostics[0].hint
            assert backend.commit("op", 2.0, [Note(None, "a small one fits")], base).serial == 2
        fresh = SqliteBackend(tmp_path / "other.db")
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
        with pytest.raises(StateError) as caught:
            write(fresh, Note(None, "x"))
        assert code_of(caught) == "SF304"
        assert fresh.read() == State()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert backend.read().resources == {DIGITS: a_resource()}
    assert backend.read().ref == StateRef(ref.lineage, 2)
    assert write(fresh, Note(None, "x")).serial == 1


def test_no_right_to_write(folder):
    """A read-only folder or file is an error with cause and hint, before anything is changed."""
    backend = SqliteBackend(folder / "a" / "state.db")
    with another_user(folder), pytest.raises(StateError) as caught:
        write(backend, Note(None, "x"))
    assert code_of(caught) == "SF304"
    write(backend, Note(None, "x"))
    with another_user(folder), pytest.raises(StateError) as caught:
        write(backend, Note(None, "x"))
    assert code_of(caught) == "SF304"
    (folder / "a" / "state.db.lock").chmod(0o666)
    with another_user(folder / "a"), pytest.raises(StateError) as caught:
        write(backend, Note(None, "x"))
    assert code_of(caught) == "SF304"
    assert backend.read().ref.serial == 1


def test_a_folder_that_cannot_be_written_when_the_file_is_to_be_made(folder):
    """If the lock can be had but the file not be made, that is said."""
    backend = SqliteBackend(folder / "state.db")
    (folder / "state.db.lock").touch()
    (folder / "state.db.lock").chmod(0o666)
    (folder / "state.db.new").mkdir()
    with pytest.raises(StateError) as caught:
        write(backend, Note(None, "x"))
    assert code_of(caught) == "SF304"
    (folder / "state.db.new").rmdir()
    assert write(backend, Note(None, "x")).serial == 1


def test_no_right_to_read(folder):
    """A state that may not be read is an error, not an empty state."""
    (folder / "a").mkdir()
    (folder / "nothing").mkdir()
    backend = SqliteBackend(folder / "a" / "state.db")
    write(backend, Note(None, "x"))
    for path, mode in ((folder / "a" / "state.db", 0o000), (folder / "a", 0o600)):
        before = path.stat().st_mode
        path.chmod(mode)
        with another_user(folder / "nothing"), pytest.raises(StateError) as caught:
            backend.read()
        assert code_of(caught) == "SF305"
        path.chmod(stat.S_IMODE(before))
    assert backend.read().ref.serial == 1


# ---- the lock, across processes ----


def test_the_lock_of_another_process(tmp_path, committer):
    """Its holder is named; when it is killed the lock is free at once, and what it wrote there means nothing."""
    backend = SqliteBackend(tmp_path / "state.db")
    process = committer(HOLD, tmp_path / "state.db")
    assert process.stdout.readline() == "held\n"
    assert backend.lock_info() == info("eve")
    with pytest.raises(StateLocked, match="eve"), backend.lock(info(), 0):
        raise AssertionError("not reached")
    process.kill()
    process.wait(30)
    assert b"eve" in (tmp_path / "state.db.lock").read_bytes()
    assert backend.lock_info() is None
    with backend.lock(info("ada"), 0):
        assert backend.lock_info() == info("ada")


def test_a_holder_that_nobody_can_name(tmp_path, committer):
    """A lock whose text cannot be read is held all the same."""
    process = committer(HOLD, tmp_path / "state.db")
    process.stdout.readline()
    (tmp_path / "state.db.lock").write_bytes(b'{"who"')
    backend = SqliteBackend(tmp_path / "state.db")
    with pytest.raises(StateLocked, match="another process"), backend.lock(info(), 0):
        raise AssertionError("not reached")
    assert backend.lock_info().who == "another process"


def test_writing_needs_the_lock(tmp_path):
    """To commit without the lock, or before begin, is a mistake in the program and is not possible."""
    backend = SqliteBackend(tmp_path / "state.db")
    with pytest.raises(AssertionError):
        backend.begin("lineage-1", "digits", "default")
    with backend.lock(info(), 0), pytest.raises(AssertionError):
        backend.commit("op", 1.0, [], StateRef(None, 0))
