"""The OpenAPI document of a package: what its config.json says, and every way in which a request can fail."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from specforge.runtimes.server.contract import Contract
from specforge.runtimes.server.problems import CODES

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"enum": sorted(CODES.values())}, "message": {"type": "string"}},
        }
    },
}
_HEALTH = {"type": "object", "required": ["health"], "properties": {"health": {"enum": ["true", "false"]}}}


def document(contract: Contract, name: str) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    paths: dict[str, Any] = {
        "/health": {
            "get": {
                "summary": "Whether the model is loaded and takes requests",
                "responses": {"200": _json("It does", _HEALTH), "503": _json("It does not", _HEALTH)},
            }
        }
    }
    for path, methods in contract.routes.items():
        for method, kinds in methods.items():
            content = {kind: {"schema": _schema(each.api.request.data)} for kind, each in kinds.items()}
            schemas = [_schema(each.api.response.data) for each in kinds.values()]
            response = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            paths.setdefault(path, {})[method.lower()] = {
                "summary": f"Ask the model ({contract.config.model_algorithm})",
                "requestBody": {"required": True, "content": content},
                "responses": {"200": _json("The model's answer", _several(response)), **_errors()},
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1"},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _errors() -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {str(status): _json(HTTPStatus(status).phrase, error) for status in CODES if status not in (404, 405)}


def _json(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _several(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an answer, of which a form with several pictures gets a list."""
    if not schema:
        return schema
    return {"anyOf": [schema, {"type": "object", "required": ["predictions"]}]}


def _schema(schema: Any) -> Any:
    """Return a schema of config.json in the words of OpenAPI: a file is a binary string."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "file":
            rest = {key: value for key, value in schema.items() if key != "type"}
            return {**rest, "type": "string", "format": "binary"}
        return {key: _schema(value) for key, value in schema.items()}
    return [_schema(each) for each in schema] if isinstance(schema, list | tuple) else schema
