"""The JSON Schema of a document, from the installed kinds: for completion and checks in editors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from specforge.loading.documentation import documented
from specforge.loading.project_file import ProjectSpec
from specforge.loading.validation import default_fields
from specforge.schemas.kind import Kinds

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\$\{var\."}
_SCALARS = ("integer", "number", "boolean")


def json_schema(kinds: Kinds) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one document: the word after `kind` decides which fields it has."""
    classes: dict[str, type[BaseModel]] = {"Project": ProjectSpec}
    classes |= {document: kinds.by_document[document].spec for document in sorted(kinds.by_document)}
    definitions: dict[str, Any] = {}
    for document, spec in classes.items():
        definitions |= _definitions(document, spec)
    return {
        "$schema": DIALECT,
        "title": "A document of specforge",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(classes), "description": "What this document declares."}},
        "allOf": [_when(document) for document in classes],
        "$defs": definitions,
    }


def _when(document: str) -> dict[str, Any]:
    condition = {"properties": {"kind": {"const": document}}, "required": ["kind"]}
    return {"if": condition, "then": {"$ref": f"#/$defs/{document}"}}


def _definitions(document: str, spec: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a kind and of the classes inside it, each under a name of its own."""
    whole = documented(spec).model_json_schema(by_alias=True, ref_template=f"#/$defs/{document}.{{model}}")
    inner = whole.pop("$defs", {})
    if "properties" not in whole:  # a class that contains itself is only a reference here
        whole = inner.pop(spec.__name__)
    whole["properties"] = {"kind": {"const": document}, **whole["properties"]}
    fillable = {each.key for each in default_fields(spec)}
    required = [each for each in whole.get("required", []) if each not in fillable]
    whole |= {"title": document, "description": _first_paragraph(spec), "required": ["kind", *required]}
    definitions = {document: whole} | {f"{document}.{name}": each for name, each in inner.items()}
    return {name: _with_expressions(each) for name, each in definitions.items()}


def _first_paragraph(spec: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(spec.__doc__ or "").split("\n\n")[0].split())


def _with_expressions(definition: dict[str, Any]) -> dict[str, Any]:
    """Allow `${var.NAME}` where a value is not a free text, since the variable may have the type that is wanted."""
    properties = {
        name: each if name == "kind" else _value(each) for name, each in definition.get("properties", {}).items()
    }
    return {**definition, "properties": properties} if properties else definition


def _value(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    inside = dict(schema)
    for word in ("additionalProperties", "items"):
        if isinstance(inside.get(word), Mapping):
            inside[word] = _value(inside[word])
    if "patternProperties" in inside:
        inside["patternProperties"] = {key: _value(each) for key, each in inside["patternProperties"].items()}
    if "anyOf" in inside:
        inside["anyOf"] = [*inside["anyOf"], _EXPRESSION]
        return inside
    typed = inside.get("type") in _SCALARS or any(word in inside for word in ("const", "enum", "pattern", "$ref"))
    if not typed:
        return inside
    about = {key: inside.pop(key) for key in ("title", "description", "default") if key in inside}
    return {**about, "anyOf": [inside, _EXPRESSION]}
