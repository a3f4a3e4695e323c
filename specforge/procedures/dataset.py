"""Publish a data set: check every sample, divide them, write the manifest beside them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from specforge.formats import folder, manifest, pictures, tree
from specforge.formats.labels import label_problem
from specforge.formats.tree import Entry
from specforge.procedures import Failure

MANIFEST = "dataset.manifest"
"""The manifest's name in a published tree, beside the folders of the labels."""
_LEAVE_OUT = "mend them, take them away, or name them in `.specignore`"


@dataclass(frozen=True, slots=True)
class Split:
    """How samples are divided: the share for TRAIN, the rest is EVAL."""

    train: float
    seed: int
    stratified: bool


def label_of(path: str) -> str:
    """Return the label of a sample: the first folder of its path."""
    return path.partition("/")[0]


def usages(entries: Sequence[Entry], split: Split) -> dict[str, str]:
    """Return {path: TRAIN or EVAL}, decided by content: of each group the first round(n × train) are TRAIN.

    The order within a group is that of sha256(seed, sample sha256), so that one more sample moves at most one other.
    """
    groups: dict[str, list[Entry]] = {}
    for each in entries:
        groups.setdefault(label_of(each.path) if split.stratified else "", []).append(each)
    found = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda each: (_rank(split.seed, each.sha256), each.path))
        first = round(len(ordered) * split.train)
        found.update({each.path: "TRAIN" if at < first else "EVAL" for at, each in enumerate(ordered)})
    return found


def _rank(seed: int, sha256: str) -> str:
    return hashlib.sha256(f"{seed} {sha256}".encode()).hexdigest()


def samples(entries: Iterable[Entry], usage: Mapping[str, str]) -> list[manifest.Sample]:
    """Return the samples of the manifest, sorted by path: one label each, given by a person."""
    return [
        manifest.Sample(
            source=each.path,
            usage=usage.get(each.path),
            annotations=(manifest.Annotation("image_classification", name=label_of(each.path), annotated_by="human"),),
        )
        for each in sorted(entries)
    ]


def publish_dataset(
    source: Path, output: Path, split: Split | None, digest: str | None = None, listing: Path | None = None
) -> dict[str, object]:
    """Fill the empty folder `output` with the manifest and a link to each picture; return the facts of the version.

    `listing` gets the listing of what was verified: a picture may change between now and when the links are followed.
    Raises Failure when the source is not what `digest` says, or when a picture is not one.
    """
    try:
        entries = folder.entries(source, pictures.SUFFIXES, executable=False)
    except folder.UnfitFolderError as error:
        problems = [f"`{at}` {why}" for at, why in error.problems]
        raise Failure("the source cannot be read", problems, _LEAVE_OUT) from error
    if digest is not None and tree.digest(entries) != digest:
        raise Failure("the source changed while it was published; plan and apply again")
    _check(source, entries)
    usage = usages(entries, split) if split is not None else {}
    output.mkdir(parents=True, exist_ok=True)
    for each in entries:
        target = output / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.realpath(folder.locate(os.fspath(source), each.path)))
    lines = manifest.write(samples(entries, usage))
    (output / MANIFEST).write_bytes(lines)
    if listing is not None:
        own = Entry(MANIFEST, False, len(lines), hashlib.sha256(lines).hexdigest())
        listing.write_bytes(tree.listing([*entries, own]))
    return facts(entries, usage)


def facts(entries: Sequence[Entry], usage: Mapping[str, str]) -> dict[str, object]:
    """Return what a version shows: numbers of files, per label and per usage (no usage counts as TRAIN), and bytes."""
    evaluated = sum(1 for each in usage.values() if each == "EVAL")
    return {
        "files": len(entries),
        "labels": dict(sorted(Counter(label_of(each.path) for each in entries).items())),
        "train": len(entries) - evaluated,
        "eval": evaluated,
        "bytes": sum(each.size for each in entries),
    }


def _check(source: Path, entries: Sequence[Entry]) -> None:
    if not entries:
        raise Failure("the source has no pictures")
    problems = []
    for each in entries:
        problem = _problem(source, each.path)
        if problem is not None:
            problems.append(f"`{each.path}`: {problem}")
    if problems:
        raise Failure(f"{len(problems):,} of {len(entries):,} pictures cannot be published", problems, _LEAVE_OUT)


def _problem(source: Path, path: str) -> str | None:
    if "/" not in path:
        return "it lies in no folder, so it has no label"
    problem = label_problem(label_of(path))
    if problem is not None:
        return f"its label {problem}"
    try:
        with open(folder.locate(os.fspath(source), path), "rb") as file:
            pictures.check(path, file.read())
    except pictures.PictureError as error:
        return str(error)
    return None


def main(argv: Sequence[str]) -> None:
    """Publish what lies in --source into --output; --facts gets the facts, --split is {train, seed, stratified}."""
    import argparse  # only a job needs it; the module is also read for its revision

    parser = argparse.ArgumentParser(prog="publish_dataset", allow_abbrev=False)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--digest")
    parser.add_argument("--listing", type=Path)
    parser.add_argument("--split", type=lambda text: Split(**json.loads(text)))
    options = parser.parse_args(argv)
    given = publish_dataset(options.source, options.output, options.split, options.digest, options.listing)
    options.facts.write_text(json.dumps(given, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{given['files']:,} pictures, {given['train']:,} TRAIN, {given['eval']:,} EVAL")
