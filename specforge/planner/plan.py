"""The plan as a value: what is shown is what is run. Text, JSON and apply read the same `Plan`."""

from __future__ import annotations

from enum import Enum

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.queries import Query
from specforge.core.serving import Serving
from specforge.core.state import Resource, StateRef
from specforge.core.steps import Gate, Refusal, Step
from specforge.core.values import EMPTY, Frozen, Place, VersionSeries
from specforge.schemas.kind import Part

FORMAT = 1
"""The version of the saved-plan format that this release writes."""


class Action(Enum):
    """What happens to one resource."""

    NOOP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    NEW_VERSION = "new version"
    REUSE = "reuse"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"


class Verb(Enum):
    """What happens to one part of a change.

    KEEP: as recorded. FIND: its identity is in the store already: take a reference, no work. MAKE: perform its steps.
    MAYBE: its recipe has holes; equal once filled → cut off, else found or made.
    """

    KEEP = "keep"
    FIND = "find"
    MAKE = "make"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field whose value differs from the record; None: not set. `rule`: the word of its change rule."""

    path: str
    before: object
    after: object
    rule: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for people; no code branches on it. `lines` go under the first one ("+1 file", "first: 3/x.png")."""

    text: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A part and what is to be done with it.

    `identity` is None while the recipe has holes; `found` what FindIdentity answered; `replaces` the build that is lost
    or must be made again; `again`: made in any case, by request, whatever is in the store.
    """

    part: Part
    verb: Verb
    identity: str | None = None
    replaces: int | None = None
    found: Frozen | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about one resource, and why.

    `before` is None for a create, `spec` None for a delete or forget. `if_changed`: inputs whose output decides at
    apply whether anything is done (empty: definite). `version` is the predicted name of the version that becomes
    current. `outputs`: what others read of it, as far as known. `refusals`: what its gate refuses, known now.
    `estimate` seconds by history. `steps`: effects that belong to no part (taking a place away, releasing references).
    """

    address: Address
    document: str
    lifecycle: str
    action: Action
    reasons: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    if_changed: tuple[Address, ...] = ()
    parts: tuple[PlannedPart, ...] = ()
    steps: tuple[Step, ...] = ()
    gate: Gate | None = None
    refusals: tuple[Refusal, ...] = ()
    place: Place | None = None
    series: VersionSeries | None = None
    pinned: str | None = None
    version: str | None = None
    below_accept: tuple[str, ...] = ()
    serving: Serving | None = None
    repoint: bool = False
    work: tuple[str, ...] = ()
    estimate: float | None = None
    summary: str = ""
    before: Resource | None = None
    spec: str | None = None
    outputs: Frozen = EMPTY
    waits_for: tuple[Address, ...] = ()
    inputs: Frozen = EMPTY
    note: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """The world differs from the record: never blended with what the user wishes.

    `since` in unix seconds, where the place knows it; else `last_seen` may say when all was still well.
    """

    address: Address
    what: str
    since: float | None = None
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class RunInFlight:
    """A run that an interrupted apply left. `wanted`: its identity is still the wish, so that it is attached to.

    `state` is "running", "ended" or "unknown" (its place is unreachable); `started` unix seconds.
    """

    address: Address
    part_name: str
    identity: str
    state: str
    wanted: bool
    started: float
    work: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A place that could not be asked, and the resources about which nothing is decided therefore."""

    place: Place
    problem: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer of `plan`. `changes` are in an order in which they can be done, no-ops included."""

    base: StateRef
    project: str
    environment: str
    created: float
    changes: tuple[Change, ...]
    drift: tuple[Drift, ...] = ()
    runs: tuple[RunInFlight, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    destroy: bool = False
    delete_artifacts: bool = False
    format: int = FORMAT

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that are not no-ops."""
        return tuple(each for each in self.changes if each.action is not Action.NOOP)

    @property
    def empty(self) -> bool:
        """Whether an apply would have nothing to do."""
        return not self.pending and not any(not run.wanted for run in self.runs)

    @property
    def leftovers(self) -> tuple[Address, ...]:
        """Resources with nothing to do whose record tells of work that was about to begin and never did.

        No plan shows them: an apply clears the record, whatever else it does.
        """
        runs = {run.address for run in self.runs}
        return tuple([each.address for each in self.changes if _has_idle_intent(each) and each.address not in runs])


def _has_idle_intent(change: Change) -> bool:
    decided = change.action is Action.NOOP and bool(change.parts)
    return decided and change.before is not None and change.before.intent is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The planner's other answer: it must know these before it can go on."""

    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of this plan. `targets`: only these and what they need. `replace`: make these again."""

    targets: tuple[Address, ...] = ()
    replace: tuple[Address, ...] = ()
    destroy: bool = False
    delete_artifacts: bool = False


def plan_registry() -> codec.Registry:
    """Return the classes that a saved plan may hold."""
    import sys

    return {**codec.CORE, Part.__name__: Part, **codec.registry_of(sys.modules[__name__])}
