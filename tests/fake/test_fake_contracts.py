"""The fake places fulfil the contracts of real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from specforge.core.values import Place
from specforge.executors.base import Executor, TreeReader
from specforge.executors.fake import FakeExecutor, FakeWorld
from specforge.testing.storage import SUITE, StorageContract, Store


class TestFakeStore(StorageContract):
    """The contract, in memory."""

    place = Place("fake-store", "artifacts")

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        if not hasattr(self, "world"):
            self.world = FakeWorld()
            self.world.outside = lambda place: reader(place) if place == SUITE else None
        return FakeExecutor(self.world), self.place

    def damage(self, store: Store, sha256: str, content: bytes | None) -> bool:
        data = self.world.store(self.place)
        if data.listings.pop(sha256, None) is None:
            del data.objects[sha256]
            if content is not None:
                data.objects[sha256] = content
        return True

    def cut_off(self, store: Store) -> bool:
        self.world.unreachable.add(str(self.place))
        return True
