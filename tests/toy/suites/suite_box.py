"""A box keeps the contract of stores."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from specforge_toy.executor import BoxExecutor

from specforge.core.values import Frozen, Place
from specforge.executors.base import Surroundings
from specforge.testing.storage import StorageContract

PLACE = Place("toy", "box.db", Frozen({"switch": "box.down"}))


class TestBox(StorageContract):
    def make(self, folder, reader):
        self.folder = folder
        return BoxExecutor(Surroundings(folder, folder / "cache", reader)), PLACE

    def damage(self, store, sha256, content):
        with closing(sqlite3.connect(self.folder / "box.db")) as connection, connection:
            if content is None:
                connection.execute("delete from objects where sha256 = ?", (sha256,))
            else:
                connection.execute("update objects set content = ? where sha256 = ?", (content, sha256))
        return True

    def cut_off(self, store):
        (self.folder / "box.down").touch()
        return True
