"""Events of an apply as JSON objects, and the JSON Schema they follow (docs/events.schema.json).

The event classes belong to the engine, above this package: they are read here by their fields only.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin, get_type_hints

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.render.diagnostics import diagnostics_json

NAMES = {
    "Started": "start",
    "ChangeStarted": "change_start",
    "StepStarted": "step_start",
    "StepProgress": "step_progress",
    "ChangeEnded": "change_end",
    "RunEnded": "run_end",
    "Ended": "end",
}
"""What each event class is called in the JSON form."""


def events_json(event: Any, *, format_number: int = 1) -> dict[str, Any]:
    """Return one event as JSON values: `event`, then its fields; the first event also says the format."""
    name = NAMES[type(event).__name__]
    body: dict[str, Any] = {"event": name}
    if name == "start":
        body["format"] = format_number
    for each in dataclasses.fields(event):
        body[each.name] = _field(each.name, getattr(event, each.name))
    return body


def error_json(at: float, diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """Return the event that stands for an error outside of any change: a lock, a stale plan, a wrong file."""
    return {"event": "error", "at": at, "diagnostics": diagnostics_json(tuple(diagnostics))}


def _field(name: str, value: Any) -> Any:
    if isinstance(value, Address):
        return str(value)
    if name == "diagnostics":
        return diagnostics_json(value)
    if name == "counts":
        return dict(value)
    return value


def event_schema(classes: Iterable[type], format_number: int) -> dict[str, Any]:
    """Return the JSON Schema of one line, derived from the event classes and their docstrings."""
    options = [_schema_of(cls, format_number) for cls in classes]
    options.append(
        _object("error", "The apply could not begin or go on; not about one change.", {"diagnostics": DIAGNOSTICS})
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event of spec apply or spec destroy: one JSON object a line",
        "oneOf": options,
        "$defs": {"diagnostic": DIAGNOSTIC},
    }


def _schema_of(cls: type, format_number: int) -> dict[str, Any]:
    hints = get_type_hints(cls)
    properties = {each.name: _type_schema(each.name, hints[each.name]) for each in dataclasses.fields(cls)}
    if NAMES[cls.__name__] == "start":
        properties = {"format": {"const": format_number}, **properties}
    description = " ".join((cls.__doc__ or "").split())
    return _object(NAMES[cls.__name__], description, properties)


def _object(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    properties = {"event": {"const": name}, "at": {"type": "number"}, **properties}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
    }


DIAGNOSTICS = {"type": "array", "items": {"$ref": "#/$defs/diagnostic"}}
DIAGNOSTIC = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": "^SF[0-9]{3}$"},
        "severity": {"enum": ["error", "warning"]},
        "summary": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["code", "severity", "summary", "detail"],
}


def _type_schema(name: str, hint: Any) -> dict[str, Any]:
    if name == "diagnostics":
        return DIAGNOSTICS
    if name == "counts":
        return {"type": "object", "additionalProperties": {"type": "integer"}}
    if get_origin(hint) in (Union, types.UnionType):
        return {"anyOf": [_type_schema("", each) for each in get_args(hint)]}
    if hint is Address:
        return {"type": "string", "pattern": "^[^.]+\\..+$"}
    if hint is type(None):
        return {"type": "null"}
    simple = {float: "number", int: "integer", str: "string", bool: "boolean"}
    return {"type": simple[hint]}
