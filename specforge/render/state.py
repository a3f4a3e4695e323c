"""What was recorded, as text and JSON: the list, one resource, the history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from specforge.core.state import HistoryEntry, Resource, State, Version
from specforge.render import text

SHORT = 12
"""Digits of a digest that are shown to people."""


def render_list(state: State) -> str:
    """Return one line a resource, ended by a newline."""
    if not state.resources:
        return "Nothing is recorded.\n"
    rows = [("ADDRESS", "CURRENT", "STATUS", "UPDATED")]
    for address, resource in sorted(state.resources.items()):
        rows.append((str(address), resource.current or "", status_words(resource), text.moment(resource.updated)))
    return "\n".join(text.table(rows)) + "\n"


def list_json(state: State) -> dict[str, Any]:
    """Return the list as JSON values."""
    return {
        "lineage": state.ref.lineage,
        "serial": state.ref.serial,
        "project": state.project,
        "environment": state.environment,
        "resources": [
            {
                "address": str(address),
                "lifecycle": resource.lifecycle,
                "current": resource.current,
                "status": status_words(resource),
                "updated": resource.updated,
            }
            for address, resource in sorted(state.resources.items())
        ],
    }


def status_words(resource: Resource) -> str:
    """Return what a person wants to know first of a recorded resource."""
    if resource.intent is not None:
        return f"interrupted while it was to {resource.intent.work or 'change'}"
    if resource.held is not None:
        return f"on hold since {text.moment(resource.held)}"
    if resource.below_accept:
        return "below accept"
    if resource.groups:
        return "serving"
    current = resource.current_version
    if current is not None:
        return current.status.value
    if resource.versions:
        return f"no current version ({resource.versions[-1].status.value})"
    return "recorded"


def render_resource(resource: Resource, *, width: int = 100) -> str:
    """Return everything recorded of one resource that people read, ended by a newline."""
    rows = [("lifecycle", resource.lifecycle), ("status", status_words(resource))]
    if resource.place is not None:
        rows.append(("place", str(resource.place)))
    if resource.identity is not None:
        rows.append(("identity", resource.identity))
    if resource.current is not None:
        rows.append(("current", resource.current))
    if resource.waits_for:
        rows.append(("made from", ", ".join(map(str, resource.waits_for))))
    rows.append(("updated", text.moment(resource.updated)))
    lines = [str(resource.address), *text.table(rows, indent="  ")]
    for each in resource.below_accept:
        lines += text.wrap(f"below accept: {each}", width, "  ")
    if resource.outputs:
        lines += ["", "outputs", *_mapping(resource.outputs, "  ", width)]
    if resource.groups:
        lines += ["", "replicas", *text.table(_groups(resource), indent="  ")]
    lines += ["", "spec", *_mapping(json.loads(resource.spec), "  ", width)]
    for version in reversed(resource.versions):
        lines += ["", *_version(version, version.version == resource.current, width)]
    if resource.newcomers is not None:
        lines += ["", f"in {resource.newcomers.place}, where none is accepted yet"]
        for version in reversed(resource.newcomers.versions):
            lines += ["", *_version(version, False, width)]
    return "\n".join(lines) + "\n"


def _groups(resource: Resource) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("GROUP", "SERVES", "SHARE", "COUNT")]
    return rows + [(each.name, each.serves, f"{each.weight}%", str(each.count)) for each in resource.groups]


def render_spec(spec: str, *, width: int = 100) -> str:
    """Return a spec (canonical JSON) as indented lines, ended by a newline."""
    return "\n".join(_mapping(json.loads(spec), "  ", width)) + "\n"


def _version(version: Version, current: bool, width: int) -> Iterator[str]:
    yield f"{version.version}  {version.status.value}{', current' if current else ''}"
    rows = [("identity", f"{version.identity}  build {version.build}"), ("output", version.output)]
    if version.seconds is not None:
        rows.append(("made in", text.duration(version.seconds)))
    if version.created:
        rows.append(("created", text.moment(version.created)))
    if version.inputs:
        rows.append(("inputs", ", ".join(f"{key} {_short(value)}" for key, value in sorted(version.inputs.items()))))
    if version.reproducible != "unknown":
        rows.append(("reproducible", version.reproducible))
    yield from text.table(rows, indent="  ")
    if version.facts:
        yield from _mapping(version.facts, "  ", width)
    if version.evidence is not None:
        yield "  figures"
        yield from figures(version.evidence.figures, "    ", width)


def _short(value: object) -> str:
    words = str(value)
    return words[:SHORT] if len(words) == 64 else words


def figures(values: Mapping[str, Any], indent: str, width: int) -> Iterator[str]:
    """Give the figures of an evaluation: numbers first, then tables per label and matrices."""
    numbers = {key: item for key, item in values.items() if isinstance(item, int | float)}
    yield from text.table([(key, number(item)) for key, item in sorted(numbers.items())], indent=indent)
    for key, item in values.items():
        if key in numbers:
            continue
        rows = _rows(item)
        if rows:
            yield f"{indent}{key}"
            yield from (text.cut(line, width) for line in text.table(rows, indent=indent + "  "))
        else:
            yield from _mapping({key: item}, indent, width)


def _rows(item: object) -> list[tuple[str, ...]]:
    """Return a mapping of mappings with the same numbers, or a labelled matrix, as rows of a table; else nothing."""
    if not isinstance(item, Mapping) or not item:
        return []
    if set(item) == {"labels", "matrix"}:
        labels = [str(each) for each in item["labels"]]
        return [("", *labels), *((label, *map(str, row)) for label, row in zip(labels, item["matrix"], strict=False))]
    inner = list(item.values())
    if not all(isinstance(each, Mapping) and list(each) == list(inner[0]) for each in inner):
        return []
    if not all(isinstance(cell, int | float) for each in inner for cell in each.values()):
        return []
    head = ("", *(str(key).replace("_", " ") for key in inner[0]))
    return [head, *((str(key), *(number(cell) for cell in each.values())) for key, each in item.items())]


def number(value: float) -> str:
    """Return a figure with four digits behind the point at most."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 1e-3 or value == 0 else f"{value:.3g}"


def _mapping(values: Mapping[str, Any], indent: str, width: int) -> Iterator[str]:
    for key, item in values.items():
        if isinstance(item, Mapping) and item and any(isinstance(each, Mapping) for each in item.values()):
            yield f"{indent}{key}"
            yield from _mapping(item, indent + "  ", width)
        elif item is not None:
            head = f"{indent}{key}: "
            yield head + text.value(item, max(width - text.columns(head), 20))


def render_history(entries: Iterable[HistoryEntry]) -> str:
    """Return one line an entry, oldest first, ended by a newline."""
    rows = [
        (str(each.serial), text.moment(each.at), str(each.address or ""), each.event, detail_words(each))
        for each in entries
    ]
    if not rows:
        return "Nothing has happened yet.\n"
    return "\n".join(text.table(rows)) + "\n"


def detail_words(entry: HistoryEntry) -> str:
    """Return the detail of an entry in one line; identities shortened."""
    words = []
    for key, item in entry.detail.items():
        if isinstance(item, str | int | float):
            words.append(f"{key} {text.plain(_short(item))}")
    return ", ".join(words)


def history_json(entries: Iterable[HistoryEntry]) -> list[dict[str, Any]]:
    """Return the entries as JSON values."""
    return [
        {
            "serial": each.serial,
            "at": each.at,
            "operation": each.operation,
            "address": str(each.address) if each.address else None,
            "event": each.event,
            "detail": each.detail,
        }
        for each in entries
    ]


def resource_json(resource: Resource) -> dict[str, Any]:
    """Return everything recorded of one resource as JSON values."""
    intent = resource.intent
    return {
        "address": str(resource.address),
        "lifecycle": resource.lifecycle,
        "status": status_words(resource),
        "place": str(resource.place) if resource.place else None,
        "identity": resource.identity,
        "current": resource.current,
        "below_accept": list(resource.below_accept),
        "groups": [
            {
                "name": each.name,
                "identity": each.identity,
                "place": str(each.place),
                "serves": each.serves,
                "weight": each.weight,
                "count": each.count,
            }
            for each in resource.groups
        ],
        "held": resource.held,
        "waits_for": [str(each) for each in resource.waits_for],
        "updated": resource.updated,
        "spec": json.loads(resource.spec),
        "outputs": _json(resource.outputs),
        "versions": [_version_json(each) for each in resource.versions],
        "newcomers": None
        if resource.newcomers is None
        else {
            "place": str(resource.newcomers.place),
            "versions": [_version_json(each) for each in resource.newcomers.versions],
        },
        "intent": None
        if intent is None
        else {
            "operation": intent.operation,
            "part": intent.part_name,
            "identity": intent.identity,
            "attempt": intent.attempt,
            "started": intent.started,
            "work": intent.work,
            "jobs": [{"place": str(place), "key": key} for place, key in intent.jobs],
        },
    }


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _version_json(version: Version) -> dict[str, Any]:
    evidence = version.evidence
    return {
        "version": version.version,
        "identity": version.identity,
        "build": version.build,
        "output": version.output,
        "trees": version.trees,
        "status": version.status.value,
        "seconds": version.seconds,
        "created": version.created,
        "reproducible": version.reproducible,
        "inputs": version.inputs,
        "facts": version.facts,
        "recipe": json.loads(version.recipe),
        "evidence": None
        if evidence is None
        else {"identity": evidence.identity, "build": evidence.build, "figures": evidence.figures},
    }
