"""Measure a model on labelled samples: accuracy, per-label figures, the confusion matrix, every prediction."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specforge import runtimes
from specforge.formats import manifest
from specforge.procedures import Failure
from specforge.procedures.dataset import MANIFEST

FIGURES = ("accuracy", "f1", "precision", "recall")
"""The figures that a gate may ask for; the last three are means over the labels."""

_BATCH = 256


def figures(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the figures of (true label, predicted label) pairs, of which there is at least one.

    Per label: precision, recall, f1 (0 where nothing was predicted or nothing was there), `false_recognition_rate` (of
    the samples of other labels, the share taken for this one) and `samples`. `confusion.matrix[i][j]`: samples of
    label i predicted as label j.
    """
    labels = sorted({label for pair in pairs for label in pair})
    cells = Counter(pairs)
    matrix = [[cells[truth, predicted] for predicted in labels] for truth in labels]
    per_label = {label: _of_label(matrix, at) for at, label in enumerate(labels)}
    means = {
        name: sum(each[name] for each in per_label.values()) / len(labels) for name in ("f1", "precision", "recall")
    }
    right = sum(matrix[at][at] for at in range(len(labels)))
    return {
        "accuracy": right / len(pairs),
        **means,
        "samples": len(pairs),
        "labels": per_label,
        "confusion": {"labels": labels, "matrix": matrix},
    }


def _of_label(matrix: Sequence[Sequence[int]], at: int) -> dict[str, float]:
    right = matrix[at][at]
    there = sum(matrix[at])
    predicted = sum(row[at] for row in matrix)
    others = sum(map(sum, matrix)) - there
    precision, recall = _share(right, predicted), _share(right, there)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * right, predicted + there),
        "false_recognition_rate": _share(predicted - right, others),
        "samples": there,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def labelled(data: Path, limit: int | None = None) -> list[tuple[str, str]]:
    """Return (path, label) of the samples that the manifest in `data` shows, in its order.

    `limit`: only so many, chosen by the sha256 of their content, so that the choice does not depend on names or order.
    """
    try:
        read = manifest.read((data / MANIFEST).read_bytes())
    except manifest.ManifestError as error:
        problems = [f"line {each.line}: {each.text}" for each in error.problems]
        raise Failure(f"`{MANIFEST}` cannot be read", problems) from error
    found = []
    for each in read:
        if len(each.labels) != 1:
            raise Failure(f"`{each.source}` has {len(each.labels)} labels; what is measured must have one")
        found.append((each.source, each.labels[0]))
    if not found:
        raise Failure("there is nothing to measure on: no sample has a usage that was asked for")
    if limit is None or limit >= len(found):
        return found
    ranked = sorted((hashlib.sha256((data / path).read_bytes()).hexdigest(), path) for path, _ in found)
    chosen = {path for _, path in ranked[:limit]}
    return [each for each in found if each[0] in chosen]


def evaluate(engine: str, model: Path, data: Path, output: Path, limit: int | None = None) -> dict[str, Any]:
    """Write `figures.json` and `predictions.jsonl` into `output`; return the figures."""
    wanted = labelled(data, limit)
    predicted: list[runtimes.Prediction] = []
    try:
        predictor = runtimes.load(engine, model)
        for start in range(0, len(wanted), _BATCH):
            batch = [data / path for path, _ in wanted[start : start + _BATCH]]
            predicted += predictor.predict(batch)
            print(f"{min(start + _BATCH, len(wanted)):,} of {len(wanted):,} samples", flush=True)
    except runtimes.PackageError as error:
        raise Failure(str(error)) from error
    found = figures([(label, each.label) for (_, label), each in zip(wanted, predicted, strict=True)])
    output.mkdir(parents=True, exist_ok=True)
    (output / "figures.json").write_text(_json(found, indent=1), encoding="utf-8")
    lines = (
        _json({"source": path, "label": label, "predicted": each.label, "scores": each.scores})
        for (path, label), each in zip(wanted, predicted, strict=True)
    )
    (output / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")
    return found


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"


def main(argv: Sequence[str]) -> None:
    """Measure the package in --model on the samples in --data; --output gets figures.json and predictions.jsonl."""
    import argparse  # only a job needs it; the module is also read for its revision

    parser = argparse.ArgumentParser(prog="evaluate", allow_abbrev=False)
    parser.add_argument("--engine", required=True, choices=sorted(runtimes.LOADERS))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--samples", type=int)
    options = parser.parse_args(argv)
    found = evaluate(options.engine, options.model, options.data, options.output, options.samples)
    print(f"accuracy {found['accuracy']:.4f} on {found['samples']:,} samples")
