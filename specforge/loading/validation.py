"""One document's data to its spec, or to problems in plain words at their paths."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from specforge.loading.positions import Path, Problem
from specforge.loading.variables import did_you_mean
from specforge.schemas.base import NAME_PATTERN, field_rules

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "none_required": "nothing",
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "a mapping"
    ),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
}
_NUL = re.compile("\0")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""A text on the command line may hold one: that is how Python keeps bytes that are not UTF-8. YAML cannot."""
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


class DefaultField(NamedTuple):
    """A top-level field that the project's `defaults` can fill: its key, the default's name, whether it must be set."""

    key: str
    default: str
    required: bool


@cache
def default_fields(spec: type[BaseModel]) -> tuple[DefaultField, ...]:
    """Return the fields of a spec class whose `Ref` names a default."""
    by_key = {info.alias or name: info for name, info in spec.model_fields.items()}
    return tuple(
        DefaultField(rule.path[0], rule.ref.default, by_key[rule.path[0]].is_required())
        for rule in field_rules(spec)
        if len(rule.path) == 1 and rule.ref is not None and rule.ref.default is not None
    )


def validate(spec: type[M], data: Mapping[str, Any]) -> tuple[M | None, list[Problem]]:
    """Return the spec of a document's data (without `kind`), or None and what is wrong.

    Documents are JSON data: they are validated as JSON, where a list may be a tuple and a text an enum member.
    """
    try:
        text = to_json(data)
    except PydanticSerializationError:
        return None, _texts(data, _HALF_CHARACTER, "a text must be valid Unicode")
    if b"\\u0000" in text and (problems := _texts(data, _NUL, "a text cannot hold a NUL character")):
        return None, problems
    try:
        return spec.__pydantic_validator__.validate_json(text), []
    except ValidationError as error:
        return None, explain(error, spec, data)


def _texts(data: Mapping[str, Any], wrong: re.Pattern[str], detail: str) -> list[Problem]:
    """Return a problem for each text of a document that holds what a text cannot hold."""
    return [Problem(path, "SF110", "Wrong value", detail) for path in _paths(data, (), wrong)]


def _paths(value: Any, path: Path, wrong: re.Pattern[str]) -> Iterator[Path]:
    if isinstance(value, str):
        if wrong.search(value):
            yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(item, (*path, key), wrong)


def explain(error: ValidationError, spec: type[BaseModel], data: Any) -> list[Problem]:
    """Return what pydantic found wrong, in our words; of a choice of types only the one that was meant is told."""
    found = [_Fault(each, data) for each in error.errors(include_url=False)]
    plain = [each for each in found if each.branch is None]
    problems = [_problem(each, spec) for each in plain]
    choices: dict[Path, list[_Fault]] = {}
    for each in found:
        if each.branch is not None:
            choices.setdefault(each.choice, []).append(each)
    for path, faults in choices.items():
        problems += _choice(path, faults, spec)
    # A field that is only misspelt is not missing too.
    misspelt = {(each.path[:-1], each.hint) for each in problems if each.code == "SF108"}
    return [
        each
        for each in problems
        if each.code != "SF109"
        or (each.path[:-1], did_you_mean(str(each.path[-1]), [str(each.path[-1])])) not in misspelt
    ]


class _Fault:
    """One error of pydantic: `path` exists in the data, but for a missing field at its end.

    Where the data leave pydantic's location, a choice of types begins: `choice` is the path of it, `branch` the word
    pydantic uses for the type it tried.
    """

    def __init__(self, error: Mapping[str, Any], data: Any) -> None:
        self.type: str = error["type"]
        self.message: str = error["msg"]
        self.input = error["input"]
        self.context: Mapping[str, Any] = error.get("ctx", {})
        self.branch: str | None = None
        self.choice: Path = ()
        self.at_key = self.type == "extra_forbidden"
        path: list[str | int] = []
        here = data
        location = list(error["loc"])
        missing = location.pop() if self.type == "missing" else None
        for step in location:
            if (isinstance(here, dict) and step in here) or (isinstance(here, list) and step in range(len(here))):
                here = here[step]
                path.append(step)
            elif step == "[key]":
                self.at_key = True
            elif self.branch is None:
                self.branch, self.choice = str(step), tuple(path)
        self.path: Path = tuple(path) if missing is None else (*path, missing)

    @property
    def expected(self) -> str | None:
        """What kind of value would have been right, if the kind of value is what is wrong."""
        if self.type in ("literal_error", "enum"):
            return _quoted(self.context["expected"])
        return _EXPECTED.get(self.type)


def _choice(path: Path, faults: list[_Fault], spec: type[BaseModel]) -> list[Problem]:
    branches: dict[str, list[_Fault]] = {}
    for each in faults:
        branches.setdefault(each.branch or "", []).append(each)
    meant = [each for each in branches.values() if any(fault.path != path or fault.expected is None for fault in each)]
    if meant:
        return [_problem(each, spec) for each in min(meant, key=len)]
    words = dict.fromkeys(each.expected or "" for each in faults)
    if "a number" in words:
        words.pop("a whole number", None)
    expected = _either(words)
    detail = f"expected {expected}, got {shown(faults[0].input)}"
    return [Problem(path, "SF110", "Wrong value", detail)]


def _problem(fault: _Fault, spec: type[BaseModel]) -> Problem:
    if fault.type == "extra_forbidden":
        known = _fields_at(spec, fault.path[:-1])
        hint = did_you_mean(str(fault.path[-1]), known) or "known: " + ", ".join(f"`{each}`" for each in sorted(known))
        detail = f"`{fault.path[-1]}` is not a field here"
        return Problem(fault.path, "SF108", "Unknown field", detail, hint, at_key=True)
    if fault.type == "missing":
        return Problem(fault.path, "SF109", "Missing field", f"`{fault.path[-1]}` must be given")
    if fault.type == "string_pattern_mismatch" and fault.context.get("pattern") == NAME_PATTERN:
        detail = f"{shown(fault.input)} is not allowed as a name"
        hint = "a name has letters, digits, `_`, `-` and Chinese characters, and begins with a letter or digit"
        return Problem(fault.path, "SF120", "Bad name", detail, hint, at_key=fault.at_key)
    detail, todo = _wrong(fault)
    return Problem(fault.path, "SF110", "Wrong value", detail, todo, at_key=fault.at_key)


def _wrong(fault: _Fault) -> tuple[str, str | None]:
    value, context = shown(fault.input), fault.context
    expected = fault.expected
    if expected is not None:
        hint = None
        if fault.type == "string_type" and isinstance(fault.input, bool | int | float):
            hint = f'to mean a text, quote it: "{json.dumps(fault.input)}"'
        elif fault.type in ("literal_error", "enum") and isinstance(fault.input, str):
            hint = did_you_mean(fault.input, re.findall(r"'([^']*)'", str(context["expected"])))
        return f"expected {expected}, got {value}", hint
    if fault.type in _BOUNDS:
        key, words = _BOUNDS[fault.type]
        bound = context[key]
        return f"must be {words} {bound:g}, is {value}" if isinstance(
            bound, float
        ) else f"must be {words} {bound}, is {value}", None
    if fault.type in ("string_too_long", "too_long"):
        unit = "characters" if fault.type.startswith("string") else "items"
        return f"has {len(fault.input)} {unit}, at most {context['max_length']} are allowed", None
    if fault.type in ("string_too_short", "too_short"):
        return ("must not be empty" if context["min_length"] == 1 else f"needs at least {context['min_length']}"), None
    if fault.type == "string_pattern_mismatch":
        return f"{value} does not have the form `{context['pattern']}`", None
    message = str(context["error"]) if fault.type in ("value_error", "assertion_error") else fault.message
    return message.replace("Input should", "should"), None


def shown(value: Any) -> str:
    """Return how a value of a document is shown in a message: short, in backticks where it is the user's own text."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "…"
        return f"`{text}`" if text else "an empty text"
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return f"`{json.dumps(value)}`"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def _quoted(expected: str) -> str:
    return re.sub(r"'([^']*)'", r"`\1`", expected)


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _fields_at(spec: type[BaseModel], path: Path) -> list[str]:
    """Return the fields that the models at this path of a spec class have."""
    kinds: list[Any] = [spec]
    for step in path:
        kinds = [inner for kind in kinds for each in _unwrapped(kind) for inner in _inside(each, step)]
    models = [
        each for kind in kinds for each in _unwrapped(kind) if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    return [info.alias or name for model in models for name, info in model.model_fields.items()]


def _unwrapped(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Annotated:
        yield from _unwrapped(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for each in get_args(kind):
            yield from _unwrapped(each)
    else:
        yield kind


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from (info.annotation for name, info in kind.model_fields.items() if (info.alias or name) == step)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield get_args(kind)[1]
    elif isinstance(origin, type) and issubclass(origin, list | tuple):
        yield get_args(kind)[0]
