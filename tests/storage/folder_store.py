"""Executors on a store in a folder, for the tests and for driver.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from specforge.core.values import Place
from specforge.executors.base import Surroundings, TreeReader
from specforge.executors.storage.executor import FolderExecutor
from specforge.testing.storage import SUITE, Store, SuiteTrees

PLACE = Place("folder", "store")


def opened(root: Path, trees: SuiteTrees | None = None, **given: Callable[[str], None]) -> Store:
    """Return two executors on the store in `root`, which may not be there yet; the first gets `given`."""
    trees = trees or SuiteTrees()

    def reader(place: Place) -> TreeReader:
        return trees if place == SUITE else two

    surroundings = Surroundings(root, root / "cache", reader)
    one, two = FolderExecutor(surroundings, **given), FolderExecutor(surroundings)
    return Store(PLACE, one, two, trees)
