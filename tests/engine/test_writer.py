"""The one writer of state: grouped commits, durable when `record` returns, errors for all whom they concern."""

from __future__ import annotations

import threading

import pytest

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import StateError
from specforge.core.state import LockInfo, Note
from specforge.engine.writer import StateWriter
from specforge.state.memory import MemoryBackend


class Slow:
    """A backend whose first commit waits for a sign; it notes the size of every commit."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        self.error: Exception | None = None

    def commit(self, operation, at, changes, base):
        self.sizes.append(len(changes))
        if len(self.sizes) == 1:
            self.entered.set()
            assert self.go_on.wait(10)
        elif self.error is not None:
            raise self.error
        return self.backend.commit(operation, at, changes, base)


def notes(number: int) -> Note:
    return Note(Address("training", f"t{number}"), "note")


@pytest.fixture
def slow():
    made = Slow()
    with made.backend.lock(LockInfo("op", "me", "spec apply", 0.0, 1, "here"), 0.0):
        made.backend.begin("lineage", "digits", "default")
        yield made


def record_together(slow: Slow, writer: StateWriter) -> list[Exception]:
    """Record once, and five times more while that commit is under way; returns the errors."""
    errors: list[Exception] = []

    def record(number: int) -> None:
        try:
            writer.record(notes(number))
        except Exception as error:  # noqa: BLE001 - compared below
            errors.append(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    threads[0].start()
    assert slow.entered.wait(10)
    for each in threads[1:]:
        each.start()
    while len(writer._queue) < 5:
        threading.Event().wait(0.001)
    slow.go_on.set()
    for each in threads:
        each.join(10)
    return errors


def test_those_who_wait_are_written_together(slow):
    """Six records, two commits, and all of them are in the journal."""
    writer = StateWriter(slow, "op", lambda: 1.0, slow.backend.read().ref)
    assert record_together(slow, writer) == []
    assert slow.sizes == [1, 5]
    assert writer.ref == slow.backend.read().ref
    assert {str(each.address) for each in slow.backend.history()} == {f"training.t{n}" for n in range(6)}


def test_an_error_reaches_everybody_who_waited_for_that_commit_and_nobody_else(slow):
    """The first one was written; the next five were not, and each of them hears it."""
    problem = slow.error = StateError(Diagnostic("SF399", "No", "the disk is full"))
    writer = StateWriter(slow, "op", lambda: 1.0, slow.backend.read().ref)
    assert record_together(slow, writer) == [problem] * 5
    assert [str(each.address) for each in slow.backend.history()] == ["training.t0"]
    slow.error = None
    writer.record(notes(7))
    assert writer.ref == slow.backend.read().ref


def test_a_record_of_several_changes_is_written_whole(slow):
    """All or none."""
    slow.go_on.set()
    writer = StateWriter(slow, "op", lambda: 1.0, slow.backend.read().ref)
    writer.record(notes(1), notes(2), notes(3))
    assert slow.sizes == [3]
    assert slow.backend.read().ref.serial == 1
