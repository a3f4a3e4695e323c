"""The JSON Schemas inside a config.json: are they schemas at all? What they are used for is the model server's work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from specforge.formats.config_json.text import Path, Problem

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
FILE = "file"
"""A type of our own, as the source systems have it: a file of a multipart request."""

_SCHEMA = ("additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then")
_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
_COUNTS = (
    "maxContains", "maxItems", "maxLength", "maxProperties",
    "minContains", "minItems", "minLength", "minProperties",
)  # fmt: skip
_NUMBERS = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")
_TEXTS = ("$schema", "description", "format", "title")


def schema_problems(schema: Any, path: Path, *, files: bool = False) -> list[Problem]:
    """Return what is wrong with a schema. Unknown keywords mean nothing, as everywhere in JSON Schema.

    `files`: the type `file` may be used.
    """
    return list(_Checker(schema, (*TYPES, FILE) if files else TYPES).problems(schema, path))


class _Checker:
    def __init__(self, root: Any, types: tuple[str, ...]) -> None:
        self.root = root
        self.types = types
        self.keywords: Mapping[str, Callable[[Any, Path], Iterator[Problem]]] = {
            "type": self.type,
            "items": self.items,
            "required": self.required,
            "enum": self.enum,
            "pattern": self.pattern,
            "uniqueItems": self.flag,
            "$ref": self.reference,
            **dict.fromkeys(_SCHEMA, self.problems),
            **dict.fromkeys(_SCHEMAS, self.schemas),
            **dict.fromkeys(_NAMED, self.named),
            **dict.fromkeys(_COUNTS, self.count),
            **dict.fromkeys(_NUMBERS, self.number),
            **dict.fromkeys(_TEXTS, self.text),
        }

    def problems(self, schema: Any, path: Path) -> Iterator[Problem]:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            yield Problem(path, "must be a schema: an object")
            return
        for keyword, value in schema.items():
            check = self.keywords.get(keyword)
            if check is not None:
                yield from check(value, (*path, keyword))

    def type(self, value: Any, path: Path) -> Iterator[Problem]:
        words = value if isinstance(value, list) else [value]
        for each in words:
            if not isinstance(each, str) or each not in self.types:
                yield Problem(path, f"is {_shown(each)}, not one of {', '.join(self.types)}")
        if not words or len(set(map(str, words))) < len(words):
            yield Problem(path, "must name at least one type, and none twice")

    def items(self, value: Any, path: Path) -> Iterator[Problem]:
        return self.schemas(value, path) if isinstance(value, list) else self.problems(value, path)

    def schemas(self, value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list) or not value:
            yield Problem(path, "must be a list of schemas that is not empty")
            return
        for number, each in enumerate(value):
            yield from self.problems(each, (*path, number))

    def named(self, value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, "must be an object with a schema for each name")
            return
        for name, each in value.items():
            if path[-1] == "patternProperties":
                yield from self.pattern(name, (*path, name))
            yield from self.problems(each, (*path, name))

    def required(self, value: Any, path: Path) -> Iterator[Problem]:
        names = value if isinstance(value, list) else [None]
        if not all(isinstance(each, str) for each in names) or len(set(names)) < len(names):
            yield Problem(path, "must be a list of names, none twice")

    def enum(self, value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list) or not value:
            yield Problem(path, "must be a list of values that is not empty")

    def pattern(self, value: Any, path: Path) -> Iterator[Problem]:
        try:
            re.compile(value)
        except (TypeError, re.error) as error:
            why = f": {error}" if isinstance(value, str) else ""
            yield Problem(path, f"is not a regular expression{why}")

    def flag(self, value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield Problem(path, "must be true or false")

    def count(self, value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            yield Problem(path, "must be a whole number from 0")

    def number(self, value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            yield Problem(path, "must be a number")
        elif path[-1] == "multipleOf" and value <= 0:
            yield Problem(path, "must be more than 0")

    def text(self, value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem(path, "must be a text")

    def reference(self, value: Any, path: Path) -> Iterator[Problem]:
        """A reference leads within the same schema: nothing is fetched while a request waits."""
        if not isinstance(value, str) or not self.leads_somewhere(value):
            yield Problem(path, f"is {_shown(value)}, which leads nowhere in this schema; write it like `#/$defs/NAME`")

    def leads_somewhere(self, pointer: str) -> bool:
        mark, *keys = pointer.split("/")
        at = self.root
        for key in keys:
            name = key.replace("~1", "/").replace("~0", "~")
            if isinstance(at, list) and name.isdecimal() and int(name) < len(at):
                at = at[int(name)]
            elif isinstance(at, dict) and name in at:
                at = at[name]
            else:
                return False
        return mark == "#" and isinstance(at, dict | bool)


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else "no text"
