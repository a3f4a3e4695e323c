"""The kind Glossary: words and their meanings, published as a JSON file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from specforge.core.digest import canonical_json
from specforge.core.steps import Publish, RunJob, Step
from specforge.core.values import Frozen, JobOutput, Run, StepRef, VersionSeries, frozen
from specforge.schemas.base import Change, Declared, Ref, VersionName
from specforge.schemas.kind import Desire, Kind, Lifecycle, Part, Subject

PATTERN = "G{}"
REVISION = 1

SCRIPT = """\
import json, pathlib, sys
output, terms, language = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
(output / "glossary").mkdir()
text = json.dumps({"language": language, "terms": terms}, ensure_ascii=False, indent=1, sort_keys=True)
(output / "glossary" / "glossary.json").write_text(text + "\\n", encoding="utf-8")
(output / "facts.json").write_text(json.dumps({"terms": len(terms)}))
print(f"{len(terms)} terms")
"""

Text = Annotated[str, StringConstraints(min_length=1)]


class GlossarySpec(Declared):
    """Words and what they mean."""

    terms: Annotated[dict[Text, Text], Field(min_length=1), Change.NEW_VERSION]
    """Each word and its meaning."""

    language: Annotated[Text, Change.NEW_VERSION] = "en"
    """Language of the words."""

    audience: Annotated[str, Change.IGNORE] = ""
    """Who reads it; decides nothing."""

    version: Annotated[VersionName | None, Change.UPDATE] = None
    """Name for the version. Default: G1, G2, …"""

    store: Annotated[str, Ref(("store",), default="store"), Change.UPDATE]
    """The Store that versions are published in."""

    pool: Annotated[str, Ref(("pool",), default="pool"), Change.IGNORE]
    """The Pool that writes it."""


def desire(subject: Subject) -> Desire:
    """Return the wish: a published glossary."""
    spec: GlossarySpec = subject.spec
    store = subject.inputs["store"].output("place")
    part = Part(
        "output", "glossary", REVISION, Frozen({"terms": frozen(spec.terms), "language": spec.language}), "write"
    )
    count = len(spec.terms)
    summary = f"{count} {'term' if count == 1 else 'terms'}"
    return Desire((part,), place=store, series=_series(subject), pinned=spec.version, summary=summary)


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:
    """Return the job that writes the glossary, and its publication."""
    spec: GlossarySpec = subject.spec
    write = RunJob(
        part.work,
        subject.inputs["pool"].output("place"),
        Run(("@python", "-c", SCRIPT, "@out", canonical_json(spec.terms), spec.language)),
        outputs=(JobOutput("glossary", "glossary", required=True),),
        facts="facts.json",
    )
    publish = Publish(
        subject.inputs["store"].output("place"),
        trees=Frozen({"glossary": StepRef("write", "tree.glossary")}),
        output="glossary",
        series=_series(subject),
        version=spec.version,
        facts=StepRef("write", "facts"),
        exports=Frozen({"glossary.json": "{version}.json"}),
    )
    return (write, publish)


def _series(subject: Subject) -> VersionSeries:
    return VersionSeries(subject.project, "glossary", subject.spec.name, PATTERN)


KIND = Kind(
    document="Glossary",
    prefix="glossary",
    spec=GlossarySpec,
    lifecycle=Lifecycle.ARTIFACT,
    desire=desire,
    steps=steps,
    version_pattern=PATTERN,
    examples=(
        {
            "kind": "Glossary",
            "name": "words",
            "terms": {"epoch": "one pass over the data", "batch": "what is seen at once"},
            "store": "artifacts",
            "pool": "here",
        },
    ),
)
