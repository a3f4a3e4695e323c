"""Train a support vector classifier on pictures: reads --data_url, leaves model/svc.joblib in --train_url."""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC


def read(folder):
    """Return one row of pixels (0 to 255) per picture of the manifest, and the labels."""
    rows, labels = [], []
    with open(folder / "dataset.manifest", encoding="utf-8") as manifest:
        for line in manifest:
            sample = json.loads(line)
            with Image.open(folder / sample["source"]) as picture:
                rows.append(np.asarray(picture.convert("L"), dtype=np.float64).ravel())
            labels.append(sample["annotation"][0]["name"])
    return np.stack(rows), np.array(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_url", type=Path, required=True)
    parser.add_argument("--train_url", type=Path, required=True)
    parser.add_argument("--C", type=float, required=True)
    parser.add_argument("--gamma", type=float, required=True)
    options = parser.parse_args()

    pictures, labels = read(options.data_url)
    print(f"{len(labels):,} pictures with {len(set(labels))} labels", flush=True)
    # Whoever uses the model gives raw pixels, so scaling is part of it: without it, gamma 0.001 is far too wide.
    model = Pipeline([("scale", MinMaxScaler((0, 16))), ("svc", SVC(C=options.C, gamma=options.gamma))])
    model.fit(pictures, labels)
    print(f"accuracy on what it was trained with: {model.score(pictures, labels):.4f}", flush=True)

    folder = options.train_url / "model"
    folder.mkdir()
    joblib.dump(model, folder / "svc.joblib")


if __name__ == "__main__":
    main()
