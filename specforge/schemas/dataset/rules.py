"""What a Dataset reads, its recipe and the steps that publish a version. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specforge.core.diagnostics import Diagnostic, Severity, has_errors
from specforge.core.digest import canonical_json
from specforge.core.queries import Presence, Reading, ScanTree, Seen, is_single_file
from specforge.core.steps import Publish, RunJob, Step
from specforge.core.values import (
    PROJECT,
    Frozen,
    JobInput,
    JobOutput,
    Run,
    Select,
    StepRef,
    Tree,
    VersionSeries,
)
from specforge.formats.labels import label_problem
from specforge.formats.pictures import SUFFIXES
from specforge.procedures import PROCEDURES
from specforge.schemas.dataset.spec import DatasetSpec, Split
from specforge.schemas.kind import Desire, Part, Subject

PATTERN = "V{:03d}"
PICTURES = Select(SUFFIXES, executable=False)
_LAYOUT = "`source` is relative to the project's folder; it holds one folder of pictures per label"

# The same for every dataset, so made once.
_OUTPUTS = (JobOutput("data", "data", required=True, expected="data.listing"),)
_TREES = Frozen({"data": StepRef("publish", "tree.data")})
_FACTS = StepRef("publish", "facts")
_EXPORTS = Frozen({"dataset.manifest": "{version}.manifest"})


def readings(subject: Subject) -> Mapping[str, Reading]:
    """Return the scan of the source; against the current version it also says what was added, removed, changed."""
    since = None
    if subject.recorded is not None and subject.recorded_place is not None:
        since = Tree(subject.recorded_place, None, subject.recorded.output)
    return {"source": ScanTree(PROJECT, subject.spec.source, PICTURES, since)}


def desire(subject: Subject) -> Desire:
    """Return the wish: a published version of what lies in the source."""
    spec: DatasetSpec = subject.spec
    seen = subject.facts.get("source")
    diagnostics = tuple(_diagnostics(subject, seen))
    store, series = subject.inputs["store"].output("place"), _series(subject)
    if seen is None or seen.digest is None or has_errors(diagnostics):
        return Desire(place=store, series=series, pinned=spec.version, diagnostics=diagnostics)
    split = _split(spec.split)
    recipe = Frozen({"task": spec.task, "samples": seen.digest, "layout": "class_folders", "split": split})
    part = Part("output", "dataset", PROCEDURES["publish_dataset"].revision, recipe, "publish")
    return Desire(
        (part,), place=store, series=series, pinned=spec.version, summary=_summary(seen.facts), diagnostics=diagnostics
    )


def _split(split: Split | None) -> Frozen | None:
    if split is None:
        return None
    return Frozen({"train": float(split.train), "seed": split.seed, "stratified": split.stratified})


def _series(subject: Subject) -> VersionSeries:
    return VersionSeries(subject.project, "dataset", subject.spec.name, PATTERN)


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:
    """Return the job that verifies, splits and lists the pictures, and the publication of what it leaves."""
    spec: DatasetSpec = subject.spec
    digest, split = part.recipe["samples"], part.recipe["split"]
    argv = ["@python", "@procedures", "publish_dataset", "--source=@in/source", "--output=@out/data"]
    argv += ["--facts=@out/facts.json", "--failure=@out/failure", f"--digest={digest}"]
    argv += ["--listing=@out/data.listing"]
    if split is not None:
        argv.append(f"--split={canonical_json(split)}")
    publish = RunJob(
        "publish",
        subject.inputs["pool"].output("place"),
        Run(tuple(argv)),
        inputs=(JobInput("source", Tree(PROJECT, spec.source, digest)),),
        outputs=_OUTPUTS,
        facts="facts.json",
    )
    commit = Publish(
        subject.inputs["store"].output("place"),
        trees=_TREES,
        output="data",
        series=_series(subject),
        version=spec.version,
        facts=_FACTS,
        exports=_EXPORTS,
        name="commit",
    )
    return (publish, commit)


def _summary(facts: Mapping[str, Any]) -> str:
    files, labels = int(facts.get("files", 0)), sum(1 for count in facts.get("folders", {}).values() if count)
    words = f"{files:,} {'picture' if files == 1 else 'pictures'} in {labels:,} {'label' if labels == 1 else 'labels'}"
    return f"{words}, {_size(int(facts.get('bytes', 0)))}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 100_000 else f"{count / 1e6:,.1f} MB"


def _diagnostics(subject: Subject, seen: Seen | None) -> Iterator[Diagnostic]:
    if seen is None:
        return
    spec: DatasetSpec = subject.spec
    for code, summary, detail, hint, severity in _findings(spec.source, seen):
        yield Diagnostic(code, summary, detail, severity, hint, address=subject.address, path=("source",))


Finding = tuple[str, str, str, str | None, Severity]


def _findings(source: str, seen: Seen) -> Iterator[Finding]:
    if seen.presence is Presence.UNREACHABLE:
        yield "SF215", "Folder cannot be read", f"`{source}` cannot be read: {seen.problem}", None, Severity.ERROR
        return
    if seen.presence is Presence.ABSENT:
        yield "SF210", "Folder not found", f"there is no folder `{source}`", _LAYOUT, Severity.ERROR
        return
    if is_single_file(seen):
        yield "SF210", "Folder not found", f"`{source}` is a file, not a folder", _LAYOUT, Severity.ERROR
        return
    for each in seen.facts.get("problems", ()):
        detail = f"`{each['path']}` in `{source}` {each['problem']}"
        yield "SF215", "Folder cannot be read", detail, "take it away, or name it in `.specignore`", Severity.ERROR
    if not seen.facts.get("files"):
        known = ", ".join(f"`{suffix}`" for suffix in SUFFIXES)
        detail = f"`{source}` has no pictures"
        yield "SF211", "No pictures", detail, f"pictures end with one of {known} and lie in `LABEL/`", Severity.ERROR
        return
    yield from _folder_findings(source, seen)


def _folder_findings(source: str, seen: Seen) -> Iterator[Finding]:
    for folder, count in sorted(seen.facts.get("folders", {}).items()):
        if folder in ("", "."):
            words = "1 picture lies" if count == 1 else f"{count:,} pictures lie"
            detail = f"{words} in `{source}` itself, so {'it has' if count == 1 else 'they have'} no label"
            yield "SF214", "Pictures without a label", detail, f"move them into `{source}/LABEL/`", Severity.ERROR
            continue
        problem = label_problem(folder)
        if problem is not None:
            hint = "a label has 1 to 32 letters, digits, `_`, `-` and Chinese characters; rename the folder"
            yield "SF213", "Bad label", f"the folder `{folder}` in `{source}` {problem}", hint, Severity.ERROR
        elif not count:
            detail = f"the folder `{folder}` in `{source}` has no pictures, so there will be no such label"
            yield "SF212", "Empty class folder", detail, "put pictures in it, or take it away", Severity.WARNING
