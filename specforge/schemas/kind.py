"""What a kind says about itself. Kinds are values of type `Kind`, found by entry points and passed as arguments.

A kind's functions are pure: from a `Subject` (the spec, what its references lead to, the answers to its readings) they
give readings to ask and a `Desire`: what should exist, by which recipe, made by which steps. The planner decides what
of it has to be done. Entry-point groups: `specforge.kinds` (values of `Kind`), `specforge.places` (of `PlaceType`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.queries import LookAtArtifact, LookAtPlace, LookAtReplicas, LookAtRoutes, Observation, Reading, Seen
from specforge.core.serving import Serving
from specforge.core.state import Resource, Status, Version
from specforge.core.steps import Gate, Step
from specforge.core.values import EMPTY, Frozen, OutputRef, Place, VersionSeries
from specforge.schemas.base import Declared


class Lifecycle(Enum):
    """How what a kind describes lives.

    DEFINITION: recorded, seen by others as inputs. ARTIFACT: immutable versions, content-addressed; a change publishes
    a new version, never destroys the old. SERVICE: live, mutable, drifts. PLACE: somewhere executors work.
    """

    DEFINITION = "definition"
    ARTIFACT = "artifact"
    SERVICE = "service"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Input:
    """What a reference leads to. `spec` is None for a kept version of something no longer declared.

    `output(key)` gives the value, or a hole while it is not known. Keys: definitions and places their own (`runnable`,
    `place`); artifacts `place` (the store it lies in), `digest`, `version`, `identity`, `facts` (what was published
    with them), `figures` (the numbers of their evidence; none: empty), `tree.NAME`, and what their desire says beside.
    """

    address: Address
    spec: Declared | None
    outputs: Mapping[str, Any] = EMPTY
    version: str | None = None

    def output(self, key: str) -> Any:
        """Return the known output, or the hole for it."""
        value = self.outputs.get(key)
        return OutputRef(self.address, key) if value is None else value


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a kind's functions may look at.

    `inputs` {dotted field path: Input}, e.g. `algorithm`, `inputs.data`; `facts` {reading's name: answer}, empty before
    they were asked; `locks` {engine: its entry of specforge.lock}; `recorded` the current version, if any, and
    `recorded_place` the store it lies in.
    """

    address: Address
    spec: Any
    project: str
    inputs: Mapping[str, Input] = EMPTY
    facts: Mapping[str, Seen] = EMPTY
    locks: Mapping[str, Frozen] = EMPTY
    recorded: Version | None = None
    recorded_place: Place | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One thing with an identity: an artifact's output, a piece of evidence, a place.

    `recipe` (may have holes) under `prefix` and `revision` gives the identity. `work` is one word or two for the plan:
    "retrain", "evaluate", "publish". `steps` make it; the planner asks the kind for them once there is something to do.
    """

    name: str
    prefix: str
    revision: int
    recipe: Frozen
    work: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Desire:
    """What should exist. The first part is the resource itself; a part named `evidence` is judged by `gate`.
    Of a service every part is a group of replicas, in the order of the shares of `serving`.

    `outputs`: what others read of it, where known without doing anything: of definitions and places all, of artifacts
    what is beside their versions. `summary`: a few words for the plan ("1,797 files in 10 folders"). Diagnostics with
    an error stop the plan.
    """

    parts: tuple[Part, ...] = ()
    outputs: Frozen = EMPTY
    place: Place | None = None
    series: VersionSeries | None = None
    pinned: str | None = None
    gate: Gate | None = None
    serving: Serving | None = None
    summary: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()


def no_readings(_: Subject) -> Mapping[str, Reading]:
    """The readings of a kind whose wish needs nothing read."""
    return {}


def no_steps(_: Subject, __: Part) -> tuple[Step, ...]:
    """The steps of a kind that is only recorded."""
    return ()


def default_observations(resource: Resource) -> Mapping[str, Observation]:
    """What is looked at for drift unless the kind says otherwise: current version and evidence, the place, or the
    replicas and routes of a service.
    """
    if resource.place is None:
        return {}
    if resource.lifecycle == Lifecycle.PLACE.value:
        return {"place": LookAtPlace(resource.place)}
    if resource.lifecycle == Lifecycle.SERVICE.value:
        return _looks_at_service(resource, resource.place)
    current = resource.current_version
    if current is None or current.status is Status.LOST:
        return {}
    looks: dict[str, Observation] = {"output": LookAtArtifact(resource.place, current.identity, current.build)}
    if current.evidence is not None:
        looks["evidence"] = LookAtArtifact(resource.place, current.evidence.identity, current.evidence.build)
    return looks


def _looks_at_service(resource: Resource, place: Place) -> dict[str, Observation]:
    """What is begun and not known to be gone is looked at, whatever it is for; routes once there were any."""
    if resource.held is not None:
        return {}
    looks: dict[str, Observation] = {each.name: LookAtReplicas(each.place, each.name) for each in resource.groups}
    route = resource.outputs.get("route")
    if route is not None:
        looks["routes"] = LookAtRoutes(place, route)
    return looks


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind. `document` is the word after `kind:`, `prefix` the first half of addresses.

    `desire(subject)` is total: with the facts of its readings present it gives the wish or diagnostics, never raises.
    `steps(subject, part)` gives the steps that make one part of that wish; those of an artifact end with a Publish.
    `version_pattern` names versions (artifacts only). `examples` are documents (as YAML data) for reference pages and
    the contract suite.
    """

    document: str
    prefix: str
    spec: type[Declared]
    lifecycle: Lifecycle
    desire: Callable[[Subject], Desire]
    steps: Callable[[Subject, Part], tuple[Step, ...]] = no_steps
    readings: Callable[[Subject], Mapping[str, Reading]] = no_readings
    observations: Callable[[Resource], Mapping[str, Observation]] = default_observations
    version_pattern: str | None = None
    examples: tuple[Mapping[str, Any], ...] = ()


class PlaceSettings(Protocol):
    """What a settings class of a place must be able to do, beside being a pydantic model."""

    def place(self, name: str) -> Place:
        """Return the place that these settings of the Store or Pool called `name` describe."""
        ...


@dataclass(frozen=True, slots=True)
class PlaceType:
    """A driver: the key it adds to Store or Pool documents, its settings class and where its executor is found.

    `executor` is `module:attribute`, imported on first use and called with a `Surroundings` (specforge.executors.base).
    """

    driver: str
    family: Literal["store", "pool"]
    settings: type[BaseModel]
    executor: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds and places of this installation."""

    by_prefix: Mapping[str, Kind] = field(default_factory=dict)
    by_document: Mapping[str, Kind] = field(default_factory=dict)
    places: Mapping[str, PlaceType] = field(default_factory=dict)
