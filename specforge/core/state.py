"""What was recorded: values only; the backends that keep them lie in `specforge.state`.

Specs and recipes are held as canonical JSON text: the planner compares texts, and decodes only where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.serving import ReplicaGroup
from specforge.core.values import EMPTY, Frozen, Place

FORMAT = 1
"""The version of the recorded format that this release writes."""


class Status(Enum):
    """What a published version is good for.

    READY: may be current. REFUSED: published, but its gate refused it. UNJUDGED: published, its evidence not yet
    made. LOST: its data are gone from the store.
    """

    READY = "ready"
    REFUSED = "refused"
    UNJUDGED = "unjudged"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of a version: its identity and build in the store, and the figures."""

    identity: str
    build: int
    figures: Frozen
    recipe: str = "{}"


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of an artifact, as this lineage knows it.

    `output` is the digest of the output tree, `trees` {name: digest}; `recipe` canonical JSON; `inputs` {address:
    version or digest} for people; `seconds` how long it took to make (None: reused); `reproducible` unknown|yes|no.
    """

    version: str
    identity: str
    build: int
    output: str
    trees: Frozen
    recipe: str
    status: Status = Status.READY
    evidence: Evidence | None = None
    inputs: Frozen = EMPTY
    facts: Frozen = EMPTY
    seconds: float | None = None
    created: float = 0.0
    reproducible: str = "unknown"


@dataclass(frozen=True, slots=True)
class Intent:
    """Written durably before any effect, so that a kill leaves a trace: what was about to be done, under which keys.

    `part` is the encoded part with its holes filled (specforge.core.codec), enough to finish the work without the
    spec; `jobs` are the (place, run key id) pairs that may be running.
    """

    operation: str
    part_name: str
    identity: str
    attempt: int
    part: str
    jobs: tuple[tuple[Place, str], ...]
    started: float
    work: str = ""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Versions in the store that is wished, while the one that is current lies in another: none of them is accepted."""

    place: Place
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """What is recorded of one declared resource.

    `spec` is the canonical JSON of the spec as last applied. `place` is where it lies (its store), recorded so that it
    can be found after the spec moved on. `outputs` are what other resources read of it (definitions and places).
    `waits_for` are the resources it was made from: needed to destroy in order when the YAML is gone.
    `below_accept` are the refusals of the current version under a raised gate, as texts. `groups` are a service's
    replicas, begun and not known to be gone; `held` since when it is stopped on purpose (unix seconds). `newcomers` lie
    in another store than `place`, to which the artifact was moved.
    """

    address: Address
    lifecycle: str
    spec: str
    place: Place | None = None
    identity: str | None = None
    outputs: Frozen = EMPTY
    current: str | None = None
    versions: tuple[Version, ...] = ()
    intent: Intent | None = None
    waits_for: tuple[Address, ...] = ()
    below_accept: tuple[str, ...] = ()
    groups: tuple[ReplicaGroup, ...] = ()
    held: float | None = None
    updated: float = 0.0
    newcomers: Newcomers | None = None

    @property
    def made(self) -> bool:
        """Whether anything came of it yet; False for a record that holds only the intent of a first apply."""
        return self.identity is not None or bool(self.versions) or bool(self.outputs) or bool(self.groups)

    def at(self, place: Place) -> Resource:
        """Return what is recorded of it in this store, as if it had never lain in another."""
        if place.is_at(self.place):
            return replace(self, place=place, newcomers=None)
        lies_here = self.newcomers is not None and self.newcomers.place.is_at(place)
        versions = self.newcomers.versions if self.newcomers is not None and lies_here else ()
        return replace(self, place=place, versions=versions, current=None, below_accept=(), newcomers=None)

    def stores(self) -> tuple[Place, ...]:
        """Return every store in which versions of it lie: that of the current one first."""
        own = () if self.place is None else (self.place,)
        return own if self.newcomers is None else (*own, self.newcomers.place)

    def version(self, name: str | None) -> Version | None:
        """Return the version of this name, or None."""
        for each in self.versions:
            if each.version == name:
                return each
        return None

    @property
    def current_version(self) -> Version | None:
        """The version that others follow, or None."""
        return self.version(self.current)


@dataclass(frozen=True, slots=True)
class StateRef:
    """Which state, and which moment of it: the lineage (None before the first apply) and the serial."""

    lineage: str | None
    serial: int


@dataclass(frozen=True, slots=True)
class State:
    """Everything recorded for one project and environment. `attempts`: {identity: runs recorded as ended}."""

    ref: StateRef = StateRef(None, 0)
    project: str = ""
    environment: str = "default"
    resources: Mapping[Address, Resource] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)


# ---- changes of the state: what a backend commits, all or nothing ----


@dataclass(frozen=True, slots=True)
class PutResource:
    """Record the resource in place of what was recorded."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class DropResource:
    """Forget the resource."""

    address: Address


@dataclass(frozen=True, slots=True)
class EndRun:
    """Count one run of this identity as ended, whatever its outcome ("succeeded", "failed", "cancelled", "lost")."""

    identity: str
    address: Address
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A line of history that changes nothing else."""

    address: Address | None
    event: str
    detail: Frozen = EMPTY


StateChange = PutResource | DropResource | EndRun | Note


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A line of the journal: when (unix seconds), under which operation, about what, what happened."""

    serial: int
    at: float
    operation: str
    address: Address | None
    event: str
    detail: Frozen


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Who holds a lock: for the message to the next one."""

    operation: str
    who: str
    command: str
    since: float
    pid: int
    host: str
