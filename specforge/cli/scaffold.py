"""The project that `spec init` writes: small, commented, valid. Texts only."""

from __future__ import annotations

PROJECT = """\
# The project: its name, where its state lies, and what its documents share.
kind: Project
name: {name}
state: .specforge/state.db

# Values that documents use as ${{var.NAME}}; `--var NAME=VALUE` gives another one.
variables:
  pictures:
    default: data/pictures
    description: folder of the pictures, one folder per label

# What `store` and `pool` are where a document leaves them out.
defaults:
  store: artifacts
  pool: here
"""

PLACES = """\
# Where published versions lie, and where jobs run.
kind: Store
name: artifacts
folder: .specforge/artifacts
---
kind: Pool
name: here
local:
  slots: 2        # jobs at once
"""

DATA = """\
# Pictures in folders named by their label: data/pictures/cat/1.png, data/pictures/dog/1.png, …
# Each change of the folder publishes a new version; the split moves as few samples as it can.
kind: Dataset
name: pictures
task: image_classification
source: "${var.pictures}"
split:
  train: 0.8
  eval: 0.2
  seed: 7
  stratified: true
"""

TRAINING = """\
# How a model is made: code, the engine that it runs with, the parameters that it takes.
kind: Algorithm
name: classifier
framework: scikit-learn
code: code
boot: train.py
parameters:
  C:
    type: float
    default: 1.0
    description: strength of the penalty for training errors
---
# One model from that data. It becomes current only if the evaluation is good enough.
kind: TrainingJob
name: pictures
algorithm: classifier
inputs:
  data: pictures          # `pictures@V001` would stay with that version
parameters:
  C: 10
evaluate:
  data: pictures
  accept:
    accuracy:
      min: 0.8
"""

BOOT = '''\
"""Train a classifier: reads the pictures in --data_url, leaves model/classifier.joblib in --train_url.

All pictures must have the same size. Whoever uses the model gives it raw pixels (0 to 255), so scaling is part of it.
"""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def pixels(path):
    """Return a picture as one row of numbers."""
    with Image.open(path) as picture:
        grey = picture.mode in ("1", "L", "LA")
        return np.asarray(picture.convert("L" if grey else "RGB"), dtype=np.float64).ravel()


def read(folder):
    """Return one row per picture of the manifest, and the labels."""
    with open(folder / "dataset.manifest", encoding="utf-8") as manifest:
        samples = [json.loads(line) for line in manifest]
    rows = [pixels(folder / sample["source"]) for sample in samples]
    return np.stack(rows), [sample["annotation"][0]["name"] for sample in samples]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_url", type=Path, required=True)
    parser.add_argument("--train_url", type=Path, required=True)
    parser.add_argument("--C", type=float, required=True)
    options = parser.parse_args()

    pictures, labels = read(options.data_url)
    print(f"{len(labels)} pictures with {len(set(labels))} labels", flush=True)
    model = make_pipeline(StandardScaler(), SVC(C=options.C))
    model.fit(pictures, labels)

    folder = options.train_url / "model"
    folder.mkdir()
    joblib.dump(model, folder / "classifier.joblib")


if __name__ == "__main__":
    main()
'''

IGNORE = """\
# State, published versions and runs lie here; specforge.lock belongs into git.
.specforge/
"""


def files(name: str) -> dict[str, str]:
    """Return {path: text} of a new project of this name."""
    return {
        "specforge.yaml": PROJECT.format(name=name),
        "specs/places.yaml": PLACES,
        "specs/data.yaml": DATA,
        "specs/training.yaml": TRAINING,
        "code/train.py": BOOT,
        ".gitignore": IGNORE,
    }
