"""The kind Store: where artifacts are published."""

from __future__ import annotations

from collections.abc import Mapping

from specforge.schemas import places
from specforge.schemas.base import Declared
from specforge.schemas.kind import Kind, Lifecycle, PlaceType


def spec_for(installed: Mapping[str, PlaceType]) -> type[Declared]:
    """Return the spec class of a Store that admits the store drivers among these places."""
    return places.spec_for("Store", "store", installed)


KIND = Kind(
    document="Store",
    prefix="store",
    spec=spec_for({}),
    lifecycle=Lifecycle.PLACE,
    desire=places.desire,
    steps=places.steps,
    examples=({"kind": "Store", "name": "artifacts", "folder": ".specforge/artifacts"},),
)
