"""The store driver `toy`: a box, which is one SQLite file. Light: imported by every command."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from specforge.core.values import Frozen, Place
from specforge.schemas.base import Change, Spec
from specforge.schemas.kind import PlaceType


class BoxSettings(Spec):
    """A box: one file that holds everything."""

    file: Annotated[str, Field(min_length=1), Change.REPLACE]
    """The file, relative to the project."""

    switch: Annotated[str, Field(min_length=1), Change.UPDATE] = ".specforge/box.down"
    """While this file is there, the box cannot be reached."""

    def place(self, name: str) -> Place:
        """Return the place that these settings describe."""
        return Place("toy", self.file, Frozen({"switch": self.switch}))


TOY = PlaceType("toy", "store", BoxSettings, "specforge_toy.executor:BoxExecutor")
