"""A project over a fake world, the commands of a user, and what they see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specforge.core.address import Address
from specforge.core.digest import canonical_json
from specforge.core.state import State
from specforge.core.values import Frozen
from specforge.engine.apply import ApplyResult, apply
from specforge.engine.events import Event
from specforge.engine.planning import make_plan
from specforge.engine.session import ApplySettings, Interrupts
from specforge.executors.fake import FAKE_POOL, FAKE_STORE, FakeExecutors, FakeWorld, JobCall, Made, echo
from specforge.formats.tree import Entry, listing
from specforge.planner.plan import Action, Change, Options, Plan
from specforge.planner.project import Declared, Project
from specforge.schemas import algorithm, dataset, model, pool, service, store, training
from specforge.schemas.kind import Kinds
from specforge.state.backend import StateBackend
from specforge.state.memory import MemoryBackend

PLACES = {"fake-store": FAKE_STORE, "fake-pool": FAKE_POOL}


def kinds() -> Kinds:
    """The built-in kinds, with the fake drivers in Store and Pool."""
    by_prefix = {}
    for module in (store, pool, dataset, algorithm, training, model, service):
        kind = module.KIND
        if hasattr(module, "spec_for"):
            kind = replace(kind, spec=module.spec_for(PLACES))
        by_prefix[kind.prefix] = kind
    return Kinds(by_prefix, {kind.document: kind for kind in by_prefix.values()}, PLACES)


KINDS = kinds()
LOCK = {name: Frozen(python="3.11", packages=()) for name in ("scikit-learn", "scikit-learn-server")}

STORE = {"kind": "Store", "name": "artifacts", "fake-store": {}}
POOL = {"kind": "Pool", "name": "here", "fake-pool": {"slots": 2}}
DATASET = {
    "kind": "Dataset",
    "name": "digits",
    "task": "image_classification",
    "source": "data/digits",
    "split": {"train": 0.8, "eval": 0.2, "seed": 7},
}
ALGORITHM = {
    "kind": "Algorithm",
    "name": "svc",
    "framework": "scikit-learn",
    "code": "code",
    "boot": "train.py",
    "parameters": {"C": {"type": "float", "default": 1.0}, "gamma": {"type": "float", "default": 0.5}},
}
TRAINING = {
    "kind": "TrainingJob",
    "name": "digits",
    "algorithm": "svc",
    "inputs": {"data": "digits"},
    "parameters": {"C": 10.0},
    "evaluate": {"data": "digits", "accept": {"accuracy": {"min": 0.5}}},
}
NEXT = {
    "kind": "TrainingJob",
    "name": "finer",
    "algorithm": "svc",
    "inputs": {"data": "digits"},
    "from_model": "digits",
}
MODEL = {"kind": "Model", "name": "digits", "training": "digits", "mode": "image_processing"}
SERVICE = {"kind": "Service", "name": "digits", "model": "digits", "port": 8080}
ALL = (STORE, POOL, DATASET, ALGORITHM, TRAINING, NEXT)


def project(*documents: Mapping[str, Any], environment: str = "default") -> Project:
    """A project of these documents, with the default store and pool filled in."""
    resources = {}
    for document in documents:
        data = {key: value for key, value in document.items() if key != "kind"}
        kind = KINDS.by_document[document["kind"]]
        for name, default in (("store", "artifacts"), ("pool", "here")):
            if name in kind.spec.model_fields:
                data.setdefault(name, default)
        spec = kind.spec.model_validate(data)
        address = Address(kind.prefix, spec.name)
        text = canonical_json(spec.model_dump(mode="json", by_alias=True))
        resources[address] = Declared(address, kind, spec, text)
    return Project("digits", environment, "state.db", resources, KINDS, LOCK)


def program(call: JobCall) -> Made:
    """What jobs of these tests do: leave bytes that are a function of what they depend on, and an accuracy."""
    made = echo(call)
    if call.step.name == "publish":
        pictures = call.inputs["source"]
        lines = [{"source": path, "usage": "EVAL" if path.endswith("0.png") else "TRAIN"} for path in sorted(pictures)]
        manifest = "".join(json.dumps(line) + "\n" for line in lines).encode()
        files = {f"data/{path}": content for path, content in pictures.items()}
        files["data/dataset.manifest"] = manifest
        left = [Entry(p[5:], False, len(c), hashlib.sha256(c).hexdigest()) for p, c in files.items()]
        return Made({**files, "data.listing": listing(left), "facts.json": b'{"files": 6}'}, made.log)
    if call.step.name == "package":
        return Made({**made.files, "facts.json": b'{"engine": "scikit-learn"}'}, made.log)
    if call.step.name != "evaluate":
        return made
    model = b"".join(content for _, content in sorted(call.inputs["model"].items()))
    accuracy = 0.5 + int(hashlib.sha256(model).hexdigest()[:4], 16) / 0x20000
    return Made({**made.files, "figures.json": json.dumps({"accuracy": accuracy}).encode()}, made.log)


def world() -> FakeWorld:
    """A world with pictures and code in the user's folder."""
    made = FakeWorld()
    made.program = program
    made.project.update(
        {
            **{f"data/digits/{label}/{n}.png": f"picture {label} {n}".encode() for label in "01" for n in range(3)},
            "code/train.py": b"train()\n",
        }
    )
    return made


@dataclass
class User:
    """Somebody at a terminal: edits `documents`, plans, applies."""

    world: FakeWorld
    documents: tuple[Mapping[str, Any], ...] = ALL
    backend: StateBackend = field(default_factory=MemoryBackend)
    environment: str = "default"
    events: list[Event] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.backend.read()

    def plan(self, **options: Any) -> Plan:
        declared = project(*self.documents, environment=self.environment)
        return make_plan(declared, self.state, FakeExecutors(self.world), Options(**options), self.world.clock())

    def apply(self, plan: Plan | None = None, interrupts: Interrupts | None = None, **settings: Any) -> ApplyResult:
        return apply(
            plan or self.plan(),
            backend=self.backend,
            executors=FakeExecutors(self.world),
            sink=self.events.append,
            clock=self.world.clock,
            settings=ApplySettings(**{"grace": 0.0, **settings}),
            interrupts=interrupts,
        )

    def destroy(self, *, delete_artifacts: bool = False) -> ApplyResult:
        return self.apply(self.plan(destroy=True, delete_artifacts=delete_artifacts))

    def edit(self, name: str, kind: str, **fields: Any) -> None:
        """Change fields of one document."""
        self.documents = tuple(
            {**each, **fields} if (each["kind"], each["name"]) == (kind, name) else each for each in self.documents
        )

    def starts(self, step: str) -> int:
        """How many jobs of this step were started."""
        return sum(1 for job in self.world.jobs.values() if job.call.step.name == step)


def change_of(plan: Plan, address: str) -> Change:
    return next(each for each in plan.changes if str(each.address) == address)


def actions(plan: Plan) -> dict[str, Action]:
    """What the plan would do, by address."""
    return {str(each.address): each.action for each in plan.pending}
