"""References are found by field metadata, wherever they stand in a spec."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from specforge.core.address import Reference
from specforge.schemas.base import Declared, Ref, Spec
from specforge.schemas.references import Found, references

DATASET = Ref(("dataset",), versioned=True)
STORE = Ref(("store",), default="store")


class Input(Spec):
    dataset: Annotated[str, DATASET]
    usages: tuple[str, ...] = ()


class Check(Spec):
    data: Annotated[str, DATASET] | None = None
    samples: int = 0


class Branch(BaseModel):
    of: Annotated[str, DATASET] | None = None
    branches: tuple[Branch, ...] = ()


class Everything(Declared):
    store: Annotated[str, STORE]
    also: Annotated[str, DATASET] | None = None
    inputs: dict[str, Annotated[str, DATASET] | Input] = Field(default_factory=dict)
    check: Check | None = None
    more: tuple[Annotated[str, DATASET], ...] = ()
    renamed: Annotated[str, DATASET] | None = Field(default=None, alias="from")
    tree: Branch | None = None
    text: str = "dataset"


def test_finds_references_in_every_shape_of_field():
    """Plain, optional, aliased, in mappings, lists, nested models and unions: each with its path, in field order."""
    spec = Everything.model_validate(
        {
            "name": "x",
            "store": "here",
            "inputs": {"a": "one@V001", "b": Input(dataset="two")},
            "check": Check(data="three"),
            "more": ("four", "five"),
            "from": "six",
            "tree": Branch(branches=(Branch(of="seven"),)),
        }
    )
    assert references(spec) == (
        Found(("store",), Reference("here"), STORE),
        Found(("inputs", "a"), Reference("one", "V001"), DATASET),
        Found(("inputs", "b", "dataset"), Reference("two"), DATASET),
        Found(("check", "data"), Reference("three"), DATASET),
        Found(("more", 0), Reference("four"), DATASET),
        Found(("more", 1), Reference("five"), DATASET),
        Found(("from",), Reference("six"), DATASET),
        Found(("tree", "branches", 0, "of"), Reference("seven"), DATASET),
    )


def test_a_spec_without_reference_fields_gives_none():
    """A class in which nothing can refer costs nothing and finds nothing."""
    assert references(Declared(name="x")) == ()
