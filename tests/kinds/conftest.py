"""What the planner would hand to the built-in kinds: specs, inputs that are known, answered readings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from specforge.core.address import Address
from specforge.core.queries import Presence, Seen
from specforge.core.values import EMPTY, Frozen, Place, frozen
from specforge.schemas import algorithm, dataset, training
from specforge.schemas.kind import Input, Kind, Subject

STORE = Place("folder", ".specforge/artifacts")
POOL = Place("local", "here", frozen({"slots": 2}))
LOCK = frozen({"python": "3.11", "packages": ["scikit-learn==1.9.1"]})
DIGEST = {name: digit * 64 for name, digit in zip(("code", "boot", "source", "data", "model"), "12345", strict=True)}


class World:
    """Makes subjects; every method gives a fresh one."""

    def spec(self, kind: Kind, **fields: Any) -> BaseModel:
        """Return the kind's first example, with some fields changed."""
        document = {key: value for key, value in kind.examples[0].items() if key != "kind"}
        return kind.spec.model_validate({**document, **fields})

    def places(self) -> dict[str, Input]:
        """Return the inputs `store` and `pool`."""
        return {
            "store": Input(Address("store", "artifacts"), None, Frozen(place=STORE)),
            "pool": Input(Address("pool", "here"), None, Frozen(place=POOL)),
        }

    def scan(self, digest: str = DIGEST["source"], **facts: Any) -> Seen:
        """Return the answer of a scan that found pictures of two labels."""
        known = {"files": 3, "bytes": 700, "folders": {"cat": 2, "dog": 1}, "problems": []}
        return Seen(Presence.PRESENT, digest, frozen({**known, **facts}))

    def dataset(self, **fields: Any) -> Subject:
        """Return the subject of a dataset."""
        spec = self.spec(dataset.KIND, **fields)
        return Subject(Address("dataset", spec.name), spec, "project", self.places(), {"source": self.scan()})

    def algorithm(self, **fields: Any) -> Subject:
        """Return the subject of an algorithm whose code is there and whose toolchain is locked."""
        facts = {
            "code": Seen(Presence.PRESENT, DIGEST["code"], frozen({"files": 1, "bytes": 10, "problems": []})),
            "boot": Seen(Presence.PRESENT, DIGEST["boot"], frozen({"files": 1})),
        }
        spec = self.spec(algorithm.KIND, **fields)
        return Subject(Address("algorithm", spec.name), spec, "project", EMPTY, facts, {"scikit-learn": LOCK})

    def algorithm_input(self, **fields: Any) -> Input:
        """Return what a training sees of an algorithm."""
        subject = self.algorithm(**fields)
        return Input(subject.address, subject.spec, algorithm.KIND.desire(subject).outputs)

    def published(self, kind: str, name: str, tree: str, digest: str, version: str | None = None) -> Input:
        """Return what others see of a published artifact."""
        outputs = {"version": "V1", "identity": "9" * 64, "digest": digest, f"tree.{tree}": digest, "place": STORE}
        return Input(Address(kind, name), None, Frozen(outputs), version)

    def training(self, **fields: Any) -> Subject:
        """Return the subject of a training whose inputs are all known."""
        spec = self.spec(training.KIND, **fields)
        data = replace(self.published("dataset", "digits", "data", DIGEST["data"]), spec=self.dataset().spec)
        inputs = {**self.places(), "algorithm": self.algorithm_input(), "evaluate.data": data}
        inputs |= {f"inputs.{name}.dataset": data for name in spec.inputs}
        if spec.from_model is not None:
            inputs["from_model"] = self.published("training", "earlier", "model", DIGEST["model"])
        return Subject(Address("training", spec.name), spec, "project", inputs)


@pytest.fixture(name="world")
def _world() -> World:
    return World()
