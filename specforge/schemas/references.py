"""The references in a spec: every value of a field that carries `Ref` metadata, with its path."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from specforge.core.address import Reference
from specforge.core.making import dataclass
from specforge.schemas.base import Declared, Ref

Path = tuple[str | int, ...]


class Found(NamedTuple):
    """One reference in a spec: where it stands (field names, keys, indices), what it says, and the field's rule."""

    path: Path
    reference: Reference
    ref: Ref


def references(spec: Declared) -> tuple[Found, ...]:
    """Return the references of a spec, nested models, mappings and lists included, in the order of its fields."""
    found: list[Found] = []
    _visit_model(spec, (), found)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Visitor:
    """What to do with a field's value: a text is a reference if there is a `ref`; `items` visits what it contains."""

    ref: Ref | None = None
    models: bool = False
    items: _Visitor | None = None


def _visit_model(model: BaseModel, path: Path, found: list[Found]) -> None:
    for attribute, key, visitor in _fields(type(model)):
        value = getattr(model, attribute)
        if value is None:
            continue
        if visitor.ref is not None and type(value) is str:
            found.append(Found((*path, key), Reference.parse(value), visitor.ref))
        else:
            _visit(value, (*path, key), visitor, found)


def _visit(value: Any, path: Path, visitor: _Visitor, found: list[Found]) -> None:
    if isinstance(value, str):
        if visitor.ref is not None:
            found.append(Found(path, Reference.parse(value), visitor.ref))
    elif isinstance(value, BaseModel):
        if visitor.models:
            _visit_model(value, path, found)
    elif visitor.items is None:
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _visit(item, (*path, key), visitor.items, found)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _visit(item, (*path, index), visitor.items, found)


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, str, _Visitor], ...]:
    """Return (attribute, key in the document, visitor) of the fields in which a reference can stand."""
    fields = []
    for name, info in model.model_fields.items():
        visitor = _visitor(info.annotation, tuple(info.metadata), frozenset((model,)))
        if visitor is not None:
            fields.append((name, info.alias or name, visitor))
    return tuple(fields)


def _visitor(kind: Any, metadata: tuple[Any, ...], above: frozenset[type]) -> _Visitor | None:
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        metadata = (*metadata, *more)
    ref = next((each for each in metadata if isinstance(each, Ref)), None)
    origin, arguments = get_origin(kind), get_args(kind)
    visitors = [_Visitor(ref)] if ref is not None else []
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if _may_refer(kind, above):
            visitors.append(_Visitor(models=True))
    elif origin in (Union, types.UnionType):
        visitors += [each for each in (_visitor(member, (), above) for member in arguments) if each is not None]
    elif isinstance(origin, type) and issubclass(origin, Mapping | list | tuple) and arguments:
        items = _visitor(arguments[1] if issubclass(origin, Mapping) else arguments[0], (), above)
        if items is not None:
            visitors.append(_Visitor(items=items))
    return _merged(visitors)


def _may_refer(model: type[BaseModel], above: frozenset[type]) -> bool:
    # A class inside itself adds nothing that its first occurrence does not say.
    if model in above:
        return True
    inside = above | {model}
    return any(
        _visitor(info.annotation, tuple(info.metadata), inside) is not None for info in model.model_fields.values()
    )


def _merged(visitors: list[_Visitor]) -> _Visitor | None:
    if not visitors:
        return None
    items = _merged([each.items for each in visitors if each.items is not None])
    ref = next((each.ref for each in visitors if each.ref is not None), None)
    return _Visitor(ref, any(each.models for each in visitors), items)
