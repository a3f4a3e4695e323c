"""The kind Service: models that answer requests at a stable address."""

from __future__ import annotations

from specforge.schemas.kind import Kind, Lifecycle
from specforge.schemas.service.rules import desire, readings, steps
from specforge.schemas.service.spec import ServiceSpec

KIND = Kind(
    document="Service",
    prefix="service",
    spec=ServiceSpec,
    lifecycle=Lifecycle.SERVICE,
    desire=desire,
    steps=steps,
    readings=readings,
    examples=(
        {"kind": "Service", "name": "digits", "model": "digits", "port": 8080, "pool": "here"},
        {
            "kind": "Service",
            "name": "flowers",
            "serves": [
                {"model": "flowers@0.0.1", "weight": 90, "replicas": 3},
                {"model": "flowers@0.0.2", "weight": 10},
            ],
            "port": 8081,
            "update": {"ready_within": "60s", "drain": "30s"},
            "pool": "serving",
        },
    ),
)
