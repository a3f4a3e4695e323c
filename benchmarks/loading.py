"""Loading a large project: 10,000 resources in 100 files. CPU time; `python -m benchmarks.loading`."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Row, median_of
from specforge.loading import load
from specforge.loading.plugins import installed_kinds
from specforge.loading.positions import positions_of
from specforge.loading.validation import validate
from specforge.loading.yaml_reader import read
from specforge.schemas.kind import Kinds
from specforge.schemas.references import references

RESOURCES = 10_000
FILES = 100

_PROJECT = """\
kind: Project
name: large
defaults: {store: artifacts, pool: here}
---
kind: Store
name: artifacts
folder: .specforge/artifacts
---
kind: Pool
name: here
local: {slots: 2}
---
kind: Algorithm
name: svc
framework: scikit-learn
code: code
boot: train.py
parameters: {C: {type: float, default: 1.0}, gamma: {type: float, default: 1e-3}}
"""
_DATASET = """\
kind: Dataset
name: data-{number}
description: pictures of hand-written digits, set number {number}
task: image_classification
source: data/digits-{number}
split:
  train: 0.8
  eval: 0.2
  seed: {number}
  stratified: true
"""
_TRAINING = """\
kind: TrainingJob
name: job-{number}
algorithm: svc
inputs:
  data: data-{number}
  more: data-{other}
parameters:
  C: {number}.5
  gamma: 1e-3
evaluate:
  data: data-{number}
  accept: {{accuracy: {{min: 0.95}}}}
"""


def generate(root: Path, resources: int = RESOURCES, files: int = FILES) -> int:
    """Write a project of so many datasets and trainings into `root`; return the bytes written."""
    (root / "specforge.yaml").write_text(_PROJECT, "utf-8")
    (root / "specs").mkdir()
    each = resources // files // 2
    size = 0
    for file in range(files):
        numbers = range(file * each, (file + 1) * each)
        pairs = ((_DATASET, number) for number in numbers), ((_TRAINING, number) for number in numbers)
        text = "---\n".join(form.format(number=at, other=max(at - 1, 0)) for pair in pairs for form, at in pair)
        (root / "specs" / f"part-{file:03d}.yaml").write_text(text, "utf-8")
        size += len(text)
    return size


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    begin = time.process_time()
    kept = work()
    spent = time.process_time() - begin
    gc.enable()
    del kept
    return spent


def _rows(root: Path, kinds: Kinds) -> list[Row]:
    texts = [each.read_text("utf-8") for each in sorted((root / "specs").iterdir())]
    documents = [dict(each.data) for text in texts for each in read(text, "x.yaml").documents]
    told = [(kinds.by_document[each.pop("kind")].spec, {"store": "a", "pool": "b", **each}) for each in documents]
    specs: list[Any] = [validate(spec, data)[0] for spec, data in told]

    def measured(work: Callable[[], object]) -> float:
        return median_of(lambda: _seconds(work))

    reading = measured(lambda: [read(text, "x.yaml") for text in texts])
    validating = measured(lambda: [validate(spec, data) for spec, data in told])
    peer = measured(lambda: [list(yaml.load_all(text, Loader=yaml.CSafeLoader)) for text in texts])
    finding = measured(lambda: [references(each) for each in specs])
    loading = measured(lambda: load(root, kinds=kinds))
    placing = measured(lambda: positions_of(texts[0], "x.yaml"))
    return [
        Row("YAML of 10,000 resources read", f"{reading:.3f} s CPU", f"PyYAML's CSafeLoader {peer:.3f} s"),
        Row("10,000 resources validated", f"{validating:.3f} s CPU", "reading and validating under 0.6 s"),
        Row("references of 10,000 resources", f"{finding:.3f} s CPU", "under 0.1 s"),
        Row("10,000 resources loaded", f"{loading:.3f} s CPU", "reading, validating, resolving, canonical JSON"),
        Row("positions of one of the 100 files", f"{1000 * placing:.1f} ms CPU", "only when a message needs one"),
    ]


def main(resources: int = RESOURCES) -> list[Row]:
    """Generate the project and measure; medians."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), resources)
        return _rows(Path(folder), installed_kinds())


if __name__ == "__main__":
    for row in main(*map(int, sys.argv[1:])):
        print(row)
