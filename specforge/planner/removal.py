"""What happens to what is recorded but no longer declared, and to everything on `destroy`.

An artifact is forgotten: its reference is released, its data stay in the store, and that is said. A definition is
dropped from the record. A place loses what we made there, never what was published or what the user owns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specforge.core.address import Address
from specforge.core.queries import LookAtPlace, Presence
from specforge.core.state import Resource, Version
from specforge.core.steps import EnsurePlace, EnsureReplicas, Release, SetRoutes, Step, Unpublish
from specforge.core.values import EMPTY, Place
from specforge.planner.plan import Action, Change, Reason
from specforge.planner.planning import Planning
from specforge.schemas.kind import Lifecycle

Build = tuple[str, int]
"""An identity and the number of its build."""


def removals(planning: Planning, addresses: Iterable[Address]) -> tuple[Change, ...]:
    """Return the changes that take these recorded resources away: what others wait for comes after them."""
    recorded = {each: planning.state.resources[each] for each in addresses}
    return tuple(_removal(planning, recorded[address]) for address in _last_first(recorded))


def _last_first(recorded: Mapping[Address, Resource]) -> list[Address]:
    """Order by the recorded dependencies, for the YAML may be gone: dependants before what they were made from."""
    depth: dict[Address, int] = {}
    for start in recorded:
        path = {start: None}  # a stack, not recursion: chains may be thousands long
        while path:
            address = next(reversed(path))
            inputs = [each for each in recorded[address].waits_for if each in recorded]
            missing = next((each for each in inputs if each not in depth and each not in path), None)
            if missing is None:
                depth[address] = 1 + max((depth[each] for each in inputs if each in depth), default=0)
                del path[address]
            else:
                path[missing] = None
    # Places last: of what was begun and never made, the record names no inputs, but its run goes on at a place.
    places = {address for address, record in recorded.items() if record.lifecycle == Lifecycle.PLACE.value}
    return sorted(recorded, key=lambda address: (address in places, -depth[address], address))


def _removal(planning: Planning, record: Resource) -> Change:
    kind = planning.project.kinds.by_prefix.get(record.address.kind)
    lifecycle = Lifecycle(record.lifecycle)
    reasons = () if planning.options.destroy else (Reason("no longer declared"),)
    action = (
        Action.FORGET if lifecycle is Lifecycle.ARTIFACT and not planning.options.delete_artifacts else Action.DELETE
    )
    steps = _steps(planning, record)
    unreachable = _unreachable(planning, record)
    if unreachable:
        action, steps, reasons = Action.NOOP, (), ()
    return Change(
        record.address,
        kind.document if kind else record.address.kind,
        record.lifecycle,
        action,
        reasons=reasons,
        steps=steps,
        place=record.place,
        version=record.current,
        before=record,
        waits_for=record.waits_for,
        note=unreachable or _kept_note(record, action),
    )


def _steps(planning: Planning, record: Resource) -> tuple[Step, ...]:
    if record.place is None:
        return ()
    if record.lifecycle == Lifecycle.PLACE.value:
        return (EnsurePlace(record.place, None),)
    if record.lifecycle == Lifecycle.SERVICE.value:
        return stop_steps(record)
    delete = planning.options.delete_artifacts
    steps = [release_steps(store, builds_at(record, store), delete=delete) for store in record.stores()]
    return tuple(step for each in steps for step in each)


def stop_steps(record: Resource) -> tuple[Step, ...]:
    """Return the steps that give a service's address up and end all of its replicas."""
    steps = leave_steps(record)
    ends = (EnsureReplicas(each.place, each.name, None, 0, name=f"end-{each.name}") for each in record.groups)
    return (*steps, *ends)


def leave_steps(record: Resource, stays: Place | None = None) -> tuple[Step, ...]:
    """Return the steps that give a service's address up wherever it may be held, except at the place where it `stays`.

    While a service is moved, its routes are at the place that is recorded, or at that of groups that are begun.
    """
    route = record.outputs.get("route")
    places = [each for each in (record.place, *(group.place for group in record.groups)) if each is not None]
    distinct = {(each.driver, each.id): each for each in places if not each.is_at(stays)}
    if route is None:
        return ()
    return tuple(SetRoutes(each, route, None, EMPTY) for each in distinct.values())


def release_steps(store: Place, builds: Iterable[Build], *, delete: bool = False) -> tuple[Step, ...]:
    """Return the steps that let go of these builds; `delete`: and take away the data that nobody else needs."""
    steps: list[Step] = []
    for identity, build in builds:
        steps.append(Release(store, identity, build, name=f"release-{identity[:8]}-{build}"))
        if delete:
            steps.append(Unpublish(store, identity, build, name=f"unpublish-{identity[:8]}-{build}"))
    return tuple(steps)


def builds_of(versions: Iterable[Version]) -> tuple[Build, ...]:
    """Return every build that the versions refer to, each once: outputs and their evidence."""
    builds: dict[Build, None] = {}
    for version in versions:
        builds[(version.identity, version.build)] = None
        if version.evidence is not None:
            builds[(version.evidence.identity, version.evidence.build)] = None
    return tuple(builds)


def builds_at(record: Resource, store: Place) -> tuple[Build, ...]:
    """Return every build in this store that the record refers to."""
    return builds_of(record.at(store).versions)


def _unreachable(planning: Planning, record: Resource) -> str | None:
    for place in record.stores():
        seen = planning.ask(LookAtPlace(place))
        if seen is not None and seen.presence is Presence.UNREACHABLE:
            planning.cannot_reach(place, seen, record.address)
            return "its place cannot be reached; nothing is decided"
    return None


def _kept_note(record: Resource, action: Action) -> str:
    if action is not Action.FORGET or not record.versions:
        return ""
    names = ", ".join(each.version for each in record.versions)
    return f"its data stay in {record.place}: {names}"
