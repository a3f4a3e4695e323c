"""Frozen dataclasses to JSON and back: for saved plans, intents and state.

A value of a registered class becomes `{"$": "ClassName", field: value, …}` without the fields that have their default,
so that a field added later reads old files. Only registered classes are decoded.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

from specforge.core import address, diagnostics, queries, serving, source, state, steps, values
from specforge.core.values import Frozen

Registry = dict[str, type]


def registry_of(*modules: object) -> Registry:
    """Return the dataclasses and enums that these modules define, by name."""
    found: Registry = {}
    for module in modules:
        for name, value in vars(module).items():
            if not (isinstance(value, type) and value.__module__ == getattr(module, "__name__", "")):
                continue
            if value is not Frozen and (dataclasses.is_dataclass(value) or issubclass(value, Enum)):
                found[name] = value
    return found


CORE = registry_of(address, diagnostics, queries, serving, source, state, steps, values)


def encode(value: Any) -> Any:
    """Return the JSON form of `value`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        body: dict[str, Any] = {"$": type(value).__name__}
        for each in dataclasses.fields(value):
            item = getattr(value, each.name)
            if each.default is not dataclasses.MISSING and item == each.default and type(item) is type(each.default):
                continue
            body[each.name] = encode(item)
        return body
    if isinstance(value, Enum):
        return {"$": type(value).__name__, "value": value.value}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def decode(value: Any, registry: Registry = CORE) -> Any:
    """Return the value that `encode` was given; mappings come back `Frozen`, lists as tuples.

    Raises ValueError for a class that is not registered or fields that do not fit.
    """
    if isinstance(value, dict):
        name = value.get("$")
        if name is None:
            return Frozen({key: decode(item, registry) for key, item in value.items()})
        cls = registry.get(name)
        if cls is None:
            raise ValueError(f"this release does not know `{name}`")
        if issubclass(cls, Enum):
            return cls(value["value"])
        try:
            return cls(**{key: decode(item, registry) for key, item in value.items() if key != "$"})
        except TypeError as error:
            raise ValueError(f"`{name}` does not fit: {error}") from error
    if isinstance(value, list):
        return tuple(decode(item, registry) for item in value)
    return value
