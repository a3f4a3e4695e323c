"""What a Model reads, its recipe and the steps that publish a package. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from specforge.core.diagnostics import has_errors
from specforge.core.digest import canonical_json
from specforge.core.queries import Reading, ScanTree
from specforge.core.steps import Publish, RunJob, Step
from specforge.core.values import EMPTY, PROJECT, Frozen, JobInput, JobOutput, Run, StepRef, Tree, VersionSeries, frozen
from specforge.formats.layouts import SERVICE
from specforge.procedures import PROCEDURES
from specforge.schemas.kind import Desire, Input, Part, Subject
from specforge.schemas.model.checks import diagnostics_of
from specforge.schemas.model.spec import ModelSpec

PATTERN = "0.0.{}"

# The same for every model, so made once.
_OUTPUTS = (JobOutput("package", "package", required=True),)
_TREES = Frozen({"package": StepRef("package", "tree.package")})
_FACTS = StepRef("package", "facts")


def readings(subject: Subject) -> Mapping[str, Reading]:
    """Return what is asked of the user's files: the inference code, and whether a folder of it has the service."""
    path = subject.spec.inference
    if path is None:
        return {}
    return {"inference": ScanTree(PROJECT, path), "service": ScanTree(PROJECT, posixpath.join(path, SERVICE))}


def desire(subject: Subject) -> Desire:
    """Return the wish: a published package of what the training gives."""
    spec: ModelSpec = subject.spec
    training = subject.inputs["training"]
    store = subject.inputs["store"].output("place")
    series = VersionSeries(subject.project, "model", spec.name, PATTERN)
    engine, apis, dependencies = engine_of(training), _apis(spec), _dependencies(spec)
    diagnostics = diagnostics_of(subject, engine, apis, dependencies)
    code = subject.facts.get("inference")
    unread = spec.inference is not None and (code is None or code.digest is None)
    if has_errors(diagnostics) or unread:
        return Desire(place=store, series=series, pinned=spec.version, diagnostics=diagnostics)
    recipe = {
        "source": training.output("digest"),
        "engine": engine,
        "mode": spec.mode,
        "algorithm": spec.algorithm,
        "runtime": spec.runtime,
        "apis": apis,
        "dependencies": dependencies,
        "figures": _figures(spec, training),
        "inference": None if code is None else code.digest,
    }
    part = Part("output", "model", PROCEDURES["package"].revision, _given(recipe), "package")
    outputs = Frozen({"engine": engine, "mode": spec.mode})
    return Desire((part,), outputs, store, series, spec.version, diagnostics=diagnostics)


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:
    """Return the job that assembles the package, and the publication of it."""
    spec: ModelSpec = subject.spec
    training, recipe = subject.inputs["training"], part.recipe
    code = None if spec.inference is None else Tree(PROJECT, spec.inference, recipe["inference"])
    # What may be a hole is a word of its own: an apply fills whole words.
    words: list[Any] = ["@python", "@procedures", "package", "--source=@in/source", "--output=@out/package"]
    words += ["--facts=@out/facts.json", "--failure=@out/failure", f"--options={_options(recipe)}"]
    words += ["--engine", recipe["engine"]]
    if "figures" in recipe:
        words += ["--figures", recipe["figures"]]
    if code is not None:
        words.append("--inference=@code")
    job = RunJob(
        "package",
        subject.inputs["pool"].output("place"),
        Run(tuple(words)),
        inputs=(JobInput("source", Tree(training.output("place"), None, training.output("tree.model"))),),
        outputs=_OUTPUTS,
        code=code,
        facts="facts.json",
    )
    series = VersionSeries(subject.project, "model", spec.name, PATTERN)
    store = subject.inputs["store"].output("place")
    return (job, Publish(store, _TREES, output="package", series=series, version=spec.version, facts=_FACTS))


def engine_of(training: Input) -> Any:
    """Return the engine that made what the training gives, or the hole for it; None if nothing says it.

    A pinned version was made by the engine that it was published with, whatever the document says now.
    """
    if training.version is not None:
        return training.outputs.get("facts", EMPTY).get("engine")
    return training.output("engine")


def _figures(spec: ModelSpec, training: Input) -> Any:
    """Return the figures that go into config.json. Only the record of who evaluated has those of a pinned version, and
    an identity must be the same for everybody.
    """
    return training.output("figures") if spec.metrics and training.version is None else None


def _apis(spec: ModelSpec) -> list[dict[str, Any]] | None:
    return None if spec.apis is None else [each.model_dump(by_alias=True) for each in spec.apis]


def _dependencies(spec: ModelSpec) -> list[dict[str, Any]]:
    return [each.model_dump(exclude_none=True) for each in spec.dependencies]


def _given(recipe: Mapping[str, Any]) -> Frozen:
    """Return the recipe without what is not asked for."""
    return Frozen({key: frozen(value) for key, value in recipe.items() if value is not None and value != []})


def _options(recipe: Frozen) -> str:
    """Return what the document says, as the procedure takes it."""
    keys = ("mode", "algorithm", "runtime", "apis", "dependencies")
    return canonical_json({key: recipe[key] for key in keys if key in recipe})
