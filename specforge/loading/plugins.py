"""The kinds and places of this installation, found by the entry points `specforge.kinds` and `specforge.places`."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PluginError
from specforge.schemas.kind import Kind, Kinds, PlaceType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS = "specforge.kinds"
PLACES = "specforge.places"
OWN = "specforge"
SWITCH = "SPECFORGE_PLUGINS"
"""Environment variable; `none`: only the kinds and places that come with specforge itself."""

_FAMILIES = ("store", "pool")

T = TypeVar("T")


def installed_kinds() -> Kinds:
    """Return what is installed; raises PluginError naming every distribution whose entry point is broken."""
    from importlib import metadata

    found = metadata.entry_points()
    only_own = os.environ.get(SWITCH) == "none"
    points = [
        each
        for group in (KINDS, PLACES)
        for each in found.select(group=group)
        if not only_own or _distribution(each) == OWN
    ]
    return kinds_of(points)


def kinds_of(points: Iterable[EntryPoint]) -> Kinds:
    """Return the kinds and places that these entry points name; raises PluginError."""
    diagnostics: list[Diagnostic] = []
    ordered = sorted(points, key=lambda each: (_distribution(each) != OWN, _distribution(each), each.name))
    kinds = _loaded([each for each in ordered if each.group == KINDS], Kind, diagnostics)
    places = _loaded([each for each in ordered if each.group == PLACES], PlaceType, diagnostics)
    by_document = _by(kinds, lambda kind: kind.document, "the kind", diagnostics)
    by_prefix = _by(kinds, lambda kind: kind.prefix, "the prefix", diagnostics)
    by_driver = _by(places, lambda place: place.driver, "the driver", diagnostics)
    if not by_document and not diagnostics:
        detail = "no distribution here offers any kind, not even specforge itself"
        diagnostics.append(Diagnostic("SF504", "No kinds", detail, hint="install specforge with pip or uv"))
    if diagnostics:
        raise PluginError(diagnostics)
    with_drivers = {kind.prefix: with_places(kind, by_driver) for kind in by_prefix.values()}
    return Kinds(with_drivers, {kind.document: kind for kind in with_drivers.values()}, by_driver)


def with_places(kind: Kind, places: Mapping[str, PlaceType]) -> Kind:
    """Return Store or Pool with a key for each driver of its family; other kinds as they are."""
    if kind.prefix not in _FAMILIES:
        return kind
    module = importlib.import_module(f"specforge.schemas.{kind.prefix}")
    return dataclasses.replace(kind, spec=module.spec_for(places))


def _loaded(points: Iterable[EntryPoint], wanted: type[T], diagnostics: list[Diagnostic]) -> list[tuple[EntryPoint, T]]:
    found = []
    for point in points:
        try:
            value = point.load()
        except Exception as error:  # noqa: BLE001  a plugin's code runs here, and may fail in any way
            diagnostics.append(_broken(point, f"it cannot be loaded: {type(error).__name__}: {error}"))
            continue
        if isinstance(value, wanted):
            found.append((point, value))
        else:
            diagnostics.append(_broken(point, f"it is not a {wanted.__name__} but a {type(value).__name__}"))
    return found


def _by(
    found: Iterable[tuple[EntryPoint, T]], key: Callable[[T], str], what: str, diagnostics: list[Diagnostic]
) -> dict[str, T]:
    chosen: dict[str, tuple[EntryPoint, T]] = {}
    for point, value in found:
        first = chosen.setdefault(key(value), (point, value))
        if first[1] is not value:
            names = f"`{_distribution(first[0])}` and `{_distribution(point)}`"
            detail = f"{what} `{key(value)}` is offered by two distributions, {names}"
            hint = f"uninstall one of them, or set {SWITCH}=none to use neither"
            diagnostics.append(Diagnostic("SF503", "Plugins collide", detail, hint=hint))
    return {name: value for name, (_, value) in chosen.items()}


def _broken(point: EntryPoint, problem: str) -> Diagnostic:
    detail = f"the entry point `{point.name} = {point.value}` of the distribution `{_distribution(point)}`: {problem}"
    hint = f"repair or uninstall `{_distribution(point)}`, or set {SWITCH}=none"
    return Diagnostic("SF501", "Broken plugin", detail, hint=hint)


def _distribution(point: Any) -> str:
    return point.dist.name if point.dist is not None else "?"
