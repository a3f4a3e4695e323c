"""Frozen dataclasses that are cheap: to define, because every command defines two hundred; and to make and look up,
because a plan of ten thousand resources makes half a million values.

The standard decorator compiles five to eight functions for every frozen class, a third of what a plan costs that has
nothing to do. Here one is compiled, `__init__`; the others are shared by all classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")
_NOT_GIVEN = object()

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, order: bool = False) -> Any:
        """Do what `dataclasses.dataclass` does, cheaply for a class with `frozen=True, slots=True`."""

        def make(cls: type) -> type:
            if not (frozen and slots):
                return dataclasses.dataclass(cls, frozen=frozen, slots=slots, order=order)
            return _frozen(cls, order)

        return make if cls is None else make(cls)


def _frozen(cls: type[T], order: bool) -> type[T]:
    written = set(vars(cls))
    made = dataclasses.dataclass(cls, init=False, repr=False, eq=order, order=order, slots=True)
    _add_init(made)
    names = [each.name for each in dataclasses.fields(made)]  # type: ignore[arg-type]
    for name, function in _shared(names).items():
        if name not in written:
            setattr(made, name, function)
    return made


def _add_init(cls: type) -> None:
    """Give the class an `__init__` that calls the slots' own setters: they need not be found by name for every value,
    and know nothing of being frozen.
    """
    names: dict[str, Any] = {"not_given": _NOT_GIVEN}
    parameters, lines = ["self"], []
    for each in dataclasses.fields(cls):
        names[f"set_{each.name}"] = getattr(cls, each.name).__set__
        value, default = each.name, ""
        if each.default is not dataclasses.MISSING:
            names[f"default_{each.name}"] = each.default
            default = f"=default_{each.name}"
        elif each.default_factory is not dataclasses.MISSING:
            names[f"make_{each.name}"] = each.default_factory
            value, default = f"make_{each.name}() if {each.name} is not_given else {each.name}", "=not_given"
        parameters.append(each.name + default)
        lines.append(f" set_{each.name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"]), names)  # noqa: S102 - as dataclasses do
    made = names["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {each.name: each.type for each in dataclasses.fields(cls)} | {"return": None}
    cls.__init__ = made  # type: ignore[misc]


def _shared(names: list[str]) -> dict[str, Callable[..., Any]]:
    """Return the methods of a frozen class with these fields; but for which fields, they are the same for all."""
    values: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807 - it becomes the class's own, as those below
        if self is other:
            return True
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    def __repr__(self: Any) -> str:  # noqa: N807
        shown = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __getstate__(self: Any) -> list[Any]:  # noqa: N807
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:  # noqa: N807
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__eq__": __eq__,
        "__hash__": __hash__,
        "__repr__": __repr__,
        "__getstate__": __getstate__,
        "__setstate__": __setstate__,
        "__setattr__": _refuse_setting,
        "__delattr__": _refuse_deleting,
    }


def _refuse_setting(_: object, name: str, __: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(_: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


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
