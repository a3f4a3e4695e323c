"""What others read of a resource: from the record, from a version, from what a store answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.digest import digest_of, identity_of
from specforge.core.queries import Seen
from specforge.core.state import Resource, State, Version
from specforge.core.values import EMPTY, Frozen, Hole, OutputRef, Place, has_holes, holes_in, map_holes
from specforge.schemas.kind import Input, Lifecycle, Part


def version_outputs(place: Place | None, version: Version) -> Frozen:
    """Return the outputs of a recorded version that lies in this store."""
    figures = EMPTY if version.evidence is None else version.evidence.figures
    return _artifact_outputs(
        place, (version.version, version.identity, version.output), version.trees, version.facts, figures
    )


def found_outputs(place: Place, seen: Seen, identity: str, version: str | None) -> Frozen:
    """Return the outputs of what a store answered to FindIdentity or FindVersion; it does not know of evidence."""
    facts = seen.facts
    return _artifact_outputs(
        place, (version, identity, seen.digest), facts.get("trees", EMPTY), facts.get("facts", EMPTY), EMPTY
    )


def _artifact_outputs(
    place: Place | None,
    names: tuple[str | None, str, str | None],
    trees: Mapping[str, str],
    facts: Frozen,
    figures: Frozen,
) -> Frozen:
    version, identity, digest = names
    return Frozen(
        {
            "place": place,
            "version": version,
            "identity": identity,
            "digest": digest,
            "facts": facts,
            "figures": _numbers(figures),
            **{f"tree.{name}": tree for name, tree in trees.items()},
        }
    )


def with_figures(outputs: Frozen, figures: Frozen | None) -> Frozen:
    """Return an artifact's outputs with the figures of evidence that is not the recorded one; None: not known yet."""
    return Frozen(
        {key: value for key, value in outputs.items() if key != "figures"}
        | ({} if figures is None else {"figures": _numbers(figures)})
    )


def _numbers(figures: Frozen) -> Frozen:
    """Return the plain numbers; tables such as a confusion matrix of a thousand labels are nothing for a recipe."""
    return Frozen({key: value for key, value in figures.items() if type(value) in (int, float)})


def recorded_outputs(resource: Resource | None) -> Frozen:
    """Return what others read of a resource as recorded: of an artifact, its current version."""
    if resource is None:
        return EMPTY
    if resource.lifecycle != Lifecycle.ARTIFACT.value:
        return resource.outputs
    current = resource.current_version
    return EMPTY if current is None else version_outputs(resource.place, current)


def stays_current(record: Resource, wished: Place | None) -> str:
    """Say that a newcomer changes nothing; `wished`: the store in which that one lies."""
    where = "" if wished is None or wished.is_at(record.place) else f" in {record.place}"
    return f"{record.current}{where} stays current"


def fill_recorded(value: Any, state: State) -> Any:
    """Return `value` with its holes filled from the record; what was never recorded stays a hole."""
    return _filled(value, lambda address: recorded_outputs(state.resources.get(address)))


def fill_from(value: Any, outputs: Mapping[Address, Mapping[str, Any]]) -> Any:
    """Return `value` with the holes filled that these outputs answer."""
    return _filled(value, lambda address: outputs.get(address, EMPTY))


def _filled(value: Any, outputs: Callable[[Address], Mapping[str, Any]]) -> Any:
    def fill(hole: Hole) -> Any:
        known = outputs(hole.address).get(hole.key) if isinstance(hole, OutputRef) else None
        return hole if known is None else known

    return map_holes(value, fill)


def identity_if_known(part: Part, recipe: Frozen | None = None) -> str | None:
    """Return the identity of a part under its recipe (or this one); None while there are holes in it."""
    recipe = part.recipe if recipe is None else recipe
    try:
        return identity_of(part.prefix, part.revision, recipe)
    except TypeError:  # cheaper than to look for holes first: most recipes have none
        if has_holes(recipe):
            return None
        raise


def waiting_for(value: Any) -> tuple[Address, ...]:
    """Return the addresses whose outputs the holes of `value` stand for."""
    return tuple(dict.fromkeys(hole.address for hole in holes_in(value) if isinstance(hole, OutputRef)))


def followed(inputs: Mapping[str, Input]) -> tuple[Address, ...]:
    """Return the resources that must be done before; a pinned version is there already, it orders nothing."""
    return tuple(dict.fromkeys([each.address for each in inputs.values() if each.version is None]))


def input_mark(outputs: Mapping[str, Any]) -> str | None:
    """Return what is noted of an input for people: an artifact's version, a definition's digest, of a place nothing."""
    if "identity" in outputs:
        return outputs.get("version")
    if not outputs or "place" in outputs or has_holes(Frozen(outputs)):
        return None
    return digest_of(codec.encode(Frozen(outputs)))


def marks_of(inputs: Mapping[str, Input]) -> Frozen:
    """Return what is noted of inputs, for people; of a pinned one under `ADDRESS@VERSION`."""
    marks = {}
    for each in inputs.values():
        name = str(each.address) if each.version is None else f"{each.address}@{each.version}"
        mark = input_mark(each.outputs)
        if mark is not None:
            marks[name] = mark
    return Frozen(marks)
