"""Reference pages of kinds, read from their spec classes: fields, types, change rules, examples."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from specforge.loading.documentation import documented
from specforge.schemas.base import Change, Ref, field_rules
from specforge.schemas.kind import Kind

LIFECYCLES = {
    "definition": "a definition: recorded, read by others; nothing is made of it",
    "artifact": "an artifact: immutable versions, addressed by content; a change publishes a new version",
    "service": "a service: live, changed in place",
    "place": "a place: somewhere that data lie or jobs run",
}
RULES = {
    Change.IGNORE: "metadata only",
    Change.UPDATE: "update",
    Change.NEW_VERSION: "new version",
    Change.REPLACE: "replace",
    None: "update",
}


def kind_page(kind: Kind) -> str:
    """Return the page of one kind."""
    lines = [f"# {kind.document}", "", _about(kind), ""]
    lines.append(f"Address: `{kind.prefix}.NAME`. It is {LIFECYCLES[kind.lifecycle.value]}.")
    if kind.version_pattern:
        first, second = kind.version_pattern.format(1), kind.version_pattern.format(2)
        lines.append(f"Versions are named `{first}`, `{second}`, … unless `version` is given.")
    lines += ["", "## Fields", "", *_table(kind.spec), "", "## Examples", ""]
    for example in kind.examples:
        lines += ["```yaml", _yaml(example), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _about(kind: Kind) -> str:
    """Return what the spec class says of itself; one made from its places has nothing to say, its package has."""
    about = _paragraph(kind.spec.__doc__)
    if about != f"A {kind.document}.":
        return about
    package = importlib.import_module(f"specforge.schemas.{kind.prefix}")
    words = _paragraph(package.__doc__).partition(": ")[2]
    return words[:1].upper() + words[1:]


def project_page() -> str:
    """Return the page of the project file."""
    from specforge.loading.project_file import ProjectSpec

    example = {
        "kind": "Project",
        "name": "digits",
        "variables": {"pictures": {"default": "data/digits"}},
        "defaults": {"store": "artifacts", "pool": "here"},
        "environments": {"dev": {"variables": {"pictures": "data/few"}}},
    }
    lines = ["# Project", "", _paragraph(ProjectSpec.__doc__), ""]
    lines.append(
        "The document in `specforge.yaml`, the file that makes a folder a project. It is no resource: it has no"
    )
    lines.append("address, and a change of it changes only what the documents make of it.")
    lines += ["", "## Fields", "", *_table(ProjectSpec, rules=False), "", "## Example", ""]
    lines += ["```yaml", _yaml(example), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(spec: type[BaseModel], *, rules: bool = True) -> Iterator[str]:
    changes = {rule.path: rule.change for rule in field_rules(spec)}
    yield "| field | type | default | " + ("a change means | " if rules else "") + "what it is |"
    yield "|---|---|---|" + ("---|" if rules else "") + "---|"
    for path, info, optional in _fields(spec, ()):
        shown = ".".join({"*": "NAME", "[]": "N"}.get(part, part) for part in path)
        words = type_words(info.annotation, tuple(info.metadata))
        rule = [RULES[_rule(changes, path)]] if rules else []
        cells = [f"`{shown}`", words, _default(info, optional=optional), *rule, _paragraph(info.description)]
        yield f"| {' | '.join(map(_cell, cells))} |"


def _fields(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    """Give (path, field, whether what holds it may be left out), nested models after their field."""
    # What every document has comes first in the class; `name` and `description` belong first in the table too.
    for name, info in documented(model).model_fields.items():
        path = (*prefix, info.alias or name)
        yield path, info, bool(prefix)
        inner, more = _model_in(info.annotation)
        if inner is not None:
            yield from _fields(inner, (*path, *more))


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, tuple[str, ...]]:
    """Return the model that a field holds, and what stands between: nothing, a key, or an index."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ()
    if origin is Annotated:
        return _model_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        found = (_model_in(each) for each in get_args(annotation))
        return next((each for each in found if each[0] is not None), (None, ()))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        model, more = _model_in(get_args(annotation)[1])
        return model, ("*", *more)
    if origin in (list, tuple):
        model, more = _model_in(get_args(annotation)[0])
        return model, ("[]", *more)
    return None, ()


def _rule(changes: Mapping[tuple[str, ...], Change | None], path: tuple[str, ...]) -> Change | None:
    path = tuple("*" if each == "[]" else each for each in path)
    while path:
        if changes.get(path) is not None:
            return changes[path]
        path = path[:-1]
    return None


def type_words(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Return a type as people say it: `text`, `number`, `one of a, b`, `a dataset`, `mapping of NAME to …`."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = (*metadata, *more)
    ref = next((each for each in metadata if isinstance(each, Ref)), None)
    if ref is not None:
        kinds = " or ".join(f"{'an' if each[0] in 'aeiou' else 'a'} {each}" for each in ref.kinds)
        return f"name of {kinds}" + (", `NAME` or `NAME@VERSION`" if ref.versioned else "")
    return _plain_words(annotation)


def _plain_words(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in inner) if len(inner) > 1 else f"`{inner[0]}`"
    if origin in (Union, types.UnionType):
        words = [type_words(each) for each in inner if each is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of names to {_many(type_words(inner[1]))}"
    if origin in (list, tuple):
        return f"list of {_many(type_words(inner[0]))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "any value")


def _many(words: str) -> str:
    return {"text": "texts", "number": "numbers", "whole number": "whole numbers", "mapping": "mappings"}.get(
        words, words
    )


def _default(info: Any, *, optional: bool) -> str:
    ref = next((each for each in info.metadata if isinstance(each, Ref)), None)
    if ref is not None and ref.default:
        return f"the project's `{ref.default}`"
    if info.is_required():
        return "must be given" if not optional else "must be given there"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None or value in ("", {}, [], ()):
        return ""
    import json

    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _yaml(document: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, default_flow_style=False).rstrip()
