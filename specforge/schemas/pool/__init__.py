"""The kind Pool: where jobs run."""

from __future__ import annotations

from collections.abc import Mapping

from specforge.schemas import places
from specforge.schemas.base import Declared
from specforge.schemas.kind import Kind, Lifecycle, PlaceType


def spec_for(installed: Mapping[str, PlaceType]) -> type[Declared]:
    """Return the spec class of a Pool that admits the pool drivers among these places."""
    return places.spec_for("Pool", "pool", installed)


KIND = Kind(
    document="Pool",
    prefix="pool",
    spec=spec_for({}),
    lifecycle=Lifecycle.PLACE,
    desire=places.desire,
    steps=places.steps,
    examples=({"kind": "Pool", "name": "here", "local": {"slots": 2, "cpu": 2, "memory": "4GiB"}},),
)
