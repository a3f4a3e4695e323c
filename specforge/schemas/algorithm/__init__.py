"""The kind Algorithm: code, the engine it runs with and the parameters it takes."""

from __future__ import annotations

from specforge.schemas.algorithm.rules import desire, readings
from specforge.schemas.algorithm.spec import AlgorithmSpec
from specforge.schemas.kind import Kind, Lifecycle

KIND = Kind(
    document="Algorithm",
    prefix="algorithm",
    spec=AlgorithmSpec,
    lifecycle=Lifecycle.DEFINITION,
    desire=desire,
    readings=readings,
    examples=(
        {
            "kind": "Algorithm",
            "name": "svc",
            "framework": "scikit-learn",
            "code": "code",
            "boot": "train.py",
            "parameters": {
                "C": {"type": "float", "default": 1.0, "min": 0, "description": "Strength of the penalty."},
                "kernel": {"type": "str", "default": "rbf", "choices": ["rbf", "linear"]},
            },
        },
    ),
)
