"""What a TrainingJob wishes: the trained version, and the evidence that its gate judges. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specforge.core.dataclass import dataclass
from specforge.core.diagnostics import has_errors
from specforge.core.steps import Copy, EnsureToolchain, Gate, Publish, RunJob
from specforge.core.values import (
    EMPTY,
    Frozen,
    JobInput,
    JobOutput,
    Limits,
    OutputRef,
    Run,
    StepRef,
    Tree,
    VersionSeries,
    frozen,
)
from specforge.procedures import PROCEDURES
from specforge.schemas.algorithm.parameters import argument, effective
from specforge.schemas.kind import Desire, Input, Part, Subject
from specforge.schemas.training.checks import diagnostics_of
from specforge.schemas.training.spec import Bounds, Evaluation, Resources, TrainingSpec
from specforge.schemas.units import memory_bytes, seconds

PATTERN = "V{:04d}"
REVISION = 1
"""Bumped by hand when what a job is given changes so that it would leave other bytes."""

LAYOUT = "options"
"""How inputs, parameters and the output are given to the boot file: as `--NAME_url`, `--NAME`, `--train_url`."""

MISSING_MODEL = "ended well but left no model: the boot file must write it into the folder `model` in `--train_url`"

# The same for every job, so made once.
_TRAINED = (
    JobOutput("model", "model", required=True, missing_hint=MISSING_MODEL),
    JobOutput("rest", ".", exclude=("model",)),
    JobOutput("log", "@log"),
)
_TRAINED_TREES = Frozen({each.name: StepRef("train", f"tree.{each.name}") for each in _TRAINED})
_CODE = StepRef("code", "tree")
_MEASURED = (JobOutput("evaluation", ".", required=True),)
_MEASURED_TREES = Frozen({"evaluation": StepRef("evaluate", "tree.evaluation")})
_FIGURES = StepRef("evaluate", "facts")
_TRAIN_ONLY = ("TRAIN",)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the parts are made from, looked up once."""

    spec: TrainingSpec
    algorithm: Input
    data: Mapping[str, Input]
    from_model: Input | None
    parameters: Mapping[str, Any]
    store: Any
    pool: Any
    limits: Limits
    toolchain: EnsureToolchain


def input_at(subject: Subject, *paths: str) -> Input | None:
    """Return the input of the first of these field paths that leads somewhere."""
    return next((subject.inputs[path] for path in paths if path in subject.inputs), None)


def desire(subject: Subject) -> Desire:
    """Return the wish: a trained version under its recipe, the evidence about it, the gate over the evidence."""
    spec: TrainingSpec = subject.spec
    store = subject.inputs["store"].output("place")
    series = VersionSeries(subject.project, "training", spec.name, PATTERN)
    algorithm = input_at(subject, "algorithm")
    data = {name: input_at(subject, f"inputs.{name}.dataset", f"inputs.{name}") for name in spec.inputs}
    diagnostics = diagnostics_of(subject, algorithm)
    known = {name: each for name, each in data.items() if each is not None}
    if has_errors(diagnostics) or algorithm is None or algorithm.spec is None or len(known) < len(data):
        return Desire(place=store, series=series, pinned=spec.version, diagnostics=diagnostics)
    given = _given(subject, algorithm, known, store)
    parts = [_output(given, series)]
    measured = input_at(subject, "evaluate.data")
    if spec.evaluate is not None and measured is not None:
        parts.append(_evidence(subject, given, spec.evaluate, measured))
    return Desire(
        tuple(parts),
        place=store,
        series=series,
        pinned=spec.version,
        gate=_gate(spec.evaluate),
        diagnostics=diagnostics,
    )


def _given(subject: Subject, algorithm: Input, data: Mapping[str, Input], store: Any) -> _Given:
    spec: TrainingSpec = subject.spec
    values, _ = effective(spec.parameters, getattr(algorithm.spec, "parameters", {}))
    pool = subject.inputs["pool"].output("place")
    toolchain = EnsureToolchain(pool, algorithm.output("framework"), algorithm.output("lock"))
    model = subject.inputs.get("from_model")
    return _Given(spec, algorithm, data, model, values, store, pool, _limits(spec.resources), toolchain)


# ---- the output ----


def _output(given: _Given, series: VersionSeries) -> Part:
    spec = given.spec
    code = given.algorithm.output("code")
    code_digest = getattr(code, "digest", None)
    steps = (
        given.toolchain,
        Copy(code, given.pool, f"code/{code_digest}", name="code"),
        _train(given),
        Publish(given.store, _TRAINED_TREES, output="model", series=series, version=spec.version),
    )
    return Part("output", "training", REVISION, _recipe(given), steps, "train")


def _recipe(given: _Given) -> Frozen:
    """Return everything that decides the bytes of the output; what is not asked for has no key."""
    spec = given.spec
    recipe: dict[str, Any] = {
        "runnable": given.algorithm.output("runnable"),
        "parameters": dict(given.parameters),
        "inputs": {name: each.output("digest") for name, each in given.data.items()},
        "nodes": spec.nodes,
        "layout": LAYOUT,
    }
    usages = {name: _usages(each.usages) for name, each in spec.inputs.items()}
    widened = {name: each for name, each in usages.items() if each != _TRAIN_ONLY}
    if widened:
        recipe["usages"] = widened
    if given.from_model is not None:
        recipe["from_model"] = given.from_model.output("digest")
    if spec.seed is not None:
        recipe["seed"] = spec.seed
    if spec.variables:
        recipe["variables"] = dict(spec.variables)
    return Frozen(frozen(recipe))


def _train(given: _Given) -> RunJob:
    spec = given.spec
    argv = ["@python", f"@code/{given.algorithm.output('boot')}"]
    argv += [f"--{name}_url=@in/{name}" for name in spec.inputs]
    inputs = [
        JobInput(name, _published(each, "data"), _usages(spec.inputs[name].usages)) for name, each in given.data.items()
    ]
    if given.from_model is not None:
        argv.append("--from_model_url=@in/from_model")
        inputs.append(JobInput("from_model", _published(given.from_model, "model")))
    argv.append("--train_url=@out")
    argv += [argument(name, value) for name, value in given.parameters.items()]
    if spec.seed is not None:
        argv.append(f"--seed={spec.seed}")
    return RunJob(
        "train",
        given.pool,
        Run(tuple(argv), given.toolchain.lock, Frozen(spec.variables) if spec.variables else EMPTY, given.limits),
        inputs=tuple(inputs),
        outputs=_TRAINED,
        code=_CODE,
        nodes=spec.nodes,
        timeout=None if spec.timeout is None else seconds(spec.timeout),
        retry=spec.retries,
    )


def _usages(asked: Sequence[str]) -> tuple[str, ...]:
    return _TRAIN_ONLY if asked == ["TRAIN"] else tuple(sorted(set(asked)))


def _published(source: Input, tree: str) -> Tree:
    """Return a published tree of an artifact: found by its digest in the store that the artifact lies in."""
    return Tree(source.output("place"), None, source.output(f"tree.{tree}"))


def _limits(resources: Resources) -> Limits:
    memory = None if resources.memory is None else memory_bytes(resources.memory)
    return Limits(None if resources.cpu is None else float(resources.cpu), memory)


# ---- the evidence and its gate ----


def _evidence(subject: Subject, given: _Given, wanted: Evaluation, data: Input) -> Part:
    engine = given.toolchain.engine
    usages = _usages(wanted.usages)
    recipe: dict[str, Any] = {
        "subject": OutputRef(subject.address, "digest"),
        "data": data.output("digest"),
        "usages": usages,
        "engine": engine,
        "toolchain": given.algorithm.output("toolchain"),
    }
    argv = ["@python", "@procedures", "evaluate", f"--engine={engine}", "--model=@in/model", "--data=@in/data"]
    argv += ["--output=@out", "--failure=@out/failure"]
    if wanted.samples is not None:
        recipe["samples"] = wanted.samples
        argv.append(f"--samples={wanted.samples}")
    job = RunJob(
        "evaluate",
        given.pool,
        Run(tuple(argv), given.toolchain.lock, limits=given.limits),
        inputs=(
            JobInput("model", Tree(given.store, None, OutputRef(subject.address, "tree.model"))),
            JobInput("data", _published(data, "data"), usages),
        ),
        outputs=_MEASURED,
        facts="figures.json",
    )
    steps = (given.toolchain, job, Publish(given.store, _MEASURED_TREES, output="evaluation", facts=_FIGURES))
    return Part("evidence", "evidence", PROCEDURES["evaluate"].revision, Frozen(frozen(recipe)), steps, "evaluate")


def _gate(wanted: Evaluation | None) -> Gate | None:
    if wanted is None:
        return None
    return Gate(Frozen({name: _bounds(each) for name, each in wanted.accept.items()}))


def _bounds(wanted: Bounds) -> Frozen:
    given = (("min", wanted.min), ("max", wanted.max))
    return Frozen({name: value for name, value in given if value is not None})
