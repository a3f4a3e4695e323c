"""What differs between two specs or two recipes, field by field."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from specforge.core.values import frozen, has_holes
from specforge.planner.plan import FieldChange
from specforge.schemas.base import Change, field_rules
from specforge.schemas.kind import Kind

_MISSING = object()


def field_changes(kind: Kind, before: str, after: str) -> tuple[FieldChange, ...]:
    """Return the fields that differ between two specs (canonical JSON), each with the word of its change rule.

    The recorded spec may have been written by another release: it is read through today's spec class first, so that a
    new optional field is not taken for a change.
    """
    if before == after:
        return ()
    old, new = json.loads(before), json.loads(after)
    with contextlib.suppress(ValueError):  # no longer fits the spec class: then every difference is worth showing
        old = kind.spec.model_validate(old, strict=False).model_dump(mode="json", by_alias=True)
    rules = {rule.path: rule.change for rule in field_rules(kind.spec)}
    return tuple(
        FieldChange(".".join(path), frozen(was), frozen(now), _rule(rules, path).value)
        for path, was, now in _differences(old, new, ())
    )


def _rule(rules: Mapping[tuple[str, ...], Change | None], path: tuple[str, ...]) -> Change:
    """Return the rule of the nearest declared field: a step of the path matches its name or `*`."""
    for length in range(len(path), 0, -1):
        for pattern, change in rules.items():
            fits = len(pattern) == length and all(p in ("*", own) for p, own in zip(pattern, path, strict=False))
            if fits and change is not None:
                return change
    return Change.UPDATE


def _differences(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key, _MISSING), after.get(key, _MISSING), (*path, str(key)))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        if list(before) != list(after):
            yield path, before, after
    elif before is _MISSING or after is _MISSING or before != after or type(before) is not type(after):
        yield path, None if before is _MISSING else before, None if after is _MISSING else after


def recipe_differences(before: str, after: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    """Return (dotted path, before, after) where a recorded recipe (canonical JSON) and a new one differ, in order.

    What still has a hole is not known to differ.
    """
    found = _differences(json.loads(before), after, ())
    return tuple((".".join(path), was, now) for path, was, now in found if not has_holes(now))
