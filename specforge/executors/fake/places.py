"""Fake places as drivers, so that a project file can name them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from specforge.core.values import Frozen, Place
from specforge.schemas.base import Spec
from specforge.schemas.kind import PlaceType


class FakeStore(Spec):
    """A store in the memory of this process."""

    note: str = ""
    """Free text; a change of it is a change of the place."""

    def place(self, name: str) -> Place:
        """Return the store's place."""
        return Place("fake-store", name, Frozen(note=self.note))


class FakePool(Spec):
    """A pool in the memory of this process."""

    slots: Annotated[int, Field(ge=1)] = 1
    """Jobs that run at once."""

    def place(self, name: str) -> Place:
        """Return the pool's place."""
        return Place("fake-pool", name, Frozen(slots=self.slots))


FAKE_STORE = PlaceType("fake-store", "store", FakeStore, "specforge.executors.fake.executor:in_this_process")
FAKE_POOL = PlaceType("fake-pool", "pool", FakePool, "specforge.executors.fake.executor:in_this_process")
