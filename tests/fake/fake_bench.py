"""Shortcuts to act in a fake world, and a few ready-made steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from specforge.core.address import Address
from specforge.core.queries import Seen
from specforge.core.steps import Publish, RunJob, Step
from specforge.core.values import Frozen, JobInput, JobOutput, Key, Place, Run, Tree, VersionSeries
from specforge.executors.base import CancelToken, StepContext, StepEvent
from specforge.executors.fake import FakeExecutors, FakeWorld

STORE = Place("fake-store", "artifacts")
POOL = Place("fake-pool", "here", Frozen(slots=2))
DIGITS = Address("training", "digits")
SERIES = VersionSeries("digits", "training", "digits", "V{:03d}")
LINEAGE = "lineage-1"


def key(
    step: str = "train", *, identity: str = "i" * 64, attempt: int = 1, lineage: str = LINEAGE, address=DIGITS
) -> Key:
    return Key(lineage, address, identity, attempt, step)


@dataclass
class Bench:
    """A world and shortcuts to act in it."""

    world: FakeWorld = field(default_factory=FakeWorld)
    events: list[StepEvent] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)

    def __post_init__(self) -> None:
        self.executor = FakeExecutors(self.world).of(STORE)

    def perform(self, step: Step, key: Key, cancel: CancelToken | None = None) -> Frozen:
        return self.executor.perform(step, StepContext(key, self.events.append, cancel or self.cancel)).outputs

    def see(self, query) -> Seen:
        place = getattr(query, "store", None) or query.place
        return self.executor.observe(place, [query], None)[query]

    def train(self, **changes) -> Frozen:
        return self.perform(train(), key(**changes))

    def publish(self, files=None, *, step=None, **changes) -> Frozen:
        """Publish files that lie at the pool."""
        at = "made/model"
        self.world.disk(POOL).update({f"{at}/{path}": data for path, data in (files or {"a": b"1"}).items()})
        made = key("publish", **changes)
        return self.perform(step or publish(made.identity), made)


def publish(identity: str = "i" * 64, tree: Tree | None = None, **changes) -> Publish:
    given = {"series": SERIES, **changes}
    return Publish(STORE, Frozen(model=tree or Tree(POOL, "made/model")), "model", identity=identity, **given)


def train(name: str = "train", **changes) -> RunJob:
    given = {
        "outputs": (JobOutput("model", "model", required=True, missing_hint="write a model"), JobOutput("log", "@log")),
        **changes,
    }
    return RunJob(name, POOL, Run(("@python", "@code/train.py", "--C=1")), **given)


def source(path: str = "data", digest: str | None = None) -> JobInput:
    return JobInput("data", Tree(Place("folder", "."), path, digest))
