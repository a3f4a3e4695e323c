"""Field rules read from a spec class's annotations: the references and change rules of every field, nested ones too."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel

from specforge.schemas.base import Change, FieldRule, Ref


@cache
def collect(spec: type[BaseModel]) -> tuple[FieldRule, ...]:
    """Return the rules of a spec class's fields, depth first, in declared order."""
    return tuple(_of_model(spec, (), None))


def _of_model(model: type[BaseModel], path: tuple[str, ...], inherited: Change | None) -> Iterator[FieldRule]:
    for name, info in model.model_fields.items():
        # What a root model holds stands where the model itself stands.
        own = path if issubclass(model, RootModel) else (*path, info.alias or name)
        yield from _of_type(info.annotation, tuple(info.metadata), own, inherited)


def _of_type(
    kind: Any, metadata: tuple[Any, ...], path: tuple[str, ...], inherited: Change | None
) -> Iterator[FieldRule]:
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        metadata = (*metadata, *more)
    ref = next((each for each in metadata if isinstance(each, Ref)), None)
    change = next((each for each in metadata if isinstance(each, Change)), inherited)
    yield FieldRule(path, ref, change)
    yield from _inside(kind, path, change)


def _inside(kind: Any, path: tuple[str, ...], change: Change | None) -> Iterator[FieldRule]:
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _of_model(kind, path, change)
    elif origin in (Union, types.UnionType):
        for each in get_args(kind):
            if each is not type(None):
                yield from (rule for rule in _of_type(each, (), path, change) if rule.path != path or rule.ref)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _of_type(get_args(kind)[1], (), (*path, "*"), change)
    elif origin in (tuple, list):
        yield from _of_type(get_args(kind)[0], (), (*path, "*"), change)
