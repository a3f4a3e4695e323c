"""Frozen dataclasses that are made and looked up quickly: a plan of ten thousand resources makes half a million."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

T = TypeVar("T")


def made_quickly(cls: type[T]) -> type[T]:
    """Give a frozen dataclass with slots an `__init__` of the same signature that takes half the time.

    The usual one sets every field by `object.__setattr__`, which has to find the slot by its name; this one calls the
    slots' own setters. Stands above `@dataclass(frozen=True, slots=True)`, on classes of which there are very many.
    """
    names: dict[str, Any] = {}
    parameters, lines = ["self"], []
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        names[f"set_{each.name}"] = getattr(cls, each.name).__set__
        value, default = each.name, ""
        if each.default is not dataclasses.MISSING:
            names[f"default_{each.name}"] = each.default
            default = f"=default_{each.name}"
        elif each.default_factory is not dataclasses.MISSING:
            names[f"make_{each.name}"] = each.default_factory
            names["default"] = _DEFAULT
            value, default = f"make_{each.name}() if {each.name} is default else {each.name}", "=default"
        parameters.append(each.name + default)
        lines.append(f" set_{each.name}(self, {value})")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), names)  # noqa: S102 - as dataclasses do
    made = names["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {**cls.__init__.__annotations__}
    cls.__init__ = made  # type: ignore[method-assign]
    return cls


_DEFAULT = object()


class KeepsHash:
    """Keeps the hash of a value that is looked up again and again, see `hashed_once`. Not a field: no part of it."""

    __slots__ = ("_hash",)
    _hash: int


H = TypeVar("H", bound=KeepsHash)


def hashed_once(cls: type[H]) -> type[H]:
    """Let a frozen dataclass compute its hash only when it is first asked for."""
    compute = cls.__hash__

    def __hash__(self: H) -> int:  # noqa: N807 - it becomes the class's own
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", compute(self))
            return self._hash

    cls.__hash__ = __hash__  # type: ignore[assignment]
    return cls
