"""The scheduler, over random graphs: what is done, what fails, what is skipped and why, in which order."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.core.address import Address
from specforge.engine.scheduler import run

NODES = [Address("node", f"n{number:02}") for number in range(12)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[Address, frozenset[Address]]:
    """Random graphs without cycles: a node waits for some of those before it, and for things that are done already."""
    size = draw(st.integers(0, len(NODES)))
    order = draw(st.permutations(NODES[:size]))
    outside = Address("node", "done-before")
    return {
        node: frozenset(draw(st.sets(st.sampled_from([*order[:number], outside]), max_size=4)))
        for number, node in enumerate(order)
    }


class Watch:
    """Notes what the scheduler does, from all of its threads."""

    def __init__(self, failing: set[Address] = frozenset(), stop_after: int | None = None) -> None:
        self.failing = failing
        self.stop_after = stop_after
        self.begun: list[Address] = []
        self.done: list[Address] = []
        self.skipped: dict[Address, Address | None] = {}
        self.over: set[Address] = set()
        self.running = self.most = 0
        self.early: list[Address] = []
        self.waits: dict[Address, frozenset[Address]] = {}
        self.lock = threading.Lock()

    def work(self, address: Address) -> bool:
        with self.lock:
            self.begun.append(address)
            self.running += 1
            self.most = max(self.most, self.running)
            if not {each for each in self.waits[address] if each in self.waits} <= self.over:
                self.early.append(address)
        with self.lock:
            self.running -= 1
            self.done.append(address)
            self.over.add(address)
        return address not in self.failing

    def skip(self, address: Address, because: Address | None) -> None:
        with self.lock:
            self.skipped[address] = because
            self.over.add(address)

    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.done) >= self.stop_after

    def run(self, waits: dict[Address, frozenset[Address]], **options) -> None:
        self.waits = waits
        run(waits, self.work, self.skip, stopping=self.stopping, **options)


def doomed(waits: dict[Address, frozenset[Address]], failing: set[Address]) -> set[Address]:
    """What depends on a failure, directly or not."""
    found: set[Address] = set()
    while True:
        more = {each for each, targets in waits.items() if targets & (failing | found)} - found
        if not more:
            return found
        found |= more


@settings(deadline=None, max_examples=150)
@given(graphs(), st.sets(st.sampled_from(NODES)), st.integers(1, 32))
def test_what_does_not_depend_on_a_failure_is_done(waits, broken, parallelism):
    """Exactly what depends on a failure is skipped, named after a failure that it depends on."""
    failing = broken & waits.keys()
    watch = Watch(failing)
    watch.run(waits, parallelism=parallelism)
    lost = doomed(waits, failing)
    assert watch.skipped.keys() == lost
    assert sorted(watch.begun) == sorted(waits.keys() - lost)
    assert watch.early == []
    assert watch.most <= parallelism
    for address, cause in watch.skipped.items():
        assert cause in failing
        assert cause not in lost
        assert address in doomed(waits, {cause})


@settings(deadline=None, max_examples=100)
@given(graphs(), st.sets(st.sampled_from(NODES)), st.integers(0, 12), st.integers(1, 4))
def test_after_a_stop_nothing_begins(waits, broken, stop_after, parallelism):
    """Everything is either done or skipped once; at most what ran already goes on after the stop."""
    watch = Watch(broken, stop_after)
    watch.run(waits, parallelism=parallelism)
    assert sorted([*watch.begun, *watch.skipped]) == sorted(waits)
    assert len(watch.begun) <= stop_after + parallelism
    assert set(watch.skipped.values()) <= {None, *broken}
    assert watch.early == []


@settings(deadline=None, max_examples=100)
@given(graphs(), st.sampled_from(NODES), st.integers(1, 4))
def test_fail_fast_is_a_stop_at_the_first_failure(waits, broken, parallelism):
    """What does not depend on it is skipped without a cause."""
    watch = Watch({broken})
    watch.run(waits, parallelism=parallelism, fail_fast=True)
    assert sorted([*watch.begun, *watch.skipped]) == sorted(waits)
    if broken in watch.begun:
        after = watch.begun[watch.begun.index(broken) + 1 :]
        assert len(after) <= parallelism - 1 if parallelism > 1 else after == []
    lost = doomed(waits, {broken}) if broken in watch.begun else set()
    assert {each for each, cause in watch.skipped.items() if cause is not None} == lost & watch.skipped.keys()


@pytest.mark.parametrize("parallelism", [1, 2, 8])
def test_an_exception_ends_the_run(parallelism):
    """What runs is waited for, nothing new begins, and the exception comes out."""

    class Dead(BaseException):
        pass

    first, others = NODES[0], NODES[1:]
    ended = []

    def work(address: Address) -> bool:
        if address == first:
            raise Dead
        ended.append(address)
        return True

    waits = {first: frozenset(), **{each: frozenset({first}) for each in others}}
    with pytest.raises(Dead):
        run(waits, work, lambda *_: None, parallelism=parallelism)
    assert ended == []


def test_those_at_work_are_waited_for_when_one_dies():
    """The record of the others is written before the exception comes out."""
    started, release, ended = threading.Event(), threading.Event(), []

    def work(address: Address) -> bool:
        if address == NODES[0]:
            started.wait(10)
            release.set()
            raise KeyboardInterrupt
        started.set()
        release.wait(10)
        ended.append(address)
        return True

    with pytest.raises(KeyboardInterrupt):
        run(dict.fromkeys(NODES[:2], frozenset()), work, lambda *_: None, parallelism=2)
    assert ended == [NODES[1]]


def test_work_goes_on_side_by_side():
    """As many as asked for are at work at once."""
    together = threading.Barrier(4)

    def work(_: Address) -> bool:
        together.wait(10)
        return True

    run(dict.fromkeys(NODES[:4], frozenset()), work, lambda *_: None, parallelism=4)
