"""What callers may send and what they get, by the package's config.json: routes, and validators made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specforge.formats import config_json
from specforge.formats.config_json import JSON, MULTIPART, Api, ModelConfig
from specforge.runtimes.server import StartError

Check = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Method:
    """What one content type of one path is answered by. `check_*`: None where anything is allowed.

    `files`: the keys under which a form has files; none where any key will do. `fields`: {key of another field: the
    type that its schema gives it}. `required`: the keys that have to be there.
    """

    api: Api
    check_request: Check | None
    check_response: Check | None
    files: tuple[str, ...]
    fields: Mapping[str, str]
    required: tuple[str, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class Contract:
    """The routes: {path: {method: {content type: Method}}}; the engine, and what its loader wants to know."""

    config: ModelConfig
    routes: Mapping[str, Mapping[str, Mapping[str, Method]]]
    engine: str
    columns: tuple[str, ...]
    key: str


def read_contract(package: Path) -> Contract:
    """Read the package's config.json; raises StartError."""
    path = package / "model" / config_json.NAME
    try:
        config = config_json.read(path.read_bytes())
    except OSError as error:
        raise StartError(f"`model/{config_json.NAME}` of the package cannot be read: {error.strerror}") from error
    except config_json.ConfigError as error:
        raise StartError(f"`model/{config_json.NAME}`: {error}") from error
    return contract_of(config)


def contract_of(config: ModelConfig) -> Contract:
    """Return the routes of a config.json; raises StartError for a schema that cannot be used."""
    engines = {word: engine for engine, word in config_json.MODEL_TYPES.items()}
    routes: dict[str, dict[str, dict[str, Method]]] = {}
    for api in config.apis:
        kind = api.request.content_type.partition(";")[0].strip().lower()
        routes.setdefault(api.url, {}).setdefault(api.method, {})[kind] = _method(api, kind)
    pictures = [
        each.files[0]
        for methods in routes.values()
        for kinds in methods.values()
        for each in kinds.values()
        if each.files
    ]
    return Contract(config, routes, engines[config.model_type], _columns(config), (pictures or ["images"])[0])


def _method(api: Api, kind: str) -> Method:
    schema = api.request.data
    properties = schema.get("properties", {}) if kind == MULTIPART else {}
    types = {key: each.get("type") if isinstance(each, Mapping) else None for key, each in properties.items()}
    files = tuple(key for key, word in types.items() if word == "file")
    fields = {key: word if isinstance(word, str) else "string" for key, word in types.items() if word != "file"}
    # A form without `required` still has to bring the files that it is all about.
    required = tuple(schema.get("required", files)) if kind == MULTIPART else ()
    closed = bool(properties)
    check = None if files else _compiled(schema, "request")
    return Method(api, check, _compiled(api.response.data, "response"), files, fields, required, closed)


def _compiled(schema: Mapping[str, Any], what: str) -> Check | None:
    if not schema:
        return None
    import fastjsonschema

    try:
        # Nothing is fetched: references lead within the schema.
        check: Check = fastjsonschema.compile(dict(schema), use_default=False)
    except fastjsonschema.JsonSchemaDefinitionException as error:
        raise StartError(f"the {what} schema in `model/{config_json.NAME}` cannot be used: {error}") from error
    return check


def _columns(config: ModelConfig) -> tuple[str, ...]:
    """Return the columns of a table in their order: the `required` of a row's schema, if there is one."""
    for api in config.apis:
        if api.request.content_type.startswith(JSON):
            at: Any = api.request.data
            for key in ("properties", "data", "properties", "req_data", "items", "required"):
                at = at.get(key) if isinstance(at, Mapping) else None
            if isinstance(at, list | tuple):
                return tuple(map(str, at))
    return ()
