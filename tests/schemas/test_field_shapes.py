"""Rules and references of fields in every shape that an annotation can have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from specforge.core.address import Reference
from specforge.schemas.base import Change, Declared, FieldRule, Ref, Spec, field_rules
from specforge.schemas.references import Found, references

DATASET = Ref(("dataset",), versioned=True)


class Part(Spec):
    """A nested part."""

    data: Annotated[str, DATASET] | None = None
    size: int = 0


class Plain(Spec):
    """A nested part in which nothing refers."""

    size: int = 0


class Loose(Declared):
    """Fields that may be several things, of which only some refer."""

    either: str | dict[str, Annotated[str, DATASET]] | Plain | int = 0
    parts: list[Part | str] | int = 0
    nested: Annotated[Annotated[str, DATASET], Change.UPDATE] | None = None
    numbers: Annotated[str, DATASET] | list[int] | None = None
    table: dict[str, list[Annotated[str, DATASET]]] = Field(default_factory=dict)


def found(**fields: object) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the paths and names of the references."""
    return [(each.path, each.reference.name) for each in references(Loose.model_validate({"name": "x", **fields}))]


def test_what_does_not_refer_in_a_field_that_may_is_left_alone() -> None:
    """Texts, numbers and models beside the one shape that refers."""
    assert found(either="text") == []
    assert found(either=3) == []
    assert found(either=Plain(size=1)) == []
    assert found(parts=4) == []
    assert found(numbers=[1, 2]) == []
    assert found(either={"a": "one"}) == [(("either", "a"), "one")]
    assert found(parts=["text", Part(data="two")]) == [(("parts", 1, "data"), "two")]
    assert found(nested="three", table={"k": ["four"]}) == [(("nested",), "three"), (("table", "k", 0), "four")]
    assert references(Loose(name="x", nested="a@V1")) == (Found(("nested",), Reference("a", "V1"), DATASET),)


def test_rules_go_into_every_shape_and_are_inherited() -> None:
    """A nested field without a rule has its parent's; members of a union have their own references."""

    class Outer(Declared):
        """A spec."""

        part: Annotated[Part, Change.NEW_VERSION] = Part()
        named: Annotated[dict[str, Part], Change.REPLACE] = Field(default_factory=dict)
        several: Annotated[tuple[Annotated[str, DATASET], ...], Change.IGNORE] = ()
        alias: Annotated[str, DATASET] = Field(default="", alias="from")

    rules = {each.path: each for each in field_rules(Outer)}
    assert rules["part", "size"].change is Change.NEW_VERSION
    assert rules["part", "data"].ref is None or rules["part", "data"].ref == DATASET
    assert any(each == FieldRule(("part", "data"), DATASET, Change.NEW_VERSION) for each in field_rules(Outer))
    assert rules["named", "*", "size"].change is Change.REPLACE
    assert rules["several", "*"] == FieldRule(("several", "*"), DATASET, Change.IGNORE)
    assert rules["from",].ref == DATASET
    assert rules["name",].change is Change.REPLACE
    assert rules["description",].change is Change.IGNORE
    assert field_rules(Outer) is field_rules(Outer)
