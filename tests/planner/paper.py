"""A world on paper: it answers the planner's queries from plain data, and carries a plan out perfectly.

`Paper` holds documents, world and state together: plan, edit, apply. Nothing here starts a process or opens a file, and
while `plan` computes, an audit hook sees to it that the planner does not either.
"""

from __future__ import annotations

import copy
import difflib  # noqa: F401 - the planner imports it when it is needed; here, before input and output are forbidden
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from specforge.core.address import Address
from specforge.core.digest import canonical_json, digest_of, identity_of
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtJob,
    LookAtPlace,
    Presence,
    Query,
    ScanTree,
    Seen,
    place_of,
    unreachable,
)
from specforge.core.state import Evidence, Resource, State, StateRef, Status, Version
from specforge.core.steps import EnsurePlace, Publish, Release, Unpublish, judge
from specforge.core.values import (
    EMPTY,
    Frozen,
    OutputRef,
    Place,
    VersionSeries,
    frozen,
    map_holes,
)
from specforge.executors.local import LOCAL
from specforge.executors.storage import FOLDER
from specforge.formats.tree import Entry, digest
from specforge.planner.compute import plan
from specforge.planner.graph import build_graph
from specforge.planner.outputs import input_mark, recorded_outputs, version_outputs
from specforge.planner.plan import Action, Change, Options, Plan, PlannedPart, Verb, Wanted
from specforge.planner.project import Declared, Project
from specforge.schemas import algorithm, dataset, fields, model, pool, store, training
from specforge.schemas.kind import Kind, Kinds, Lifecycle

NOW = 1_800_000_000.0
LOCKS = {"scikit-learn": Frozen(python="3.11", packages=())}
PLACES = {"folder": FOLDER, "local": LOCAL}
Build = tuple[str, int]
SeriesName = tuple[str, str, str]


def _kinds() -> Kinds:
    found = [
        replace(store.KIND, spec=store.spec_for(PLACES)),
        replace(pool.KIND, spec=pool.spec_for(PLACES)),
        dataset.KIND,
        algorithm.KIND,
        training.KIND,
        model.KIND,
    ]
    return Kinds({each.prefix: each for each in found}, {each.document: each for each in found}, PLACES)


KINDS = _kinds()


def declared(kind: Kind, document: Mapping[str, Any]) -> Declared:
    """Return the resource that a document declares."""
    spec = kind.spec.model_validate({key: value for key, value in document.items() if key != "kind"})
    text = canonical_json(spec.model_dump(mode="json", by_alias=True))
    return Declared(Address(kind.prefix, spec.name), kind, spec, text)


def project_of(
    documents: list[dict[str, Any]], kinds: Kinds = KINDS, locks: Mapping[str, Frozen] = LOCKS, name: str = "digits"
) -> Project:
    """Return the project of these documents; what names no store or pool gets `artifacts` and `here`."""
    defaults = {"store": "artifacts", "pool": "here"}
    resources = {}
    for document in documents:
        kind = kinds.by_document[document["kind"]]
        own = {rule.path[0] for rule in fields.collect(kind.spec) if rule.ref and rule.ref.default}
        each = declared(kind, {**{key: value for key, value in defaults.items() if key in own}, **document})
        resources[each.address] = each
    return Project(name, "default", "state.db", resources, kinds, locks)


# ---- no input, no output ----

_guarded = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _guarded and event.partition(".")[0] in ("open", "socket", "subprocess", "shutil", "sqlite3", "os"):
        raise AssertionError(f"the planner did {event} {arguments}")


sys.addaudithook(_hook)


@contextmanager
def no_io() -> Iterator[None]:
    """Fail on any file, socket or process opened in the block."""
    global _guarded
    _guarded = True
    try:
        yield
    finally:
        _guarded = False


# ---- the world ----


@dataclass
class PaperBuild:
    """A published build."""

    trees: Frozen
    output: str
    facts: Frozen = EMPTY
    lost: bool = False


@dataclass
class PaperStore:
    """What is published in one store. `damaged`: builds whose data are gone, which nobody has noticed yet."""

    builds: dict[str, list[PaperBuild]] = field(default_factory=dict)
    claims: dict[SeriesName, dict[str, Build]] = field(default_factory=dict)
    references: set[Build] = field(default_factory=set)
    damaged: set[Build] = field(default_factory=set)

    def current(self, identity: str) -> int | None:
        """Return the number of the build that counts."""
        builds = self.builds.get(identity, [])
        return next((number for number in range(len(builds), 0, -1) if not builds[number - 1].lost), None)

    def name_of(self, series: VersionSeries, build: Build) -> str | None:
        """Return the series' name for the build."""
        claims = self.claims.get(_name(series), {})
        return next((version for version, claimed in claims.items() if claimed == build), None)

    def next(self, series: VersionSeries) -> str:
        """Return the version name that would be allocated."""
        taken, number = self.claims.get(_name(series), {}), 1
        while series.version(number) in taken:
            number += 1
        return series.version(number)


def _name(series: VersionSeries) -> SeriesName:
    return (series.project, series.kind, series.name)


def sha(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain_bytes(prefix: str, recipe: Mapping[str, Any]) -> Any:
    """Every recipe gives bytes of its own."""
    return [prefix, recipe]


def accurate(recipe: Mapping[str, Any]) -> Frozen:
    """Every model is measured the same."""
    return Frozen(accuracy=0.97, samples=2)


@dataclass
class PaperWorld:
    """Files of the user, stores, places and jobs, as plain data.

    `files` {path: content}; `gone` and `unreachable` are places as texts (`folder:artifacts`, `folder:.` for the
    user's folder); `jobs` {run key: facts of LookAtJob}. `bytes_of(prefix, recipe)` decides what an output's digest is,
    `figures(recipe)` what an evaluation finds.
    """

    files: dict[str, str] = field(default_factory=dict)
    stores: dict[str, PaperStore] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    jobs: dict[str, Frozen] = field(default_factory=dict)
    listings: dict[str, dict[str, str]] = field(default_factory=dict)
    bytes_of: Callable[[str, Mapping[str, Any]], Any] = plain_bytes
    figures: Callable[[Mapping[str, Any]], Frozen] = accurate
    seconds: float = 4.0
    trained: list[str] = field(default_factory=list)

    def store(self, place: Place) -> PaperStore:
        """Return the store at a place."""
        return self.stores.setdefault(place.id, PaperStore())

    def answer(self, query: Query) -> Seen:
        """Answer one query."""
        place = place_of(query)
        if str(place) in self.unreachable:
            return unreachable("connection refused")
        match query:
            case ScanTree():
                return self._scan(query)
            case FindIdentity():
                return self._find(query)
            case FindVersion():
                return self._version(query)
            case LookAtArtifact():
                missing = (query.identity, query.build) in self.store(place).damaged
                facts = Frozen(missing=2, missing_paths=("data/a.png", "data/b.png")) if missing else EMPTY
                return Seen(Presence.ABSENT if missing else Presence.PRESENT, facts=facts)
            case LookAtJob():
                facts = self.jobs.get(query.key)
                return Seen(Presence.ABSENT) if facts is None else Seen(Presence.PRESENT, facts=facts)
            case LookAtPlace():
                there = place in self.places and str(place) not in self.gone
                return Seen(Presence.PRESENT if there else Presence.ABSENT)

    def _scan(self, query: ScanTree) -> Seen:
        inside = {
            path.removeprefix(f"{query.path}/"): content
            for path, content in self.files.items()
            if path == query.path or path.startswith(f"{query.path}/")
        }
        if not inside:
            return Seen(Presence.ABSENT)
        chosen = {p: c for p, c in inside.items() if not query.select.suffixes or p.endswith(query.select.suffixes)}
        listing = {path: sha(content) for path, content in chosen.items()}
        found = digest(Entry(path, False, len(chosen[path]), sha256) for path, sha256 in listing.items())
        self.listings[found] = listing
        folders: dict[str, int] = {}
        for path in chosen if query.path not in self.files else ():
            first = path.partition("/")[0] if "/" in path else "."
            folders[first] = folders.get(first, 0) + 1
        facts = {"files": len(chosen), "bytes": sum(map(len, chosen.values())), "folders": folders}
        before = None if query.since is None else self.listings.get(str(query.since.digest))
        if before is not None and before != listing:
            facts |= _compared(before, listing)
        return Seen(Presence.PRESENT, found, frozen(facts))

    def _find(self, query: FindIdentity) -> Seen:
        kept, facts = self.store(query.store), {}
        if query.series is not None:
            facts["next"] = kept.next(query.series)
            claims = kept.claims.get(_name(query.series), {})
            facts["claimed"] = {query.pinned: claims[query.pinned][0]} if query.pinned in claims else {}
        number = kept.current(query.identity)
        if number is None:
            return Seen(Presence.ABSENT, facts=frozen(facts))
        if query.series is not None:
            facts["version"] = kept.name_of(query.series, (query.identity, number))
        return self._published(kept, query.identity, number, facts)

    def _version(self, query: FindVersion) -> Seen:
        kept = self.store(query.store)
        claimed = kept.claims.get(_name(query.series), {}).get(query.version)
        if claimed is None:
            return Seen(Presence.ABSENT)
        return self._published(kept, *claimed, {"version": query.version, "identity": claimed[0]})

    @staticmethod
    def _published(kept: PaperStore, identity: str, number: int, facts: dict[str, Any]) -> Seen:
        build = kept.builds[identity][number - 1]
        facts |= {"build": number, "trees": build.trees, "facts": build.facts}
        return Seen(Presence.PRESENT, build.trees[build.output], frozen(facts))

    # ---- effects ----

    def publish(self, part: PlannedPart, identity: str) -> Frozen:
        """Publish a filled part: what its last step gives."""
        step = next(each for each in part.part.steps if isinstance(each, Publish))
        kept = self.store(step.store)
        builds = kept.builds.setdefault(identity, [])
        number = kept.current(identity)
        replaces = number if part.again else part.replaces
        if number is None or replaces is not None:
            made = self._make(part, step)
            if replaces is not None and builds and builds[replaces - 1].trees == made.trees:
                number = replaces
                kept.damaged.discard((identity, number))
            else:
                for each in builds:
                    each.lost = True
                builds.append(made)
                number = len(builds)
        version = None
        if step.series is not None:
            claims = kept.claims.setdefault(_name(step.series), {})
            known = kept.name_of(step.series, (identity, number))
            version = step.version or known or kept.next(step.series)
            claims[version] = (identity, number)
        kept.references.add((identity, number))
        build = builds[number - 1]
        given = {"identity": identity, "build": number, "version": version, "facts": build.facts}
        return frozen({**given, "digest": build.trees[build.output], "trees": build.trees})

    def _make(self, part: PlannedPart, step: Publish) -> PaperBuild:
        prefix, recipe = part.part.prefix, part.part.recipe
        self.trained.append(f"{prefix}:{part.part.work}")
        trees = {name: digest_of([name, self.bytes_of(prefix, recipe)]) for name in step.trees}
        if "samples" in recipe and isinstance(recipe["samples"], str):
            self.listings[trees[step.output]] = self.listings[recipe["samples"]]
        said = step.facts if isinstance(step.facts, Frozen) else EMPTY
        facts = self.figures(recipe) if prefix == "evidence" else said
        return PaperBuild(frozen(trees), step.output, facts)


def _compared(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    paths = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(path for path in after.keys() & before.keys() if after[path] != before[path]),
    }
    return {key: len(found) for key, found in paths.items()} | {f"{key}_paths": p[:20] for key, p in paths.items()}


# ---- a perfect apply ----


class Applying:
    """Carries a plan out as the engine does, without its failures. `outcomes` {address: word}."""

    def __init__(self, world: PaperWorld, state: State, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.resources = dict(state.resources)
        self.attempts = dict(state.attempts)
        self.outputs: dict[Address, Mapping[str, Any]] = {
            address: recorded_outputs(record) for address, record in state.resources.items()
        }
        for change in plan.changes:
            if change.outputs and not self.outputs.get(change.address):
                self.outputs[change.address] = change.outputs
        self.outcomes: dict[Address, str] = {}
        self.serial = state.ref.serial

    def run(self) -> State:
        """Return the state after everything was done."""
        for run in self.plan.runs:
            if not run.wanted:
                self.resources[run.address] = replace(self.resources[run.address], intent=None)
        for change in self.plan.pending:
            waited = [self.outcomes.get(each) for each in change.waits_for] if change.spec is not None else []
            if "skipped" in waited or "nothing" in waited:
                self.outcomes[change.address] = "skipped"
                continue
            self.outcomes[change.address] = self._realise(change)
        return State(StateRef("lineage", self.serial + 1), self.plan.project, "default", self.resources, self.attempts)

    def _realise(self, change: Change) -> str:
        if change.spec is None:
            return self._remove(change)
        record = self.resources.get(change.address) or Resource(change.address, change.lifecycle, "{}")
        record = replace(record, intent=None, waits_for=change.waits_for)
        if change.lifecycle == Lifecycle.ARTIFACT.value:
            return self._publish(change, record)
        outputs = self._fill(change.outputs)
        record = replace(record, spec=change.spec, outputs=outputs)
        if change.lifecycle == Lifecycle.PLACE.value:
            assert change.place is not None
            self.world.places.add(change.place)
            self.world.gone.discard(str(change.place))
            record = replace(record, place=change.place, identity=change.parts[0].identity)
        self.resources[change.address], self.outputs[change.address] = record, outputs
        return "done"

    def _fill(self, value: Any, own: Mapping[Address, Mapping[str, Any]] = EMPTY) -> Any:
        def answer(hole: Any) -> Any:
            if not isinstance(hole, OutputRef):
                return hole
            return {**self.outputs, **own}[hole.address][hole.key]

        return map_holes(value, answer)

    def _part(self, planned: PlannedPart, own: Mapping[Address, Any], unchanged: str | None) -> tuple[str, Any]:
        """Return what the part's identity is and what it gave; None: cut off."""
        filled = self._fill(planned, own)
        part = filled.part
        identity = identity_of(part.prefix, part.revision, part.recipe)
        assert planned.identity in (None, identity)
        kept = planned.verb is not Verb.FIND and planned.replaces is None and not planned.again
        if identity == unchanged and kept:
            return identity, None
        return identity, self.world.publish(filled, identity)

    def _publish(self, change: Change, record: Resource) -> str:
        planned, *others = change.parts
        current = record.current_version if record.place == change.place else None
        renamed = current is not None and change.pinned not in (None, current.version)
        identity, given = self._part(planned, {}, None if current is None or renamed else current.identity)
        if record.place not in (None, change.place):
            record = replace(record, versions=(), current=None)
        version = current if given is None else self._version(record, change, planned, identity, given)
        assert version is not None
        if others:
            known = version.evidence.identity if version.evidence else None
            own = {change.address: version_outputs(change.place, version)}
            identity, given = self._part(others[0], own, known)
            if given is not None:
                recipe = canonical_json(self._fill(others[0].part.recipe, own))
                version = replace(version, evidence=Evidence(identity, given["build"], given["facts"], recipe))
        figures = version.evidence.figures if version.evidence and others else EMPTY
        refusals = judge(change.gate, figures) if change.gate is not None and others else ()
        is_current = record.current == version.version and record.place == change.place
        status = Status.REFUSED if refusals and not is_current else Status.READY
        record = _with_version(record, replace(version, status=status))
        below = tuple(map(str, refusals)) if is_current else record.below_accept if status is Status.REFUSED else ()
        record = replace(
            record,
            spec=change.spec or "{}",
            place=change.place,
            current=record.current if status is Status.REFUSED else version.version,
            below_accept=below,
        )
        self.resources[change.address] = record
        self.outputs[change.address] = recorded_outputs(record)
        return "done" if record.current else "nothing"

    def _version(
        self, record: Resource, change: Change, planned: PlannedPart, identity: str, given: Mapping[str, Any]
    ) -> Version:
        known = record.version(given["version"])
        if known is not None and (known.identity, known.build) == (identity, given["build"]):
            return replace(known, status=Status.READY)
        marks = {str(each): input_mark(self.outputs.get(each, EMPTY)) for each in change.waits_for}
        marks |= {key: value for key, value in change.inputs.items() if "@" in key}
        return Version(
            given["version"],
            identity,
            given["build"],
            given["digest"],
            given["trees"],
            canonical_json(self._fill(planned.part.recipe)),
            inputs=Frozen({key: value for key, value in marks.items() if value is not None}),
            facts=given["facts"],
            seconds=self.world.seconds,
            created=NOW,
        )

    def _remove(self, change: Change) -> str:
        for step in change.steps:
            match step:
                case EnsurePlace():
                    self.world.places.discard(step.place)
                case Release():
                    self.world.store(step.store).references.discard((step.identity, step.build))
                case Unpublish():
                    self.world.store(step.store).builds[step.identity][step.build - 1].lost = True
        del self.resources[change.address]
        return "done"


def _with_version(record: Resource, version: Version) -> Resource:
    versions = [
        replace(each, status=Status.LOST) if each.identity == version.identity and each.build < version.build else each
        for each in record.versions
        if each.version != version.version
    ]
    return replace(record, versions=(*versions, version))


# ---- all of it together ----


def make_plan(
    project: Project, world: PaperWorld, state: State, options: Options
) -> tuple[Plan, list[tuple[Query, ...]]]:
    """Return the plan and what was asked, round by round; the last round asked nothing."""
    graph = build_graph(project)
    observed: dict[Query, Seen] = {}
    asked: list[tuple[Query, ...]] = []
    for _ in range(2 * graph.levels + 3):
        with no_io():
            answer = plan(project, graph, state, observed, options, NOW)
        if isinstance(answer, Plan):
            return answer, asked
        assert isinstance(answer, Wanted)
        assert not observed.keys() & set(answer.queries), "asked again what was answered"
        asked.append(answer.queries)
        observed |= {query: world.answer(query) for query in answer.queries}
    raise AssertionError("more rounds than 2 × levels + 2")


QUICKSTART: list[dict[str, Any]] = [
    {"kind": "Store", "name": "artifacts", "folder": ".specforge/artifacts"},
    {"kind": "Pool", "name": "here", "local": {"slots": 2}},
    {
        "kind": "Dataset",
        "name": "digits",
        "task": "image_classification",
        "source": "data",
        "split": {"train": 0.8, "eval": 0.2, "seed": 7},
    },
    {
        "kind": "Algorithm",
        "name": "svc",
        "framework": "scikit-learn",
        "code": "code",
        "boot": "train.py",
        "parameters": {"C": {"type": "float", "default": 1.0}, "gamma": {"type": "float", "default": 0.001}},
    },
    {
        "kind": "TrainingJob",
        "name": "digits",
        "algorithm": "svc",
        "inputs": {"data": "digits"},
        "parameters": {"C": 10},
        "evaluate": {"data": "digits", "accept": {"accuracy": {"min": 0.95}}},
    },
]
FILES = {"data/0/a.png": "zero", "data/0/b.png": "round", "data/1/a.png": "one", "code/train.py": "fit()"}


class Paper:
    """Documents, the world and what is recorded."""

    def __init__(
        self,
        documents: list[dict[str, Any]] | None = None,
        files: Mapping[str, str] | None = None,
        kinds: Kinds = KINDS,
    ) -> None:
        self.documents = copy.deepcopy(QUICKSTART if documents is None else documents)
        self.world = PaperWorld(dict(FILES if files is None else files))
        self.state = State()
        self.locks: Mapping[str, Frozen] = LOCKS
        self.kinds = kinds
        self.asked: list[tuple[Query, ...]] = []
        self.outcomes: dict[Address, str] = {}

    @property
    def project(self) -> Project:
        """What is declared now."""
        return project_of(self.documents, self.kinds, self.locks)

    def document(self, address: str) -> dict[str, Any]:
        """Return the document of a resource, to be changed."""
        prefix, _, name = address.partition(".")
        word = self.kinds.by_prefix[prefix].document
        return next(each for each in self.documents if each["kind"] == word and each["name"] == name)

    def edit(self, address: str, path: str, value: Any) -> None:
        """Set a field (dotted path) of a document."""
        *above, last = path.split(".")
        body = self.document(address)
        for key in above:
            body = body.setdefault(key, {})
        body[last] = value

    def add(self, **document: Any) -> None:
        """Declare one more resource."""
        self.documents.append(document)

    def remove(self, *addresses: str) -> None:
        """Delete documents."""
        for address in addresses:
            self.documents.remove(self.document(address))

    def record(self, address: str) -> Resource:
        """Return what is recorded of a resource."""
        return self.state.resources[Address.parse(address)]

    def put(self, record: Resource) -> None:
        """Change what is recorded of a resource."""
        self.state = replace(self.state, resources={**self.state.resources, record.address: record})

    def plan(self, **options: Any) -> Plan:
        """Return the plan; `asked` has the rounds."""
        options = {
            key: tuple(map(Address.parse, value)) if isinstance(value, tuple) else value
            for key, value in options.items()
        }
        made, self.asked = make_plan(self.project, self.world, self.state, Options(**options))
        return made

    @property
    def rounds(self) -> int:
        """How often the planner was called for the last plan."""
        return len(self.asked) + 1

    def apply(self, **options: Any) -> Plan:
        """Plan, carry it out, and return the plan."""
        made = self.plan(**options)
        applying = Applying(self.world, self.state, made)
        self.state = applying.run()
        self.outcomes = applying.outcomes
        return made


def change_of(made: Plan, address: str) -> Change:
    """Return the change of an address; fails if the plan has none, or two."""
    (found,) = [each for each in made.changes if str(each.address) == address]
    return found


def actions(made: Plan) -> dict[str, str]:
    """Return {address: action} of everything that is not a no-op."""
    return {str(each.address): each.action.value for each in made.changes if each.action is not Action.NOOP}


def verbs(change: Change) -> dict[str, str]:
    """Return {part: verb}."""
    return {each.part.name: each.verb.value for each in change.parts}


def words(change: Change) -> list[str]:
    """Return the changed fields and the reasons as words."""
    changed = [f"{each.path}: {each.before} → {each.after}" for each in change.fields]
    return changed + [each.text for each in change.reasons]
