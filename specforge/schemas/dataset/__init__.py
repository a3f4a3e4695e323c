"""The kind Dataset: labelled samples, published as immutable versions with a manifest and a split."""

from __future__ import annotations

from specforge.schemas.dataset.rules import PATTERN, desire, readings, steps
from specforge.schemas.dataset.spec import DatasetSpec
from specforge.schemas.kind import Kind, Lifecycle

KIND = Kind(
    document="Dataset",
    prefix="dataset",
    spec=DatasetSpec,
    lifecycle=Lifecycle.ARTIFACT,
    desire=desire,
    steps=steps,
    readings=readings,
    version_pattern=PATTERN,
    examples=(
        {
            "kind": "Dataset",
            "name": "digits",
            "task": "image_classification",
            "source": "data/digits",
            "split": {"train": 0.8, "eval": 0.2, "seed": 7, "stratified": True},
            "store": "artifacts",
            "pool": "here",
        },
    ),
)
