"""Asking the places: one batch each, side by side; what cannot be asked is unreachable."""

from __future__ import annotations

import threading

import pytest

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError, PluginError
from specforge.core.queries import LookAtJob, LookAtPlace, Presence, Seen
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
