"""Glossary keeps the contract of kinds."""

from __future__ import annotations

from specforge_toy.glossary import KIND

from specforge.core.address import Address
from specforge.core.values import Frozen, Place
from specforge.schemas.kind import Input, Subject
from specforge.testing.kind import Edit, KindContract


def place(kind: str, name: str, driver: str) -> Input:
    return Input(Address(kind, name), None, Frozen(place=Place(driver, name)))


class TestGlossary(KindContract):
    kind = KIND

    def subjects(self):
        document = {key: value for key, value in KIND.examples[0].items() if key != "kind"}
        inputs = {"store": place("store", "artifacts", "toy"), "pool": place("pool", "here", "local")}
        return (Subject(Address("glossary", "words"), KIND.spec.model_validate(document), "project", inputs),)

    def edits(self):
        return (
            Edit(("terms", "epoch"), "another meaning"),
            Edit(("language",), "de"),
            Edit(("audience",), "newcomers"),
            Edit(("version",), "first"),
            Edit(("store",), "other", {"store": place("store", "other", "toy")}),
            Edit(("pool",), "other", {"pool": place("pool", "other", "local")}),
        )
