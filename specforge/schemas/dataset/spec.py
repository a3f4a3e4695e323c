"""What a Dataset document says."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from specforge.schemas.base import Change, Declared, Ref, Spec, VersionName


class Split(Spec):
    """How samples are divided: the same sample lands on the same side whatever the order of the files."""

    train: Annotated[float, Field(gt=0, le=1)]
    """Share of the samples with usage TRAIN."""

    eval: Annotated[float | None, Field(ge=0, lt=1), Change.IGNORE] = None
    """Share of the samples with usage EVAL; with `train` it makes 1, so it may be left out and decides nothing."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed gives another division."""

    stratified: bool = True
    """Whether each label is divided by itself, so that all have the same share."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.eval is not None and abs(self.train + self.eval - 1) > 1e-9:
            total = f"{self.train + self.eval:.6g}"
            raise PydanticCustomError("split", "`train` and `eval` make {total}, they must make 1", {"total": total})
        return self


class DatasetSpec(Declared):
    """Labelled samples, published as immutable versions with a manifest and a split."""

    task: Annotated[Literal["image_classification"], Change.NEW_VERSION]
    """What is labelled. `image_classification`: the whole picture; one folder per label."""

    source: Annotated[str, StringConstraints(min_length=1), Change.IGNORE]
    """Folder with one folder of pictures per label, relative to the project or absolute. Its content counts, not
    where it lies."""

    split: Annotated[Split | None, Change.NEW_VERSION] = None
    """How samples are divided into TRAIN and EVAL; without it no sample has a usage, which counts as TRAIN."""

    version: Annotated[VersionName | None, Change.UPDATE] = None
    """Name for the version; a published one of this name with other content is never overwritten. Default: V001, …"""

    store: Annotated[str, Ref(("store",), default="store"), Change.UPDATE]
    """The Store that versions are published in."""

    pool: Annotated[str, Ref(("pool",), default="pool"), Change.IGNORE]
    """The Pool that publishes."""
