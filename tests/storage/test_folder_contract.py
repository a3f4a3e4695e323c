"""A store in a folder fulfils the contract."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from specforge.core.values import Place
from specforge.executors.base import Executor, Surroundings, TreeReader
from specforge.executors.storage.executor import FolderExecutor
from specforge.testing.storage import StorageContract, Store


class TestFolder(StorageContract):
    """The contract, on real files."""

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        self.root = folder
        return FolderExecutor(Surroundings(folder, folder / "cache", reader)), Place("folder", "store")

    def damage(self, store: Store, sha256: str, content: bytes | None) -> bool:
        path = self.root / store.place.id / "objects" / sha256[:2] / sha256
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        return True

    def cut_off(self, store: Store) -> bool:
        # A folder that leads to itself cannot be read by anybody, root included.
        root = self.root / store.place.id
        shutil.rmtree(root)
        os.symlink(root.name, root)
        return True
