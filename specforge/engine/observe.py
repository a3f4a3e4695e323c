"""Ask the places: one batch each, in parallel. What cannot be asked is unreachable, never absent."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PluginError, SpecforgeError
from specforge.core.queries import Query, Seen, place_of, unreachable
from specforge.core.values import Place
from specforge.executors.base import Executor, TreeReader

DEADLINE = 30.0
"""Seconds that a place has to answer, unless told otherwise."""

_PLACES_AT_ONCE = 16


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

    if len(by_place) <= 1:
        answers = [ask(place) for place in by_place]
    else:
        with ThreadPoolExecutor(min(len(by_place), _PLACES_AT_ONCE)) as pool:
            answers = list(pool.map(ask, by_place))
    seen = {query: answer for batch in answers for query, answer in batch.items()}
    return {query: seen.get(query) or unreachable("it gave no answer") for query in queries}
