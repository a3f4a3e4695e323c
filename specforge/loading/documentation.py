"""What the fields of spec classes say about themselves: the text under each field, read from the source when asked for.

Pydantic can collect these texts while it makes the classes, but that costs every command tens of milliseconds, and
only the JSON Schema and the reference pages show them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel


@cache
def documented(spec: type[BaseModel]) -> type[BaseModel]:
    """Return the class, with the text under each field as its description, in the classes inside it too."""
    for model in dict.fromkeys(_models(spec, set())):
        texts = _texts(model)
        for name, info in model.model_fields.items():
            if info.description is None and name in texts:
                info.description = texts[name]
    for model in dict.fromkeys(_models(spec, set())):
        model.model_rebuild(force=True)
    return spec


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Return {field: text under it} of a class and the classes it derives from; the nearest text wins."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        try:
            source = inspect.getsource(each)
        except (OSError, TypeError):
            continue  # made at run time, like the spec of a Store: its fields carry their descriptions
        (tree,) = ast.parse(textwrap.dedent(source)).body
        if isinstance(tree, ast.ClassDef):
            found |= dict(_texts_in(tree))
    return found


def _texts_in(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            yield field.target.id, inspect.cleandoc(after.value.value)


def _models(annotation: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """Give every model class in a type, those inside a class before it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            for info in annotation.model_fields.values():
                yield from _models(info.annotation, seen)
            yield annotation
        return
    for each in get_args(annotation):
        yield from _models(each, seen)
