"""Ask the places: one batch each, in parallel. What cannot be asked is unreachable, never absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from specforge.core.errors import SpecforgeError
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


def observe(queries: Sequence[Query], places: Places, deadline: float | None = DEADLINE) -> dict[Query, Seen]:
    """Return an answer to every query; a place that fails as a whole makes all of its own unreachable."""
    by_place: dict[Place, list[Query]] = {}
    for query in queries:
        by_place.setdefault(place_of(query), []).append(query)

    def ask(place: Place) -> Mapping[Query, Seen]:
        try:
            return places.of(place).observe(place, by_place[place], deadline)
        except (SpecforgeError, OSError) as error:
            problem = error.diagnostics[0].detail if isinstance(error, SpecforgeError) else str(error)
            return dict.fromkeys(by_place[place], unreachable(problem))

    if len(by_place) == 1:
        answers = [ask(next(iter(by_place)))]
    else:
        with ThreadPoolExecutor(min(len(by_place), _PLACES_AT_ONCE) or 1) as pool:
            answers = list(pool.map(ask, by_place))
    seen = {query: answer for batch in answers for query, answer in batch.items()}
    return {query: seen.get(query) or unreachable("it gave no answer") for query in queries}
