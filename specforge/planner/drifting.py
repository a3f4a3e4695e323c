"""Drift: how the world differs from the record, whatever is wished. Pure: like a plan, it asks until it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.queries import LookAtArtifact, LookAtPlace, Observation, Presence, Query, Seen, place_of
from specforge.core.serving import ReplicaGroup
from specforge.core.state import Resource, State
from specforge.core.values import EMPTY, Place
from specforge.planner.plan import Drift, Unreachable, Wanted
from specforge.schemas.kind import Kinds, default_observations


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What was found: `checked` resources were looked at, `held` are stopped on purpose since (unix seconds)."""

    project: str
    environment: str
    at: float
    checked: int
    drift: tuple[Drift, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()
    held: tuple[tuple[Address, float], ...] = ()


def drift(
    state: State, environment: str, kinds: Kinds, observed: Mapping[Query, Seen], now: float, *, hashed: bool
) -> DriftReport | Wanted:
    """Return how what was recorded differs from what is there; `hashed`: published data are read, not only listed."""
    found: list[Drift] = []
    wanted: dict[Query, None] = {}
    unreachable: dict[Place, tuple[str, dict[Address, None]]] = {}
    held: list[tuple[Address, float]] = []
    checked = 0
    for address, resource in sorted(state.resources.items()):
        if resource.held is not None:
            held.append((address, resource.held))
            continue
        looks = _looks(kinds, resource, hashed=hashed)
        checked += bool(looks)
        for name, query in looks.items():
            seen = observed.get(query)
            if seen is None:
                wanted[query] = None
            elif seen.presence is Presence.UNREACHABLE:
                _, whom = unreachable.setdefault(place_of(query), (seen.problem or "it does not answer", {}))
                whom[address] = None
            else:
                each = _of(resource, name, query, seen)
                if each is not None:
                    last_seen = resource.updated if each.since is None else None
                    found.append(replace(each, last_seen=last_seen))
    if wanted:
        return Wanted(tuple(wanted))
    away = tuple(Unreachable(place, why, tuple(whom)) for place, (why, whom) in unreachable.items())
    return DriftReport(state.project, environment, now, checked, tuple(found), away, tuple(held))


def _looks(kinds: Kinds, resource: Resource, *, hashed: bool) -> Mapping[str, Observation]:
    kind = kinds.by_prefix.get(resource.address.kind)
    looks = (default_observations if kind is None else kind.observations)(resource)
    if not hashed:
        return looks
    return {
        name: replace(query, depth="hashed") if isinstance(query, LookAtArtifact) else query
        for name, query in looks.items()
    }


def _of(resource: Resource, name: str, query: Observation, seen: Seen) -> Drift | None:
    if isinstance(query, LookAtArtifact):
        return _artifact_drift(resource, name, seen)
    if isinstance(query, LookAtPlace):
        return place_drift(resource.address, query.place, seen)
    if resource.intent is not None:
        return None  # what an interrupted change of a service began may be in any state
    if name == "routes":
        return routes_drift(resource, seen)
    group = next((each for each in resource.groups if each.name == name), None)
    return None if group is None else group_drift(resource.address, group, seen)


# ---- artifacts and places ----


def _artifact_drift(resource: Resource, name: str, seen: Seen) -> Drift | None:
    current = resource.current or "its version"
    if seen.presence is Presence.PRESENT:
        return None
    return (
        evidence_drift(resource.address, current, seen)
        if name == "evidence"
        else output_drift(resource.address, current, seen)
    )


def output_drift(address: Address, version: str, seen: Seen) -> Drift:
    """Return that a version's data are gone from its store, or not what was published."""
    changed = seen.facts.get("changed", 0)
    missing = seen.facts.get("missing", 0) - changed
    counts = ((missing, "missing"), (changed, "changed"))
    words = [f"{number} {'object' if number == 1 else 'objects'} {how}" for number, how in counts if number]
    state = "is not what was published" if changed and not missing else "is gone from its store"
    return Drift(address, f"{version} {state}" + (f" ({', '.join(words)})" if words else ""), seen.since)


def evidence_drift(address: Address, version: str, seen: Seen) -> Drift:
    """Return that what was measured of a version is gone from its store."""
    return Drift(address, f"the evaluation of {version} is gone from its store", seen.since)


def place_drift(address: Address, place: Place, seen: Seen) -> Drift | None:
    """Return that a place is gone, if so."""
    return Drift(address, f"{place} is gone", seen.since) if seen.presence is Presence.ABSENT else None


# ---- services ----


def group_drift(address: Address, group: ReplicaGroup, seen: Seen) -> Drift | None:
    """Return how a recorded group of replicas is not as recorded, if so."""
    whose = f"replicas of {group.serves}"
    if seen.presence is Presence.ABSENT:
        return Drift(address, f"the {whose} are gone", seen.since)
    wanted, ready = seen.facts.get("wanted", 0), seen.facts.get("ready", 0)
    if wanted != group.count:
        return Drift(address, f"{wanted} {whose} are kept up instead of {group.count}", seen.since)
    if ready >= group.count:
        return None
    problems = [each.get("problem") for each in seen.facts.get("replicas", ()) if each.get("state") != "ready"]
    problem = next((f": {each}" for each in problems if each), "")
    return Drift(
        address, f"{ready} of {group.count} {whose} {'answers' if ready == 1 else 'answer'}{problem}", seen.since
    )


def routes_drift(resource: Resource, seen: Seen) -> Drift | None:
    """Return how the recorded routes of a service are not as recorded, if so."""
    address = resource.address
    if seen.presence is Presence.ABSENT:
        return Drift(address, f"nothing listens at {resource.outputs.get('listen')}", seen.since)
    edited = seen.facts.get("edited", ())
    if edited:
        return Drift(address, f"the gateway's files were edited by hand: {', '.join(edited)}", seen.since)
    weights = {each.name: each.weight for each in resource.groups if each.weight}
    if seen.facts.get("listen") != resource.outputs.get("listen") or seen.facts.get("weights", EMPTY) != weights:
        return Drift(address, "its requests go elsewhere than recorded", seen.since)
    return None
