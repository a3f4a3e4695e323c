"""The contract of a state backend: derive a test class, say how a handle on a fresh state is opened, run pytest.

class TestMine(StateContract):
    @pytest.fixture
    def opener(self, tmp_path): return lambda: MyBackend(tmp_path / "state")
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from specforge.core.address import Address
from specforge.core.errors import StateError, StateLocked
from specforge.core.state import (
    DropResource,
    EndRun,
    Evidence,
    Intent,
    LockInfo,
    Note,
    PutResource,
    Resource,
    State,
    StateChange,
    StateRef,
    Status,
    Version,
)
from specforge.core.values import Frozen, Place, frozen
from specforge.state.backend import StateBackend

Opener = Callable[[], StateBackend]

DIGITS = Address("dataset", "digits")
STORE = Place("folder", ".specforge/artifacts", Frozen(folder=".specforge/artifacts"))


def info(who: str = "ada") -> LockInfo:
    """A lock's text, as if `who` had just begun an apply."""
    return LockInfo("op-1", who, "spec apply", 1_700_000_000.0, 4711, "workstation")


def a_version(name: str = "V001", **changes: object) -> Version:
    """A published version with every field set."""
    version = Version(
        version=name,
        identity="1" * 64,
        build=1,
        output="2" * 64,
        trees=Frozen(output="2" * 64, log="3" * 64),
        recipe='{"task":"image_classification"}',
        status=Status.READY,
        evidence=Evidence("4" * 64, 2, frozen({"accuracy": 0.97, "labels": {"0": [1, 2]}}), '{"samples":null}'),
        inputs=Frozen({"dataset.digits": "V001"}),
        facts=frozen({"counts": {"0": 178}, "labels": ["0", "1"], "none": None, "nested": [{"a": [1]}]}),
        seconds=4.25,
        created=1_700_000_000.125,
        reproducible="yes",
    )
    return replace(version, **changes)  # type: ignore[arg-type]


def an_intent() -> Intent:
    """An intent with every field set."""
    jobs = ((Place("local", "here", frozen({"slots": 2})), "training.digits-train-1-abc"),)
    return Intent("op-1", "output", "5" * 64, 3, '{"$":"Part"}', jobs, 1_700_000_001.5, "retrain")


def a_resource(address: Address = DIGITS, **changes: object) -> Resource:
    """A resource with every field set but the intent."""
    resource = Resource(
        address=address,
        lifecycle="artifact",
        spec='{"name":"digits"}',
        place=STORE,
        identity="6" * 64,
        outputs=frozen({"place": {"driver": "folder"}, "empty": {}, "list": []}),
        current="V001",
        versions=(a_version(), a_version("V002", evidence=None, status=Status.REFUSED, seconds=None)),
        waits_for=(Address("store", "artifacts"), Address("algorithm", "svc.a")),
        below_accept=("accuracy 0.9, wanted at least 0.95",),
        updated=1_700_000_002.0,
    )
    return replace(resource, **changes)  # type: ignore[arg-type]


def write(backend: StateBackend, *changes: StateChange, operation: str = "op-1", at: float = 1.0) -> StateRef:
    """Commit on top of what is there, under the lock."""
    with backend.lock(info(), 5):
        base = backend.begin("lineage-1", "digits", "default")
        return backend.commit(operation, at, changes, base)


class StateContract:
    """What every state backend does."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Return a function that opens one more handle on the same, at first empty, state."""
        raise NotImplementedError

    @pytest.fixture
    def backend(self, opener: Opener) -> StateBackend:
        """A handle on an empty state."""
        return opener()

    def test_nothing_recorded_reads_as_empty(self, backend: StateBackend) -> None:
        """A state that nobody wrote is empty, has no history and no holder of its lock, and says where it would lie."""
        assert backend.read() == State()
        assert list(backend.history()) == []
        assert backend.lock_info() is None
        assert backend.location

    def test_begin_names_an_empty_state(self, backend: StateBackend) -> None:
        """Begin gives lineage, project and environment, and leaves the serial alone."""
        with backend.lock(info(), 5):
            assert backend.begin("lineage-1", "digits", "dev") == StateRef("lineage-1", 0)
        state = backend.read()
        assert (state.ref, state.project, state.environment) == (StateRef("lineage-1", 0), "digits", "dev")

    def test_begin_keeps_what_is_there(self, backend: StateBackend) -> None:
        """A second begin changes nothing and gives the reference that is there."""
        ref = write(backend, Note(None, "first"))
        with backend.lock(info(), 5):
            assert backend.begin("other", "other", "other") == ref
        assert backend.read().project == "digits"

    def test_what_was_put_is_read(self, backend: StateBackend) -> None:
        """Every field of a resource comes back equal and of the same type, hashable as before."""
        resource = a_resource(intent=an_intent())
        write(backend, PutResource(resource))
        found = backend.read().resources[DIGITS]
        assert found == resource
        assert hash(found) == hash(resource)

    def test_defaults_come_back(self, backend: StateBackend) -> None:
        """A resource with nothing but what it must have comes back equal."""
        resource = Resource(DIGITS, "definition", "{}")
        write(backend, PutResource(resource))
        assert backend.read().resources == {DIGITS: resource}

    def test_put_replaces(self, backend: StateBackend) -> None:
        """The last put of an address stands, also within one commit."""
        write(backend, PutResource(a_resource()), PutResource(a_resource(current="V002")))
        write(backend, PutResource(a_resource(Address("dataset", "other"))))
        found = backend.read().resources
        assert found[DIGITS].current == "V002"
        assert len(found) == 2

    def test_drop_forgets(self, backend: StateBackend) -> None:
        """A dropped resource is gone; to drop what is not there changes nothing."""
        write(backend, PutResource(a_resource()))
        write(backend, DropResource(DIGITS), DropResource(Address("dataset", "never")))
        assert backend.read().resources == {}

    def test_serial_counts_commits(self, backend: StateBackend) -> None:
        """Each commit raises the serial by one, whatever and however much is in it, identical bytes too."""
        refs = [
            write(backend, PutResource(a_resource())),
            write(backend, PutResource(a_resource())),
            write(backend),
            write(backend, Note(None, "a"), Note(None, "b")),
        ]
        assert [each.serial for each in refs] == [1, 2, 3, 4]
        assert backend.read().ref == refs[-1]

    def test_attempts_are_counted_per_identity(self, backend: StateBackend) -> None:
        """Every ended run counts once for its identity; forgetting the resource keeps the count."""
        write(backend, EndRun("i", DIGITS, "failed"), EndRun("i", DIGITS, "succeeded"), EndRun("j", DIGITS, "lost"))
        write(backend, EndRun("i", DIGITS, "cancelled"), DropResource(DIGITS))
        assert backend.read().attempts == {"i": 3, "j": 1}

    def test_a_stale_base_is_refused_whole(self, backend: StateBackend) -> None:
        """A commit for another moment or another lineage raises, and nothing of it is written."""
        ref = write(backend, Note(None, "first"))
        for stale in (StateRef("lineage-1", 0), StateRef("lineage-1", 2), StateRef("lineage-2", 1)):
            with backend.lock(info(), 5), pytest.raises(StateError) as caught:
                backend.commit("op-2", 2.0, [PutResource(a_resource())], stale)
            assert caught.value.diagnostics[0].code == "SF307"
        assert backend.read().ref == ref
        assert backend.read().resources == {}
        assert len(list(backend.history())) == 1

    def test_a_commit_that_cannot_be_written_leaves_nothing(self, backend: StateBackend) -> None:
        """If one change of a commit is not a change, none of it is recorded, and the next commit works."""
        bad = PutResource("not a resource")  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            write(backend, PutResource(a_resource()), EndRun("i", DIGITS, "failed"), bad)
        assert backend.read().resources == {}
        assert backend.read().attempts == {}
        assert write(backend, PutResource(a_resource())).serial == 1

    def test_history_tells_the_story_in_order(self, backend: StateBackend) -> None:
        """Each change leaves a line: serial, time, operation, what happened to what."""
        write(backend, PutResource(a_resource(intent=an_intent())), operation="op-1", at=1.5)
        write(backend, EndRun("i", DIGITS, "failed", "exit 3"), operation="op-1", at=2.5)
        write(backend, PutResource(a_resource()), DropResource(DIGITS), operation="op-2", at=3.5)
        lines = list(backend.history())
        assert [(each.serial, each.at, each.operation, each.event) for each in lines] == [
            (1, 1.5, "op-1", "intended"),
            (2, 2.5, "op-1", "run ended"),
            (3, 3.5, "op-2", "recorded"),
            (3, 3.5, "op-2", "forgot"),
        ]
        assert {each.address for each in lines} == {DIGITS}
        assert lines[0].detail == {"part": "output", "identity": "5" * 64, "attempt": 3, "work": "retrain"}
        assert lines[1].detail == {"identity": "i", "outcome": "failed", "reason": "exit 3"}
        assert lines[2].detail == {"current": "V001", "identity": "1" * 64, "status": "ready"}

    def test_history_of_one_resource(self, backend: StateBackend) -> None:
        """With an address, only its lines are given; notes keep their detail."""
        detail = frozen({"versions": ["V001"], "why": {"a": None}})
        other = Address("dataset", "other")
        write(backend, Note(DIGITS, "adopted", detail), Note(other, "adopted"), Note(None, "began"))
        (line,) = backend.history(DIGITS)
        assert (line.address, line.event, line.detail) == (DIGITS, "adopted", detail)
        assert len(list(backend.history(Address("dataset", "never")))) == 0
        assert [each.address for each in backend.history()] == [DIGITS, other, None]

    def test_any_names(self, backend: StateBackend) -> None:
        """Chinese, emoji, quotes and even half of a surrogate pair in names and texts come back as they were."""
        resources = [
            a_resource(Address("dataset", name), spec=f'{{"x":"{name}"}}', outputs=Frozen({name: name}))
            for name in ("手写数字", "di'gi\"ts; DROP TABLE", "🙂", "a.b c%20?")
        ]
        odd = a_resource(outputs=Frozen(path="scan\udcff.png"))
        write(backend, *(PutResource(each) for each in (*resources, odd)))
        assert backend.read().resources == {each.address: each for each in (*resources, odd)}
        assert [each.address for each in backend.history(resources[0].address)] == [resources[0].address]

    def test_large_specs(self, backend: StateBackend) -> None:
        """A spec of several megabytes comes back whole, beside small ones."""
        large = a_resource(spec='{"x":"' + "é数x" * 1_000_000 + '"}')
        write(backend, PutResource(large), PutResource(a_resource(Address("dataset", "small"))))
        assert backend.read().resources[DIGITS].spec == large.spec

    def test_resources_come_in_one_order(self, backend: StateBackend) -> None:
        """Resources are read in the order of their addresses, whenever they were written."""
        for name in ("b", "a", "c"):
            write(backend, PutResource(a_resource(Address("dataset", name))))
        write(backend, PutResource(a_resource(Address("dataset", "a"))))
        assert [each.name for each in backend.read().resources] == ["a", "b", "c"]

    def test_two_handles_see_each_other(self, opener: Opener) -> None:
        """What one handle commits the other reads, also while the first still holds the lock."""
        one, two = opener(), opener()
        with one.lock(info(), 5):
            base = one.begin("lineage-1", "digits", "default")
            assert two.read().ref == base
            base = one.commit("op", 1.0, [PutResource(a_resource())], base)
            assert two.read().resources == {DIGITS: a_resource()}
            one.commit("op", 1.0, [DropResource(DIGITS)], base)
            assert two.read().resources == {}
        assert write(two, Note(None, "mine")).serial == 3
        assert one.read().ref.serial == 3

    def test_a_state_that_was_read_stays_as_it_was(self, backend: StateBackend) -> None:
        """A later commit does not reach into a state that somebody has in hand."""
        write(backend, PutResource(a_resource()))
        before = backend.read()
        write(backend, DropResource(DIGITS), EndRun("i", DIGITS, "failed"))
        assert before.resources == {DIGITS: a_resource()}
        assert before.attempts == {}

    def test_the_lock_is_exclusive(self, opener: Opener) -> None:
        """A second handle is refused at once with timeout 0, told who, since when, from where and doing what."""
        one, two = opener(), opener()
        with one.lock(info("ada"), 0):
            assert two.lock_info() == info("ada")
            assert one.lock_info() == info("ada")
            with pytest.raises(StateLocked) as caught, two.lock(info("bob"), 0):
                raise AssertionError("not reached")
            with pytest.raises(StateLocked), one.lock(info("ada again"), 0):
                raise AssertionError("not reached")
        (problem,) = caught.value.diagnostics
        assert problem.code == "SF306"
        for word in ("ada", "2023-11-14 22:13:20", "4711", "workstation", "spec apply"):
            assert word in problem.detail
        assert two.lock_info() is None
        with two.lock(info("bob"), 0):
            assert one.lock_info() == info("bob")

    def test_waiting_for_the_lock(self, opener: Opener) -> None:
        """With a timeout one waits so long and no longer; whoever frees the lock lets the next one in."""
        one, two = opener(), opener()
        began = time.monotonic()
        with one.lock(info(), 0), pytest.raises(StateLocked), two.lock(info(), 0.15):
            raise AssertionError("not reached")
        assert 0.15 <= time.monotonic() - began < 5
        holds, go = threading.Event(), threading.Event()

        def hold() -> None:
            with one.lock(info(), 5):
                holds.set()
                go.wait(5)

        thread = threading.Thread(target=hold)
        thread.start()
        holds.wait(5)
        go.set()
        with two.lock(info("bob"), 5):
            assert two.lock_info() == info("bob")
        thread.join(5)

    def test_one_of_many_threads_holds_the_lock(self, opener: Opener) -> None:
        """Threads that each take the lock, read and commit never lose an update."""

        def work() -> None:
            mine = opener()
            for _ in range(5):
                write(mine, EndRun("i", DIGITS, "failed"))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        state = opener().read()
        assert (state.attempts, state.ref.serial) == ({"i": 20}, 20)

    def test_an_error_under_the_lock_frees_it(self, backend: StateBackend) -> None:
        """Whatever is raised while the lock is held, the next one gets it."""
        with pytest.raises(KeyboardInterrupt), backend.lock(info(), 0):
            raise KeyboardInterrupt
        assert write(backend, Note(None, "next")).serial == 1

    def test_looking_at_the_lock_is_in_nobodys_way(self, opener: Opener) -> None:
        """Many readers who ask who holds the lock do not make it look held."""
        stop = threading.Event()

        def look() -> None:
            reader = opener()
            while not stop.is_set():
                reader.lock_info()

        threads = [threading.Thread(target=look) for _ in range(3)]
        for each in threads:
            each.start()
        try:
            mine = opener()
            for _ in range(50):
                with mine.lock(info(), 0):
                    pass
        finally:
            stop.set()
            for each in threads:
                each.join(5)
