"""The planner: a project of many resources, no change: load, read the state, plan, and the plan as text.

Layers of trainings, each going on from one of the layer below, three edges a resource. The world answers at once that
all is as recorded; everything else is real: YAML files, SQLite. CPU seconds and peak memory of a fresh process.
`python -m benchmarks.planner --profile [SIZE]` shows where the time goes.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from specforge.core.digest import canonical_json, digest_of
from specforge.core.queries import FindIdentity, Presence, Query, ScanTree, Seen
from specforge.core.state import Evidence, LockInfo, PutResource, Resource, State, StateRef, Version
from specforge.core.values import Frozen, frozen
from specforge.planner.compute import plan
from specforge.planner.graph import Graph, build_graph
from specforge.planner.outputs import fill_from, input_mark
from specforge.planner.plan import Change, Options, Plan, PlannedPart
from specforge.planner.project import Project

if TYPE_CHECKING:
    from benchmarks.measure import Row

SIZES = (1_000, 2_000, 5_000, 10_000)
LAYERS = 10
PER_FILE = 100
LOCK = Path(__file__).parent.parent / "specs" / "quickstart" / "specforge.lock"


def write(root: Path, size: int) -> None:
    """Write a project with so many resources: datasets, algorithms, and trainings in layers."""
    root.mkdir(parents=True, exist_ok=True)
    datasets, algorithms = size * 64 // 100, size * 5 // 100
    trainings = size - datasets - algorithms - 2
    documents = ["{kind: Store, name: artifacts, folder: artifacts}", "kind: Pool\nname: here\nlocal:\n  slots: 2\n"]
    documents += [_dataset(number) for number in range(datasets)]
    documents += [_algorithm(number) for number in range(algorithms)]
    documents += [_training(number, max(1, trainings // LAYERS), datasets, algorithms) for number in range(trainings)]
    for index in range(0, size, PER_FILE):
        text = "\n---\n".join(documents[index : index + PER_FILE])
        (root / "specs").mkdir(exist_ok=True)
        (root / "specs" / f"part{index // PER_FILE:03}.yaml").write_text(text, encoding="utf-8")
    (root / "specforge.yaml").write_text(
        "kind: Project\nname: bench\ndefaults: {store: artifacts, pool: here}\nspecs: [specs/*.yaml]\n",
        encoding="utf-8",
    )
    (root / LOCK.name).write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")


def _dataset(number: int) -> str:
    return (
        f"kind: Dataset\nname: data{number}\ndescription: Pictures of batch {number}\n"
        f"task: image_classification\nsource: data/{number}\n"
        "split:\n  train: 0.8\n  eval: 0.2\n  seed: 7\n"
    )


def _algorithm(number: int) -> str:
    return (
        f"kind: Algorithm\nname: method{number}\nframework: scikit-learn\ncode: code/{number}\nboot: train.py\n"
        "parameters:\n  C: {type: float, default: 1.0}\n  gamma: {type: float, default: 0.001}\n"
    )


def _training(number: int, width: int, datasets: int, algorithms: int) -> str:
    text = (
        f"kind: TrainingJob\nname: job{number}\nalgorithm: method{number % algorithms}\n"
        f"inputs:\n  data: data{number % datasets}\n"
        f"parameters:\n  C: {number % 7 + 1}\n"
        f"evaluate:\n  data: data{(number + 1) % datasets}\n  accept:\n    accuracy: {{min: 0.9}}\n"
    )
    return text if number < width else text + f"from_model: job{number - width}\n"


# ---- a world in which all is as recorded ----


TREES = {"dataset": ("data",), "training": ("model", "rest", "log")}
FOLDER = frozen({"files": 3, "bytes": 300, "folders": {"0": 2, "1": 1}})
FILE = frozen({"files": 1, "bytes": 100, "folders": {}})
THERE = Seen(Presence.PRESENT)


def answer(query: Query) -> Seen:
    """Answer at once: everything is there, and was always published."""
    if isinstance(query, ScanTree):
        return Seen(
            Presence.PRESENT, hashlib.sha256(query.path.encode()).hexdigest(), FILE if ".py" in query.path else FOLDER
        )
    if isinstance(query, FindIdentity):
        names = ("data", "model", "rest", "log", "evaluation")
        facts = {
            "build": 1,
            "trees": {name: digest_of([name, query.identity]) for name in names},
            "facts": {} if query.series else {"accuracy": 0.97, "samples": 100},
            "version": query.series.version(1) if query.series else None,
        }
        return Seen(Presence.PRESENT, digest_of(["output", query.identity]), frozen(facts))
    return THERE


def plan_with(project: Project, graph: Graph, state: State) -> tuple[Plan, int]:
    """Return the plan and how many rounds it took."""
    observed: dict[Query, Seen] = {}
    for number in range(1, 2 * graph.levels + 4):
        answered = plan(project, graph, state, observed, Options(), 1.0)
        if isinstance(answered, Plan):
            return answered, number
        observed.update((query, answer(query)) for query in answered.queries)
    raise AssertionError("the planner went on asking")


class _Answers(dict[Query, Seen]):
    """All answers before they are asked for: with them the first plan takes one round instead of two a layer."""

    def get(self, query: Query, _: object = None) -> Seen:  # type: ignore[override]
        return answer(query)


def recorded(project: Project) -> tuple[Resource, ...]:
    """Return what is recorded after an apply in this world, in which everything is found in the store."""
    made = plan(project, build_graph(project), State(), _Answers(), Options(), 1.0)
    if not isinstance(made, Plan):
        raise AssertionError("all was answered")
    return tuple(_resource(change) for change in made.changes)


def _resource(change: Change) -> Resource:
    if change.lifecycle != "artifact":
        identity = change.parts[0].identity if change.parts else None
        return Resource(change.address, change.lifecycle, change.spec or "", change.place, identity, change.outputs)
    output = change.parts[0]
    version = Version(
        version=change.version or "",
        identity=output.identity or "",
        build=1,
        output=digest_of(["output", output.identity]),
        trees=Frozen({name: _found(output)["trees"][name] for name in TREES[change.address.kind]}),
        recipe=canonical_json(output.part.recipe),
        evidence=_evidence(change, output) if len(change.parts) > 1 else None,
        inputs=Frozen({str(each): input_mark(Frozen(identity="", version="V001")) for each in change.waits_for}),
        seconds=4.0,
    )
    return Resource(
        change.address,
        change.lifecycle,
        change.spec or "",
        change.place,
        current=version.version,
        versions=(version,),
        waits_for=change.waits_for,
    )


def _found(planned: PlannedPart) -> Frozen:
    if planned.found is None:
        raise AssertionError("everything is found in this world")
    return planned.found


def _evidence(change: Change, output: PlannedPart) -> Evidence:
    planned = change.parts[1]
    own = {change.address: {"digest": digest_of(["output", output.identity])}}
    recipe = fill_from(planned.part.recipe, own)
    return Evidence(planned.identity or "", 1, _found(planned)["facts"], canonical_json(recipe))


# ---- what is measured ----


def prepare(root: Path, size: int) -> None:
    """Write the project and its state."""
    from specforge.loading import load
    from specforge.loading.plugins import installed_kinds
    from specforge.state.open import open_backend

    write(root, size)
    project = load(root, kinds=installed_kinds())
    backend = open_backend(project.state, root)
    with backend.lock(LockInfo("bench", "bench", "benchmark", 0.0, 0, ""), 0.0):
        ref: StateRef = backend.begin("lineage", project.name, project.environment)
        backend.commit("bench", 1.0, [PutResource(each) for each in recorded(project)], ref)


def measured(root: Path) -> dict[str, float]:
    """Return the CPU seconds of each phase in this process, which did nothing else, and its peak memory in MB."""
    gc.disable()
    marks = {"start": time.process_time()}
    from specforge.loading import load
    from specforge.loading.plugins import installed_kinds
    from specforge.render.plan import render_plan
    from specforge.state.open import open_backend

    kinds = installed_kinds()
    marks["imports"] = time.process_time()
    project = load(root, kinds=kinds)
    marks["load"] = time.process_time()
    state = open_backend(project.state, root).read()
    marks["state"] = time.process_time()
    graph = build_graph(project)
    marks["graph"] = time.process_time()
    made, rounds = plan_with(project, graph, state)
    marks["plan"] = time.process_time()
    text = render_plan(made)
    marks["text"] = time.process_time()
    if not made.empty or rounds != 2 or "No changes" not in text:
        raise AssertionError(f"not a plan without changes in two rounds:\n{text}")
    phases = {name: marks[name] - marks[before] for before, name in pairwise(marks)}
    total = time.process_time()
    from benchmarks.measure import own_peak  # what measures is no part of what is measured

    return {**phases, "total": total, "peak": own_peak(), "edges": sum(map(len, graph.edges.values()))}


def run(root: Path) -> dict[str, float]:
    """Return the medians of several fresh processes."""
    from statistics import median

    from benchmarks.measure import REPEATS, process

    command = [sys.executable, "-m", "benchmarks.planner", "--child", str(root)]
    runs = [json.loads(process(command).output) for _ in range(REPEATS)]
    return {key: median(each[key] for each in runs) for key in runs[0]}


def main() -> list[Row]:
    """Measure all sizes."""
    from tempfile import TemporaryDirectory

    from benchmarks.measure import Row, exponent, process

    rows, totals = [], []
    with TemporaryDirectory() as name:
        for size in SIZES:
            process([sys.executable, "-m", "benchmarks.planner", "--prepare", f"{name}/{size}", str(size)])
            figures = run(Path(name) / str(size))
            totals.append(sum(figures[key] for key in ("load", "state", "graph", "plan", "text")))
            edges = f"{figures['edges']:,.0f} edges"
            wanted = "under 2 s and 200 MB" if size == SIZES[-1] else ""
            shown = f"{figures['total']:.2f} s CPU, {figures['peak']:.0f} MB"
            rows.append(Row(f"{size:,} resources, {edges}, no change", shown, wanted))
        phases = ", ".join(f"{key} {figures[key]:.2f}" for key in ("imports", "load", "state", "graph", "plan", "text"))
        rows.append(Row(f"of it, by phase ({SIZES[-1]:,})", f"{phases} s", ""))
        rows.append(Row("growth with size, after the imports", f"exponent {exponent(SIZES, totals):.2f}", "about 1"))
    return rows


def profile(size: int) -> None:
    """Show where the time of a plan goes."""
    import cProfile
    import pstats
    from tempfile import TemporaryDirectory

    from benchmarks.measure import process

    with TemporaryDirectory() as name:
        process([sys.executable, "-m", "benchmarks.planner", "--prepare", name, str(size)])
        profiler = cProfile.Profile()
        profiler.runcall(measured, Path(name))
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--prepare", folder, count]:
            prepare(Path(folder), int(count))
        case ["--child", folder]:
            print(json.dumps(measured(Path(folder))))
        case ["--profile", *count]:
            profile(int(count[0]) if count else SIZES[-1])
        case _:
            from benchmarks.measure import table

            print(table(main()))
