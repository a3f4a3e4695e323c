"""The built-in kinds keep the contract of kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from specforge.core.address import Address
from specforge.core.queries import Presence, Seen
from specforge.core.values import Frozen, Place, frozen
from specforge.executors.local import LOCAL
from specforge.executors.storage import FOLDER
from specforge.schemas import algorithm, dataset, pool, store, training
from specforge.schemas.kind import Input, Subject
from specforge.testing.kind import Edit, KindContract

OTHER = "f" * 64


PLACES = {"folder": FOLDER, "local": LOCAL}


class _WithWorld(KindContract):
    @pytest.fixture(autouse=True)
    def _given(self, world):
        self.world = world


class TestStore(_WithWorld):
    kind = replace(store.KIND, spec=store.spec_for(PLACES))

    def subjects(self):
        return (Subject(Address("store", "artifacts"), self.world.spec(self.kind), "project"),)

    def edits(self):
        return (Edit(("folder",), "elsewhere"),)


class TestPool(_WithWorld):
    kind = replace(pool.KIND, spec=pool.spec_for(PLACES))

    def subjects(self):
        return (Subject(Address("pool", "here"), self.world.spec(self.kind), "project"),)

    def edits(self):
        return (
            Edit(("local", "slots"), 4),
            Edit(("local", "cpu"), 4),
            Edit(("local", "memory"), "2GiB"),
            Edit(("local", "folder"), "elsewhere"),
            Edit(("local", "log_limit"), "1MiB"),
        )


class TestDataset(_WithWorld):
    kind = dataset.KIND

    def subjects(self):
        return (
            self.world.dataset(),
            self.world.dataset(split=None, version="first"),
            self.world.dataset(split={"train": 0.8}),
        )

    def edits(self):
        elsewhere = {"store": Input(Address("store", "other"), None, Frozen(place=Place("folder", "other")))}
        beside = {"pool": Input(Address("pool", "other"), None, Frozen(place=Place("local", "other")))}
        return (
            Edit(("source",), "data/moved"),
            Edit(("split",), None),
            Edit(("split", "train"), 0.5, base=2),
            Edit(("split", "eval"), None),
            Edit(("split", "seed"), 8),
            Edit(("split", "stratified"), False),
            Edit(("version",), "second", base=1),
            Edit(("store",), "other", elsewhere),
            Edit(("pool",), "other", beside),
        )


class TestAlgorithm(_WithWorld):
    kind = algorithm.KIND

    def subjects(self):
        required = {"type": "float", "required": True}
        open_choice = {"type": "str"}
        return (self.world.algorithm(), self.world.algorithm(parameters={"rate": required, "mode": open_choice}))

    def edits(self):
        changed = Seen(Presence.PRESENT, OTHER, frozen({"files": 2, "problems": []}))
        kernel = ("parameters", "kernel")
        return (
            Edit(("code",), "other", facts={"code": changed}),
            Edit(("boot",), "other.py"),
            Edit(("parameters", "C"), {"type": "int"}),
            Edit((*kernel, "default"), "linear"),
            Edit((*kernel, "choices"), None),
            Edit((*kernel, "choices", 1), "poly"),
            Edit((*kernel, "description"), "other words"),
            Edit(("parameters", "C", "min"), 0.5),
            Edit(("parameters", "C", "max"), 5),
            Edit(("parameters", "rate", "required"), False, base=1),
            Edit(("parameters", "mode", "type"), "int", base=1),
        )


class TestTraining(_WithWorld):
    kind = training.KIND

    def subjects(self):
        more = self.world.training(
            from_model="earlier",
            seed=7,
            variables={"MODE": "slow"},
            inputs={"data": {"dataset": "digits", "usages": ["TRAIN", "EVAL"]}},
        )
        return (self.world.training(), more)

    def edits(self):
        def other(kind, tree):
            return self.world.published(kind, "other", tree, OTHER)

        elsewhere = {"store": Input(Address("store", "other"), None, Frozen(place=Place("folder", "other")))}
        beside = {"pool": Input(Address("pool", "other"), None, Frozen(place=Place("local", "other")))}
        accept = ("evaluate", "accept", "accuracy")
        return (
            Edit(("algorithm",), "other", {"algorithm": self.world.algorithm_input(boot="other.py")}),
            Edit(("inputs", "data", "dataset"), "other", {"inputs.data.dataset": other("dataset", "data")}),
            Edit(("inputs", "data", "usages"), ["EVAL"]),
            Edit(("inputs", "data", "usages", 0), "TEST", base=1),
            Edit(("parameters", "C"), 5),
            Edit(("from_model",), "other", {"from_model": other("training", "model")}, base=1),
            Edit(("variables", "MODE"), "fast", base=1),
            Edit(("seed",), 8, base=1),
            Edit(("resources", "cpu"), 2),
            Edit(("resources", "memory"), "1GiB"),
            Edit(("timeout",), "10m"),
            Edit(("retries",), 2),
            Edit(("evaluate",), None),
            Edit(("evaluate", "data"), "other", {"evaluate.data": other("dataset", "data")}),
            Edit(("evaluate", "usages"), ["TEST"]),
            Edit(("evaluate", "usages", 0), "TRAIN"),
            Edit((*accept, "min"), 0.99),
            Edit((*accept, "max"), 1.0),
            Edit(("evaluate", "samples"), 10),
            Edit(("version",), "chosen"),
            Edit(("store",), "other", elsewhere),
            Edit(("pool",), "other", beside),
        )
