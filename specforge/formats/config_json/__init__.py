"""config.json: what a model package says of itself. Read, checked with every problem at its place, written.

Equal values give equal bytes. Keys that the format does not name are kept; a misspelt one is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from specforge.formats.config_json.modes import MODES, UNDEFINED
from specforge.formats.config_json.rules import KEYS, MISSPELT, api_problems, check, dependency_problems
from specforge.formats.config_json.text import ConfigError, Problem, dump, parse, placed
from specforge.formats.config_json.values import (
    JSON,
    METRICS,
    MODEL_TYPES,
    MULTIPART,
    Api,
    Dependency,
    Message,
    ModelConfig,
    Package,
    metric,
)

__all__ = [
    "JSON", "METRICS", "MODEL_TYPES", "MODES", "MULTIPART", "NAME", "UNDEFINED", "Api", "ConfigError", "Dependency",
    "Message", "ModelConfig", "Package", "Problem", "api_problems", "apis_of", "check", "dependencies_of",
    "dependency_problems", "metric", "plain", "read", "write",
]  # fmt: skip

NAME = "config.json"


def read(data: bytes) -> ModelConfig:
    """Read a config.json. Raises ConfigError with every problem, each with its line and column."""
    value, text = parse(data)
    problems = check(value)
    if problems:
        raise ConfigError(placed(problems, text))
    metrics = value.get("metrics", {})
    return ModelConfig(
        model_algorithm=value["model_algorithm"],
        model_type=value["model_type"],
        apis=apis_of(value["apis"]),
        runtime=value.get("runtime"),
        swr_location=value.get("swr_location"),
        metrics={key: metric(Decimal(metrics[key])) for key in METRICS if key in metrics},
        dependencies=dependencies_of(value.get("dependencies", [])),
        extra={key: value[key] for key in sorted(value) if key not in KEYS},
    )


def write(config: ModelConfig) -> bytes:
    """Return the bytes of a config.json. Raises ConfigError if the values break its rules."""
    value = plain(config)
    problems = check(value)
    if problems:
        raise ConfigError(problems)
    return dump(value)


def apis_of(value: list[dict[str, Any]]) -> tuple[Api, ...]:
    """Return apis that were checked, as values."""
    return tuple(
        Api(
            _message(each.get("request", {})),
            _message(each.get("response", {})),
            each.get("protocol", each.get(MISSPELT, "http")).lower(),
            each.get("url", "/"),
            each.get("method", "POST").upper(),
        )
        for each in value
    )


def dependencies_of(value: list[dict[str, Any]]) -> tuple[Dependency, ...]:
    """Return dependencies that were checked, as values."""
    return tuple(
        Dependency(
            tuple(
                Package(one["package_name"], one.get("package_version") or None, one.get("restraint") or None)
                for one in each["packages"]
            )
        )
        for each in value
    )


def plain(config: ModelConfig) -> dict[str, Any]:
    """Return the JSON object of a config.json, its keys in their order; what is not given has no key."""
    value: dict[str, Any] = {"model_algorithm": config.model_algorithm, "model_type": config.model_type}
    given = {"runtime": config.runtime, "swr_location": config.swr_location}
    value |= {key: text for key, text in given.items() if text is not None}
    if config.metrics:
        value["metrics"] = {key: metric(config.metrics[key]) for key in METRICS if key in config.metrics}
    value["apis"] = [_api(each) for each in config.apis]
    if config.dependencies:
        value["dependencies"] = [_dependency(each) for each in config.dependencies]
    return {**value, **{key: _sorted(config.extra[key]) for key in sorted(config.extra)}}


def _message(value: Mapping[str, Any]) -> Message:
    return Message(value.get("Content-type", JSON), _floats(value.get("data", {})))


def _floats(value: Any) -> Any:
    """Return a schema with its numbers as validators want them."""
    if isinstance(value, Mapping):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _api(api: Api) -> dict[str, Any]:
    return {
        "protocol": api.protocol,
        "url": api.url,
        "method": api.method,
        "request": _message_object(api.request),
        "response": _message_object(api.response),
    }


def _message_object(message: Message) -> dict[str, Any]:
    return {"Content-type": message.content_type, "data": _sorted(message.data)}


def _dependency(dependency: Dependency) -> dict[str, Any]:
    packages = []
    for each in dependency.packages:
        one = {"package_name": each.name, "package_version": each.version, "restraint": each.restraint}
        packages.append({key: text for key, text in one.items() if text is not None})
    return {"installer": dependency.installer, "packages": packages}


def _sorted(value: Any) -> Any:
    """Return a JSON value whose objects have their keys in order: in a schema their order means nothing."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value
