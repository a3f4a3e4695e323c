"""The procedure that measures a model, and the loader it uses."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specforge import runtimes
from specforge.formats import manifest
from specforge.procedures import Failure
from specforge.procedures.evaluate import FIGURES, evaluate, figures, labelled


def pairs(truth, predicted):
    return list(zip(truth, predicted, strict=True))


def test_the_figures_by_hand():
    """Six samples, worked out on paper."""
    found = figures(pairs("aaabbc", "aabbba"))
    assert found["accuracy"] == 4 / 6
    assert found["samples"] == 6
    assert found["confusion"] == {"labels": ["a", "b", "c"], "matrix": [[2, 1, 0], [0, 2, 0], [1, 0, 0]]}
    assert found["labels"]["a"] == {
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "false_recognition_rate": 1 / 3,
        "samples": 3,
    }
    assert found["labels"]["b"] == {
        "precision": 2 / 3,
        "recall": 1.0,
        "f1": 4 / 5,
        "false_recognition_rate": 1 / 4,
        "samples": 2,
    }
    assert found["labels"]["c"] == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "false_recognition_rate": 0.0,
        "samples": 1,
    }
    assert found["precision"] == pytest.approx(4 / 9)
    assert found["recall"] == pytest.approx(5 / 9)
    assert found["f1"] == pytest.approx((2 / 3 + 4 / 5) / 3)
    assert set(FIGURES) <= set(found)


def test_a_perfect_model():
    """Everything right: every figure is 1, nothing was falsely recognised."""
    found = figures(pairs("ab", "ab"))
    assert [found[name] for name in FIGURES] == [1.0] * 4
    assert found["labels"]["a"]["false_recognition_rate"] == 0.0


def test_a_label_that_was_only_predicted():
    """A label that no sample has is a row of zeros and counts in the means."""
    found = figures(pairs("aa", "ax"))
    assert found["confusion"] == {"labels": ["a", "x"], "matrix": [[1, 1], [0, 0]]}
    assert found["recall"] == 0.25


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=60))
def test_the_figures_are_those_of_scikit_learn(given_pairs):
    """The same numbers as scikit-learn's metrics, on any predictions."""
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    truth, predicted = zip(*given_pairs, strict=True)
    if len(set(truth) | set(predicted)) == 1:
        return  # scikit-learn warns that one label is not enough
    found = figures(given_pairs)
    labels = found["confusion"]["labels"]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["confusion"]["matrix"] == metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    each = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for at, label in enumerate(labels):
        own = found["labels"][label]
        assert [own[name] for name in ("precision", "recall", "f1", "samples")] == pytest.approx(
            [row[at] for row in each]
        )
    means = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, average="macro", zero_division=0)
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(means[:3])


# ---- which samples ----


def data_of(folder, samples):
    lines = []
    for path, labels in samples.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png(len(path), path.encode()))
        notes = tuple(manifest.Annotation("image_classification", label) for label in labels)
        lines.append(manifest.Sample(path, "EVAL", notes))
    (folder / "dataset.manifest").write_bytes(manifest.write(lines))
    return folder


def png(shade, note=b""):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, shade, 255 - shade]))
    parts = chunk(b"IHDR", header) + chunk(b"tEXt", b"n\0" + note) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_all_samples_of_the_manifest_count(tmp_path):
    """The samples come in the order of the manifest, with their label."""
    data_of(tmp_path, {"b/1.png": "b", "a/1.png": "a"})
    assert labelled(tmp_path) == [("b/1.png", "b"), ("a/1.png", "a")]


def test_a_part_is_chosen_by_content(tmp_path):
    """`samples` picks by content: the same pictures under other names are picked again."""
    one = data_of(tmp_path / "one", {f"a/{number}.png": "a" for number in range(9)})
    chosen = labelled(one, 3)
    assert len(chosen) == 3
    assert labelled(one, 100) == labelled(one)
    (tmp_path / "two" / "z").mkdir(parents=True)
    lines = []
    for number, (path, _) in enumerate(labelled(one)):
        (tmp_path / "two" / "z" / f"{9 - number}.png").write_bytes((one / path).read_bytes())
        note = manifest.Annotation("image_classification", "a")
        lines.append(manifest.Sample(f"z/{9 - number}.png", None, (note,)))
    (tmp_path / "two" / "dataset.manifest").write_bytes(manifest.write(lines))
    contents = [{(root / path).read_bytes() for path, _ in labelled(root, 3)} for root in (one, tmp_path / "two")]
    assert contents[0] == contents[1]


def test_what_cannot_be_measured_is_said(tmp_path):
    """No samples, unlabelled ones, several labels, a broken manifest: each has its reason."""
    cases = {"nothing to measure on": {}, "0 labels": {"a/1.png": ""}, "2 labels": {"a/1.png": "ab"}}
    for number, (words, samples) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Failure, match=words):
            labelled(data_of(folder, samples))
    (tmp_path / "dataset.manifest").write_text("no")
    with pytest.raises(Failure, match=r"line 1: not JSON"):
        labelled(tmp_path)


# ---- with a real model ----


@pytest.fixture(name="model")
def _model(tmp_path):
    """A package: a picture of two pixels is `dark` or `light` by the first of them."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    import joblib
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path / "model"
    folder.mkdir()
    shades = np.array([[value, 255 - value] for value in range(0, 256, 5)], dtype=float)
    labels = np.where(shades[:, 0] < 128, "dark", "light")
    joblib.dump(LogisticRegression(max_iter=1000).fit(shades, labels), folder / "shade.joblib")
    return folder


@pytest.fixture(name="data")
def _data(tmp_path):
    folder = tmp_path / "data"
    lines = []
    for label, shade in (("dark", 0), ("dark", 40), ("light", 200), ("light", 10)):
        path = f"{label}/{shade}.png"
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png(shade))
        lines.append(manifest.Sample(path, "EVAL", (manifest.Annotation("image_classification", label),)))
    (folder / "dataset.manifest").write_bytes(manifest.write(lines))
    return folder


def test_a_model_is_measured(model, data, tmp_path):
    """Figures and every prediction with its scores are written; again gives the same bytes."""
    found = evaluate("scikit-learn", model, data, tmp_path / "out")
    assert found["accuracy"] == 0.75
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == found
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [each["predicted"] for each in lines] == ["dark", "dark", "light", "dark"]
    assert lines[3]["label"] == "light"
    best, other = lines[0]["scores"]
    assert best[0] == "dark"
    assert best[1] > other[1]
    evaluate("scikit-learn", model, data, tmp_path / "again")
    for name in ("figures.json", "predictions.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_as_a_job(model, data, tmp_path):
    """The job prints the accuracy and leaves the files."""
    argv = ["evaluate", "--engine=scikit-learn", f"--model={model}", f"--data={data}", f"--output={tmp_path}/out"]
    command = [sys.executable, "-m", "specforge.procedures", *argv]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("accuracy 0.7500 on 4 samples\n")
    assert (tmp_path / "out" / "figures.json").exists()


def test_packages_that_are_none(model, data, tmp_path):
    """None, several, a broken one, one that predicts nothing: each has its reason."""
    import joblib

    (tmp_path / "empty").mkdir()
    with pytest.raises(runtimes.PackageError, match=r"one `NAME.joblib` in its folder `model`; found: none"):
        runtimes.load("scikit-learn", tmp_path / "empty")
    (tmp_path / "empty" / "bad.joblib").write_bytes(b"no pickle")
    with pytest.raises(Failure, match=r"`bad.joblib` cannot be loaded"):
        evaluate("scikit-learn", tmp_path / "empty", data, tmp_path / "out")
    joblib.dump({"not": "a model"}, tmp_path / "empty" / "bad.joblib")
    with pytest.raises(runtimes.PackageError, match="holds a dict, which has no `predict`"):
        runtimes.load("scikit-learn", tmp_path / "empty")
    (model / "second.joblib").write_bytes(b"")
    with pytest.raises(runtimes.PackageError, match=r"found: `second.joblib`, `shade.joblib`"):
        runtimes.load("scikit-learn", model)
    with pytest.raises(runtimes.PackageError, match="no loader for the engine `caffe`"):
        runtimes.load("caffe", model)


def test_pictures_that_do_not_fit(model, tmp_path):
    """A picture of another size, and one that cannot be decoded, are told by name."""
    from PIL import Image

    predictor = runtimes.load("scikit-learn", model)
    Image.new("RGB", (2, 1)).save(tmp_path / "colour.png")
    with pytest.raises(runtimes.PackageError, match=r"`colour.png` has 6 values, `shade.joblib` wants 2"):
        predictor.predict([tmp_path / "colour.png"])
    (tmp_path / "broken.png").write_bytes(png(1)[:50])
    with pytest.raises(runtimes.PackageError, match=r"`broken.png` cannot be read as a picture"):
        predictor.predict([tmp_path / "broken.png"])
    assert predictor.predict([]) == []


def test_values_of_pictures(tmp_path):
    """Grey as it is, colour as R, G, B of each pixel, transparency dropped, black and white as 0 and 255."""
    pytest.importorskip("numpy", reason="numpy is not installed")
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    from specforge.runtimes.rows import picture_row

    cases = {
        ("L", 7): [7.0] * 2,
        ("1", 1): [255.0] * 2,
        ("LA", (7, 9)): [7.0] * 2,
        ("RGB", (1, 2, 3)): [1.0, 2.0, 3.0] * 2,
        ("RGBA", (1, 2, 3, 0)): [1.0, 2.0, 3.0] * 2,
        ("I;16", 257 * 5): [5.0] * 2,
    }
    for (mode, value), expected in cases.items():
        image.new(mode, (2, 1), value).save(tmp_path / "p.png")
        row = picture_row(tmp_path / "p.png", "p.png", "model", None)
        assert row.tolist() == expected, mode
        assert row.dtype == "float64"
