"""Folders: stores in store format 1, and the user's own project folder as a place to read from."""

from __future__ import annotations

import posixpath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, RootModel
from pydantic_core import PydanticCustomError

from specforge.core.values import EMPTY, Place
from specforge.schemas.kind import PlaceType


def _store_path(text: str) -> str:
    path = posixpath.normpath(text.strip()) if text.strip() else ""
    if not path or "\0" in path:
        raise PydanticCustomError("folder", "a store needs a folder of its own, for example `.specforge/artifacts`")
    if path == ".":
        raise PydanticCustomError(
            "folder",
            "the project's own folder cannot be a store; give a folder in it, for example `.specforge/artifacts`",
        )
    return path


class FolderSettings(RootModel[Annotated[str, AfterValidator(_store_path)]]):
    """Path of the store's folder; a relative one begins at the project's folder, `~` is the user's home."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True)

    def place(self, name: str) -> Place:  # noqa: ARG002
        """Return the place; its id is the path as written, so that a moved project keeps its places."""
        return Place("folder", self.root, EMPTY)


FOLDER = PlaceType(
    driver="folder",
    family="store",
    settings=FolderSettings,
    executor="specforge.executors.storage.executor:FolderExecutor",
)
