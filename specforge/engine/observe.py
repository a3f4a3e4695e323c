"""Ask the places: one batch each, in parallel. What cannot be asked is unreachable, never absent."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PluginError, SpecforgeError
from specforge.core.queries import LookAtArtifact, Query, ScanTree, Seen, place_of, unreachable
from specforge.core.values import Place
from specforge.executors.base import Executor, TreeReader

DEADLINE = 30.0
"""Seconds that a place has to answer, unless told otherwise."""

_PLACES_AT_ONCE = 16

T = TypeVar("T")


class Places(Protocol):
    """Finds executors: the registry of installed drivers, or a fake world."""

    def of(self, place: Place) -> Executor:
        """Return the executor of this place; raises PluginError."""
        ...

    def reader(self, place: Place) -> TreeReader:
        """Return who reads trees at this place; raises ExecutionError."""
        ...


@contextmanager
def blamed(place: Place, doing: str) -> Iterator[None]:
    """Turn what no driver may raise into an error that names the driver: it fails its own work, and no other."""
    try:
        yield
    except SpecforgeError:
        raise
    except Exception as error:
        raise PluginError(
            Diagnostic(
                "SF505",
                "A driver has a bug",
                f"the driver `{place.driver}` failed {doing} at {place}: {words_of(error)}",
                hint="report it to whoever wrote the driver",
                note=where_raised(error),
            )
        ) from error


def words_of(error: Exception) -> str:
    """Return the class and the words of an unexpected error."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def where_raised(error: Exception) -> str:
    """Return the last calls that led to an unexpected error, for its report."""
    return "".join(traceback.format_tb(error.__traceback__)[-3:]).rstrip()


def observe(queries: Sequence[Query], places: Places, deadline: float | None = DEADLINE) -> dict[Query, Seen]:
    """Return an answer to every query; a place that fails as a whole makes all of its own unreachable."""
    by_place: dict[Place, list[Query]] = {}
    for query in queries:
        by_place.setdefault(place_of(query), []).append(query)

    def ask(place: Place) -> Mapping[Query, Seen]:
        try:
            with blamed(place, "while it was asked"):
                return places.of(place).observe(place, by_place[place], deadline)
        except SpecforgeError as error:
            return dict.fromkeys(by_place[place], unreachable(error.diagnostics[0].detail))

    seen: dict[Query, Seen] = {}
    limits = {place: None if any(map(_reads_files, batch)) else deadline for place, batch in by_place.items()}
    for place, batch in in_time(ask, limits).items():
        seen.update(dict.fromkeys(by_place[place], unreachable(late_words(deadline))) if batch is None else batch)
    return {query: seen.get(query) or unreachable("it gave no answer") for query in queries}


def _reads_files(query: Query) -> bool:
    """Whether the answer takes as long as there is to read: a large source may take minutes, and does not hang."""
    return isinstance(query, ScanTree) or (isinstance(query, LookAtArtifact) and query.depth == "hashed")


def late_words(deadline: float | None) -> str:
    """Return what is said of a place that let its time pass."""
    return f"it did not answer within {deadline:g} s"


def in_time(work: Callable[[Place], T], limits: Mapping[Place, float | None]) -> dict[Place, T | None]:
    """Return what `work` gives for each place, or None for one that hangs: its answer is dropped if it ever comes.

    `limits`: seconds for each place, None for as long as it takes. The places are worked on side by side. A driver is
    told its deadline; it gets a little more time than that to keep it. Whatever `work` raises is raised.
    """
    answers: SimpleQueue[tuple[Place, T | None, BaseException | None]] = SimpleQueue()

    def answer(place: Place) -> None:
        try:
            answers.put((place, work(place), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            answers.put((place, None, error))

    waiting, asked, given = list(limits)[::-1], dict[Place, float](), dict[Place, T | None]()
    while waiting or asked:
        while waiting and len(asked) < _PLACES_AT_ONCE:
            place = waiting.pop()
            limit = limits[place]
            asked[place] = math.inf if limit is None else time.monotonic() + limit * 1.1 + 0.1
            # A daemon: one that hangs does not keep the process from ending.
            threading.Thread(target=answer, args=(place,), name=f"ask {place}", daemon=True).start()
        left = min(asked.values()) - time.monotonic()
        try:
            place, result, error = answers.get(timeout=None if left == math.inf else max(0.0, left))
        except Empty:
            for late in [each for each, until in asked.items() if until <= time.monotonic()]:
                del asked[late]
                given[late] = None
            continue
        if error is not None:
            raise error
        if asked.pop(place, None) is not None:
            given[place] = result
    return {place: given[place] for place in limits}
