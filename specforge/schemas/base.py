"""What all spec classes share, and the metadata that fields carry.

Behaviour is on the field, so that graph, diff and reference pages are derived, not written twice:
`Annotated[str, Ref("dataset")]` is an edge, `Annotated[float, Change.NEW_VERSION]` a change rule.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from specforge.core.making import dataclass


class Change(Enum):
    """What a change of a field's value means for a resource that exists.

    IGNORE: nothing outside our record (metadata). UPDATE: changed in place. NEW_VERSION: part of the recipe, so that a
    new version is published. REPLACE: taken away and made again.
    """

    IGNORE = "metadata"
    UPDATE = "update"
    NEW_VERSION = "new version"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Ref:
    """The field names another resource of one of these kinds (prefixes); `versioned`: `NAME@VERSION` is allowed.

    `default`: the key of the project's `defaults` that fills the field where the document leaves it out.
    """

    kinds: tuple[str, ...]
    versioned: bool = False
    default: str | None = None


class Spec(BaseModel):
    """One document. Unknown keys are errors, values are not coerced, the object cannot be changed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        protected_namespaces=(),
        defer_build=True,  # a command validates documents of a few kinds only
    )


# Letters, digits, `_`, `-` and Chinese characters, as the source systems allow; begins with a letter or digit.
NAME_PATTERN = r"^[A-Za-z0-9一-鿿][A-Za-z0-9_\-一-鿿]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
VersionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.]+$", max_length=32)]
Description = Annotated[str, StringConstraints(max_length=256), Change.IGNORE]


class Declared(Spec):
    """The fields every document of a resource has."""

    name: Annotated[Name, Change.REPLACE]
    """Name of the resource: letters, digits, `_`, `-` and Chinese characters; unique among its kind."""

    description: Description = Field(default="")
    """Free text for people; part of no identity."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What is declared on one field: its path (`*` for any key), reference and change rule."""

    path: tuple[str, ...]
    ref: Ref | None
    change: Change | None


def field_rules(spec: type[BaseModel]) -> tuple[FieldRule, ...]:
    """Return the rules of every field of a spec class, nested models and mappings included, in declared order.

    A nested field without a change rule has its parent's.
    """
    from specforge.schemas.fields import collect

    return collect(spec)


Json = Any
