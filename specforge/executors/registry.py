"""Finds the executor of a place. Executors are imported on first use: a plan of local work imports nothing else."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError, PluginError
from specforge.core.values import Place
from specforge.executors.base import Executor, Surroundings, TreeReader
from specforge.schemas.kind import PlaceType


class Executors:
    """The executors of one project, by driver."""

    def __init__(self, places: Mapping[str, PlaceType], root: Path, cache: Path) -> None:
        self._places = places
        self._surroundings = Surroundings(root, cache, self.reader)
        self._made: dict[str, Executor] = {}
        self._lock = threading.RLock()

    def of(self, place: Place) -> Executor:
        """Return the executor of this place; raises PluginError if none is installed or it cannot be loaded."""
        with self._lock:
            made = self._made.get(place.driver)
            if made is None:
                made = self._made[place.driver] = self._make(place.driver)
            return made

    def reader(self, place: Place) -> TreeReader:
        """Return who reads trees at this place; raises ExecutionError if its executor cannot."""
        executor = self.of(place)
        if isinstance(executor, TreeReader):
            return executor
        detail = f"the driver `{place.driver}` cannot give files to another place"
        raise ExecutionError(Diagnostic("SF409", "Trees cannot be read there", detail))

    def _make(self, driver: str) -> Executor:
        place_type = self._places.get(driver)
        if place_type is None:
            known = ", ".join(sorted(self._places))
            detail = f"no installed distribution offers the driver `{driver}` (installed: {known})"
            raise PluginError(
                Diagnostic("SF502", "Unknown driver", detail, hint="install it where `spec` is installed")
            )
        module, _, attribute = place_type.executor.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            detail = f"the executor `{place_type.executor}` of driver `{driver}` cannot be loaded: {error}"
            raise PluginError(Diagnostic("SF501", "Broken plugin", detail)) from error
        executor: Executor = factory(self._surroundings)
        return executor
