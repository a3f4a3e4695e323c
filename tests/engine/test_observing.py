"""Asking the places: one batch each, side by side; what cannot be asked is unreachable."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError, PluginError
from specforge.core.queries import LookAtJob, LookAtPlace, Presence, ScanTree, Seen
from specforge.core.values import Place
from specforge.engine.observe import blamed, observe

HERE, THERE, AWAY = Place("a", "here"), Place("b", "there"), Place("c", "away")


class Asked:
    """Places whose answers are functions; notes the batches and their deadlines."""

    def __init__(self, **answers):
        self.answers = answers
        self.batches: list[tuple[Place, int, float | None]] = []

    def of(self, place):
        if place.driver not in self.answers:
            raise PluginError(Diagnostic("SF502", "Unknown driver", f"nobody offers `{place.driver}`"))
        return self

    def observe(self, place, queries, deadline):
        self.batches.append((place, len(queries), deadline))
        return self.answers[place.driver](queries)

    def reader(self, place):
        raise NotImplementedError


def present(queries):
    return {each: Seen(Presence.PRESENT) for each in queries}


def test_nothing_asked_is_nothing_answered():
    """No place is bothered."""
    assert observe([], Asked()) == {}


def test_each_place_gets_one_batch_and_the_deadline():
    """However many queries there are, in whatever order."""
    queries = [LookAtPlace(HERE), LookAtPlace(THERE), LookAtJob(HERE, "1"), LookAtJob(HERE, "2")]
    places = Asked(a=present, b=present)
    seen = observe(queries, places, 7.0)
    assert set(seen) == set(queries)
    assert sorted(places.batches, key=str) == [(HERE, 3, 7.0), (THERE, 1, 7.0)]


def test_places_are_asked_side_by_side():
    """The slow one does not keep the others waiting."""
    together = threading.Barrier(2)

    def answer(queries):
        together.wait(10)
        return present(queries)

    seen = observe([LookAtPlace(HERE), LookAtPlace(THERE)], Asked(a=answer, b=answer))
    assert {each.presence for each in seen.values()} == {Presence.PRESENT}


def fails(queries):
    raise ExecutionError(Diagnostic("SF403", "Place unreachable", "no route to host"))


def breaks(queries):
    raise KeyError("answer")


def no_disk(queries):
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (fails, "no route to host"),
        (breaks, "KeyError: 'answer'"),
        (no_disk, "Input/output error"),
        (lambda _: {}, "it gave no answer"),
    ],
)
def test_a_place_that_does_not_answer_is_unreachable_and_no_other_is(answer, words):
    """Never absent; its own queries only; in words."""
    queries = [LookAtPlace(HERE), LookAtJob(HERE, "1"), LookAtPlace(THERE), LookAtPlace(AWAY)]
    seen = observe(queries, Asked(a=answer, b=present))
    assert {seen[each].presence for each in queries[:2]} == {Presence.UNREACHABLE}
    assert words in (seen[queries[0]].problem or "")
    assert seen[queries[2]].presence is Presence.PRESENT
    assert seen[queries[3]].problem == "nobody offers `c`"


def test_an_expected_error_is_not_blamed_on_the_driver():
    """What a driver may raise comes out as it is; anything else names the driver, what it did, and where it broke."""
    expected = ExecutionError(Diagnostic("SF440", "The job failed", "exit 3"), ended=True)
    with pytest.raises(ExecutionError) as caught, blamed(HERE, "while it worked"):
        raise expected
    assert caught.value is expected
    with pytest.raises(PluginError) as broken, blamed(HERE, "while it worked"):
        raise ValueError
    (found,) = broken.value.diagnostics
    assert found.detail == "the driver `a` failed while it worked at a:here: ValueError"
    assert "test_observing.py" in (found.note or "")


class Hangs:
    """A driver that does not keep its deadline: it answers when it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self.answered = threading.Event()

    def __call__(self, queries):
        self.go.wait(60)
        self.answered.set()
        return present(queries)


def test_a_place_that_hangs_is_unreachable_and_its_late_answer_is_dropped():
    """The others are answered; nobody waits for it longer than a little over its deadline."""
    hangs = Hangs()
    queries = [LookAtPlace(HERE), LookAtJob(HERE, "1"), LookAtPlace(THERE)]
    seen = observe(queries, Asked(a=hangs, b=present), 0.05)
    assert [seen[each].presence for each in queries[:2]] == [Presence.UNREACHABLE] * 2
    assert seen[queries[0]].problem == "it did not answer within 0.05 s"
    assert seen[queries[2]].presence is Presence.PRESENT
    before = dict(seen)
    hangs.go.set()
    assert hangs.answered.wait(10)
    assert seen == before


def test_reading_files_takes_the_time_it_takes():
    """A large source is no place that hangs: its scan is waited for, however long it takes."""
    hangs = Hangs()
    scan = ScanTree(HERE, "data")
    letting_go = threading.Timer(0.3, hangs.go.set)
    letting_go.start()
    seen = observe([scan, LookAtPlace(HERE), LookAtPlace(THERE)], Asked(a=hangs, b=present), 0.01)
    letting_go.join()
    assert {each.presence for each in seen.values()} == {Presence.PRESENT}


def test_many_places_that_hang_are_told_one_after_the_other():
    """Only so many are asked at once; each gets its own time."""
    hangs = Hangs()
    queries = [LookAtPlace(Place("a", str(number))) for number in range(40)]
    seen = observe(queries, Asked(a=hangs), 0.01)
    hangs.go.set()
    assert {each.presence for each in seen.values()} == {Presence.UNREACHABLE}


def test_what_no_driver_raises_comes_out():
    """A stop of the whole process is not kept in a thread."""

    def ends(queries):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observe([LookAtPlace(HERE), LookAtPlace(THERE)], Asked(a=ends, b=present))


ENDS = """
import threading
from specforge.core.queries import LookAtPlace
from specforge.core.values import Place
from specforge.engine.observe import observe

class Hangs:
    def of(self, place):
        return self
    def observe(self, place, queries, deadline):
        threading.Event().wait()

(seen,) = observe([LookAtPlace(Place("a", "here"))], Hangs(), 0.01).values()
print(seen.problem)
"""


def test_a_place_that_hangs_does_not_keep_the_process_from_ending():
    """The command says so and ends."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "it did not answer within 0.01 s\n"
