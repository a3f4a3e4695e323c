"""What a TrainingJob wishes: the trained version, and the evidence that its gate judges. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specforge.core.diagnostics import has_errors
from specforge.core.steps import Copy, EnsureToolchain, Gate, Publish, RunJob, Step
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
)
from specforge.procedures import PROCEDURES
from specforge.schemas.algorithm.parameters import Problem, argument, effective
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


def input_at(subject: Subject, *paths: str) -> Input | None:
    """Return the input of the first of these field paths that leads somewhere."""
    return next((subject.inputs[path] for path in paths if path in subject.inputs), None)


def desire(subject: Subject) -> Desire:
    """Return the wish: a trained version under its recipe, the evidence about it, the gate over the evidence."""
    spec: TrainingSpec = subject.spec
    store = subject.inputs["store"].output("place")
    series = VersionSeries(subject.project, "training", spec.name, PATTERN)
    algorithm = input_at(subject, "algorithm")
    data = _data(subject)
    values, problems = _parameters(subject, algorithm)
    diagnostics = diagnostics_of(subject, algorithm, problems)
    known = {name: each for name, each in data.items() if each is not None}
    if has_errors(diagnostics) or algorithm is None or algorithm.spec is None or len(known) < len(data):
        return Desire(place=store, series=series, pinned=spec.version, diagnostics=diagnostics)
    parts = [Part("output", "training", REVISION, _recipe(subject, algorithm, known, values), "train")]
    measured = input_at(subject, "evaluate.data")
    if spec.evaluate is not None and measured is not None:
        parts.append(_evidence(subject, algorithm, spec.evaluate, measured))
    return Desire(
        tuple(parts),
        Frozen({"engine": algorithm.output("framework")}),
        place=store,
        series=series,
        pinned=spec.version,
        gate=_gate(spec.evaluate),
        diagnostics=diagnostics,
    )


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:
    """Return what makes a part: training and publishing its output, or measuring it and publishing the evidence."""
    algorithm, pool = subject.inputs["algorithm"], subject.inputs["pool"].output("place")
    store = subject.inputs["store"].output("place")
    toolchain = EnsureToolchain(pool, algorithm.output("framework"), algorithm.output("lock"))
    if part.name == "evidence":
        publish = Publish(store, _MEASURED_TREES, output="evaluation", facts=_FIGURES)
        return (toolchain, _measure(subject, toolchain, store), publish)
    code = algorithm.output("code")
    series, version = VersionSeries(subject.project, "training", subject.spec.name, PATTERN), subject.spec.version
    facts = Frozen({"engine": algorithm.output("framework")})
    return (
        toolchain,
        Copy(code, pool, f"code/{getattr(code, 'digest', None)}", name="code"),
        _train(subject, toolchain),
        Publish(store, _TRAINED_TREES, output="model", series=series, version=version, facts=facts),
    )


# ---- the output ----


def _data(subject: Subject) -> dict[str, Input | None]:
    return {name: input_at(subject, f"inputs.{name}.dataset", f"inputs.{name}") for name in subject.spec.inputs}


def _parameters(subject: Subject, algorithm: Input | None) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values that the job runs with, and what is wrong with them."""
    if algorithm is None or algorithm.spec is None:
        return {}, []
    return effective(subject.spec.parameters, getattr(algorithm.spec, "parameters", {}))


def _recipe(subject: Subject, algorithm: Input, data: Mapping[str, Input], parameters: Mapping[str, Any]) -> Frozen:
    """Return everything that decides the bytes of the output; what is not asked for has no key."""
    spec: TrainingSpec = subject.spec
    recipe: dict[str, Any] = {
        "runnable": algorithm.output("runnable"),
        "parameters": Frozen(parameters),
        "inputs": Frozen({name: each.output("digest") for name, each in data.items()}),
        "nodes": spec.nodes,
        "layout": LAYOUT,
    }
    usages = {name: _usages(each.usages) for name, each in spec.inputs.items()}
    widened = {name: each for name, each in usages.items() if each != _TRAIN_ONLY}
    if widened:
        recipe["usages"] = Frozen(widened)
    model = subject.inputs.get("from_model")
    if model is not None:
        recipe["from_model"] = model.output("digest")
    if spec.seed is not None:
        recipe["seed"] = spec.seed
    if spec.variables:
        recipe["variables"] = Frozen(spec.variables)
    return Frozen(recipe)


def _train(subject: Subject, toolchain: EnsureToolchain) -> RunJob:
    spec: TrainingSpec = subject.spec
    algorithm, model = subject.inputs["algorithm"], subject.inputs.get("from_model")
    argv = ["@python", f"@code/{algorithm.output('boot')}"]
    argv += [f"--{name}_url=@in/{name}" for name in spec.inputs]
    inputs = [
        JobInput(name, _published(each, "data"), _usages(spec.inputs[name].usages))
        for name, each in _data(subject).items()
        if each is not None
    ]
    if model is not None:
        argv.append("--from_model_url=@in/from_model")
        inputs.append(JobInput("from_model", _published(model, "model")))
    argv.append("--train_url=@out")
    argv += [argument(name, value) for name, value in _parameters(subject, algorithm)[0].items()]
    if spec.seed is not None:
        argv.append(f"--seed={spec.seed}")
    variables = Frozen(spec.variables) if spec.variables else EMPTY
    return RunJob(
        "train",
        toolchain.place,
        Run(tuple(argv), toolchain.lock, variables, _limits(spec.resources)),
        inputs=tuple(inputs),
        outputs=_TRAINED,
        code=_CODE,
        nodes=spec.nodes,
        timeout=None if spec.timeout is None else seconds(spec.timeout),
        retry=spec.retries,
    )


def _usages(asked: Sequence[str]) -> tuple[str, ...]:
    return _TRAIN_ONLY if asked == _TRAIN_ONLY else tuple(sorted(set(asked)))


def _published(source: Input, tree: str) -> Tree:
    """Return a published tree of an artifact: found by its digest in the store that the artifact lies in."""
    return Tree(source.output("place"), None, source.output(f"tree.{tree}"))


def _limits(resources: Resources) -> Limits:
    memory = None if resources.memory is None else memory_bytes(resources.memory)
    return Limits(None if resources.cpu is None else float(resources.cpu), memory)


# ---- the evidence and its gate ----


def _evidence(subject: Subject, algorithm: Input, wanted: Evaluation, data: Input) -> Part:
    recipe: dict[str, Any] = {
        "subject": OutputRef(subject.address, "digest"),
        "data": data.output("digest"),
        "usages": _usages(wanted.usages),
        "engine": algorithm.output("framework"),
        "toolchain": algorithm.output("toolchain"),
    }
    if wanted.samples is not None:
        recipe["samples"] = wanted.samples
    return Part("evidence", "evidence", PROCEDURES["evaluate"].revision, Frozen(recipe), "evaluate")


def _measure(subject: Subject, toolchain: EnsureToolchain, store: Any) -> RunJob:
    wanted: Evaluation = subject.spec.evaluate
    argv = ["@python", "@procedures", "evaluate", f"--engine={toolchain.engine}"]
    argv += ["--model=@in/model", "--data=@in/data", "--output=@out", "--failure=@out/failure"]
    if wanted.samples is not None:
        argv.append(f"--samples={wanted.samples}")
    return RunJob(
        "evaluate",
        toolchain.place,
        Run(tuple(argv), toolchain.lock, limits=_limits(subject.spec.resources)),
        inputs=(
            JobInput("model", Tree(store, None, OutputRef(subject.address, "tree.model"))),
            JobInput("data", _published(subject.inputs["evaluate.data"], "data"), _usages(wanted.usages)),
        ),
        outputs=_MEASURED,
        facts="figures.json",
    )


def _gate(wanted: Evaluation | None) -> Gate | None:
    if wanted is None:
        return None
    return Gate(Frozen({name: _bounds(each) for name, each in wanted.accept.items()}))


def _bounds(wanted: Bounds) -> Frozen:
    given = (("min", wanted.min), ("max", wanted.max))
    return Frozen({name: value for name, value in given if value is not None})
