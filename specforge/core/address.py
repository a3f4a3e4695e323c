"""Addresses: `training.digits` names a resource, `digits@V001` in a spec refers to one, perhaps at a version."""

from __future__ import annotations

from specforge.core.making import KeepsHash, dataclass, hashed_once


@hashed_once
@dataclass(frozen=True, slots=True, order=True)
class Address(KeepsHash):
    """The name of a resource in a project: its kind's prefix and its own name, printed `training.digits`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `KIND.NAME`; raise ValueError if it is not of that form."""
        kind, dot, name = text.partition(".")
        if not (kind and dot and name):
            raise ValueError(f"`{text}` is not an address; an address looks like `training.digits`")
        return cls(kind, name)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a spec field says of another resource: `digits` follows its current version, `digits@V001` stays there."""

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Split `NAME@VERSION`; a text without `@` has no version."""
        name, at, version = text.partition("@")
        return cls(name, version if at else None)
