"""The kind TrainingJob: a model made by an algorithm from data, evaluated, promoted by a gate."""

from __future__ import annotations

from specforge.schemas.kind import Kind, Lifecycle
from specforge.schemas.training.rules import PATTERN, desire, steps
from specforge.schemas.training.spec import TrainingSpec

KIND = Kind(
    document="TrainingJob",
    prefix="training",
    spec=TrainingSpec,
    lifecycle=Lifecycle.ARTIFACT,
    desire=desire,
    steps=steps,
    version_pattern=PATTERN,
    examples=(
        {
            "kind": "TrainingJob",
            "name": "digits",
            "algorithm": "svc",
            "inputs": {"data": "digits"},
            "parameters": {"C": 10},
            "evaluate": {"data": "digits", "accept": {"accuracy": {"min": 0.95}}},
            "store": "artifacts",
            "pool": "here",
        },
        {
            "kind": "TrainingJob",
            "name": "more",
            "algorithm": "svc",
            "inputs": {"data": {"dataset": "digits@V001", "usages": ["TRAIN", "EVAL"]}},
            "from_model": "digits@V0001",
            "seed": 7,
            "resources": {"cpu": 1, "memory": "512MiB"},
            "timeout": "15m",
            "store": "artifacts",
            "pool": "here",
        },
    ),
)
