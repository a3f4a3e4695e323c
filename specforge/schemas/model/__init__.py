"""The kind Model: a trained model, packaged with its config.json and inference code, so that a Service can run it."""

from __future__ import annotations

from specforge.schemas.kind import Kind, Lifecycle
from specforge.schemas.model.rules import PATTERN, desire, readings, steps
from specforge.schemas.model.spec import ModelSpec

KIND = Kind(
    document="Model",
    prefix="model",
    spec=ModelSpec,
    lifecycle=Lifecycle.ARTIFACT,
    desire=desire,
    steps=steps,
    readings=readings,
    version_pattern=PATTERN,
    examples=(
        {
            "kind": "Model",
            "name": "digits",
            "training": "digits",
            "mode": "image_processing",
            "inference": "inference/customize_service.py",
            "store": "artifacts",
            "pool": "here",
        },
        {
            "kind": "Model",
            "name": "prices",
            "training": "prices@V0001",
            "algorithm": "regression",
            "runtime": "python3.11",
            "apis": [
                {
                    "request": {
                        "Content-type": "application/json",
                        "data": {"type": "object", "properties": {"rooms": {"type": "integer"}}, "required": ["rooms"]},
                    },
                    "response": {"data": {"type": "object", "properties": {"price": {"type": "number"}}}},
                }
            ],
            "dependencies": [
                {
                    "installer": "pip",
                    "packages": [{"package_name": "unidecode", "package_version": "1.3", "restraint": "ATLEAST"}],
                }
            ],
            "documents": [{"name": "guide", "url": "https://example.org/prices"}],
            "minimum": {"cpu": 1, "memory": "512MiB"},
            "store": "artifacts",
            "pool": "here",
        },
    ),
)
