"""What may be done at a place: the closed, small vocabulary of effects. Extend it by a decision record only.

Every step is idempotent under its run key: performed twice, at once from two processes, or again after a kill, it has
one effect and gives the same result. `name` is unique within a part and is how later steps refer to its outputs.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from specforge.core.making import dataclass
from specforge.core.serving import Listen
from specforge.core.values import (
    EMPTY,
    IDENTITY,
    Frozen,
    Hole,
    JobInput,
    JobOutput,
    Place,
    Run,
    Select,
    Tree,
    VersionSeries,
)


@dataclass(frozen=True, slots=True)
class EnsurePlace:
    """Make the place be as `wanted` says; None: take away what we made there, never what the user owns."""

    place: Place
    wanted: Frozen | None
    name: str = "place"


@dataclass(frozen=True, slots=True)
class EnsureToolchain:
    """Have the locked software ready at the place; `lock` is an engine's entry of specforge.lock."""

    place: Place
    engine: str
    lock: Frozen
    name: str = "toolchain"


@dataclass(frozen=True, slots=True)
class Copy:
    """Bring the tree's files into folder `path` of `place`, verified against `source.digest`, resumable.

    ADD leaves other files there alone, MIRROR removes them. Outputs: `tree` (a Tree at the target).
    """

    source: Tree
    place: Place
    path: str
    select: Select = Select()
    mode: Literal["ADD", "MIRROR"] = "MIRROR"
    name: str = "copy"


@dataclass(frozen=True, slots=True)
class RunJob:
    """Start the run once, wait for it, collect its outputs.

    `code` is a tree the run's working directory is made from. `facts` names a JSON file in the output folder whose
    content is given back. Outputs: `tree.NAME` (a Tree with its digest) per output, `facts`, `usage` (seconds, bytes).
    Raises ExecutionError(ended=True) when the job fails. `timeout` in seconds; `retry`: how often the place starts the
    program again, in fresh folders, when it fails; all under one run key.
    """

    name: str
    place: Place
    run: Run
    inputs: tuple[JobInput, ...] = ()
    outputs: tuple[JobOutput, ...] = ()
    code: Tree | Hole | None = None
    facts: str | None = None
    nodes: int = 1
    timeout: float | None = None
    retry: int = 0


@dataclass(frozen=True, slots=True)
class Publish:
    """The commit point: put the trees into the store under the identity, claim a version name, take a reference.

    An identity already there is not written again: it gets this lineage's reference and gives its version. `trees`
    {name: Tree or hole}; the digest of `trees[output]` is the output digest. `facts`: JSON kept with the build.
    `exports` {path in the output tree: name} are copied beside the claim for people to read; `{version}` in a name is
    the version. `replaces`: this build is lost or must be made again, so that build N+1 is written; should its trees
    equal those of build N, N is made whole instead. Outputs: `identity`, `build`, `digest`, `trees` {name: digest},
    `version` (None without a series), `facts`.
    """

    store: Place
    trees: Frozen
    output: str
    series: VersionSeries | None = None
    version: str | None = None
    identity: str | Hole = IDENTITY
    facts: Frozen | Hole = EMPTY
    exports: Frozen = EMPTY
    replaces: int | None = None
    name: str = "publish"


@dataclass(frozen=True, slots=True)
class Release:
    """Take this lineage's reference to a build away (forget, destroy). The data stay."""

    store: Place
    identity: str
    build: int
    name: str = "release"


@dataclass(frozen=True, slots=True)
class Unpublish:
    """Take a build's data away; refused while any lineage still has a reference to it (the refusal names them)."""

    store: Place
    identity: str
    build: int
    name: str = "unpublish"


@dataclass(frozen=True, slots=True)
class Ready:
    """When a replica is ready: its socket answers `path` with 200, at most `within` seconds after it was started."""

    path: str = "/health"
    within: float = 60.0


@dataclass(frozen=True, slots=True)
class EnsureReplicas:
    """Have `count` replicas of the run in the group, ready; surplus ones end when their requests are answered.

    The run listens on the Unix socket that the word `@socket` in its argv stands for; it is started again when it
    ends. `inputs` are read-only folders, `@in/NAME`. Replicas that run and are ready are left alone. `drain`: seconds
    between asking a replica to end and forcing it. 0: none is left; the logs stay. `run` is None only then. Outputs:
    `replicas` ({number, pid, started} of each). Raises ExecutionError, with the last lines of the log, when they do
    not get ready; what was started is left as it is, for the caller to take away.
    """

    place: Place
    group: str
    run: Run | None
    count: int
    inputs: tuple[JobInput, ...] = ()
    ready: Ready = Ready()
    drain: float = 30.0
    name: str = "replicas"


@dataclass(frozen=True, slots=True)
class SetRoutes:
    """Let requests to `listen` be answered by the groups, each by its weight in percent; at once for all of them.

    Returns when no new request goes to any other group, and none is in flight to one (at most `drain` seconds).
    `timeout`: seconds that one request may take. No weights: the address is given up, `listen` is not looked at.
    Outputs: `address` (the URL).
    """

    place: Place
    route: str
    listen: Listen | None
    weights: Frozen
    timeout: float = 60.0
    drain: float = 30.0
    name: str = "routes"


Step = EnsurePlace | EnsureToolchain | Copy | RunJob | Publish | Release | Unpublish | EnsureReplicas | SetRoutes


def place_of_step(step: Step) -> Place:
    """Return the place whose executor performs this step."""
    if isinstance(step, Publish | Release | Unpublish):
        return step.store
    return step.place


@dataclass(frozen=True, slots=True)
class Gate:
    """Conditions over the figures of a piece of evidence: {figure: {"min": x, "max": y}}. Pure; see `judge`.

    A refusal is an outcome, not a failure: it stops promotion and never demotes.
    """

    conditions: Frozen = field(default=EMPTY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One condition that is not met; `value` is None where the evidence has no such figure."""

    figure: str
    value: float | None
    minimum: float | None = None
    maximum: float | None = None

    def __str__(self) -> str:
        shown = "missing" if self.value is None else f"{self.value:.4g}"
        if self.minimum is not None and (self.value is None or self.value < self.minimum):
            return f"{self.figure} {shown}, wanted at least {self.minimum:.4g}"
        return f"{self.figure} {shown}, wanted at most {self.maximum:.4g}"


def judge(gate: Gate, figures: Frozen) -> tuple[Refusal, ...]:
    """Return the conditions that the figures do not meet; none: accepted. A missing figure is not met."""
    refusals = []
    for figure, bounds in sorted(gate.conditions.items()):
        value = figures.get(figure)
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        low, high = bounds.get("min"), bounds.get("max")
        met = number is not None and (low is None or number >= low) and (high is None or number <= high)
        if not met:
            refusals.append(Refusal(figure, number, low, high))
    return tuple(refusals)
