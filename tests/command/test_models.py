"""Packages of trained models through the real command: published, kept, made again only where bytes differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workshop import Workshop

MODEL = """\
kind: Model
name: digits
training: digits
mode: image_processing
inference: inference/customize_service.py
"""
SERVICE = "class Service: ...\n"
MEASURED = """\
import pathlib, sys

import joblib
from sklearn.dummy import DummyClassifier

options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
folder = pathlib.Path(options["train_url"]) / "model"
folder.mkdir()
model = DummyClassifier(strategy="constant", constant="0").fit([[0.0] * 64] * 2, ["0", "1"])
joblib.dump(model, folder / "dummy.joblib")
"""


@pytest.fixture
def packaged(marked: Workshop) -> Workshop:
    """A project with a model, nothing applied yet."""
    marked.write("specs/model.yaml", MODEL)
    marked.write("inference/customize_service.py", SERVICE)
    marked.write("inference/label.json", "{}")
    return marked


def content(shop: Workshop) -> dict[str, bytes]:
    """Return the files of the current package, as they lie in the store."""
    recorded = json.loads(shop.spec("show", "model.digits", "--json").stdout)["recorded"]
    (version,) = [each for each in recorded["versions"] if each["version"] == recorded["current"]]
    objects = shop.root / ".specforge" / "artifacts" / "objects"

    def read(digest: str) -> bytes:
        return (objects / digest[:2] / digest).read_bytes()

    rows = [json.loads(line) for line in read(version["trees"]["package"]).splitlines()]
    assert not any(executable for _, executable, _, _ in rows)
    return {path: read(digest) for path, _, _, digest in rows}


def runs(shop: Workshop) -> int:
    """How many packages the pool has assembled."""
    return len(list(shop.root.glob(".specforge/pools/here/runs/model.*")))


def test_a_package_is_published_and_kept(packaged):
    """The first is 0.0.1; the next apply has nothing to do; words for people change the record only."""
    packaged.spec("apply", "--yes")
    assert packaged.current("model.digits") == "0.0.1"
    files = content(packaged)
    assert sorted(files) == ["model/config.json", "model/customize_service.py", "model/model.joblib"]
    assert files["model/customize_service.py"] == SERVICE.encode()
    config = json.loads(files["model/config.json"])
    assert (config["model_type"], config["apis"][0]["request"]["Content-type"]) == (
        "Scikit_Learn",
        "multipart/form-data",
    )
    assert "metrics" not in config  # nothing was measured
    assert "No changes" in packaged.spec("apply", "--yes").stdout
    packaged.edit("specs/model.yaml", "training: digits", "training: digits\ndescription: for the post office")
    packaged.spec("apply", "--yes")
    assert (packaged.current("model.digits"), runs(packaged)) == ("0.0.1", 1)
    assert packaged.is_clean()


def test_a_model_trained_to_equal_bytes_is_not_packaged_again(packaged):
    """Another parameter that leaves the same bytes: a new training, and the package is cut off."""
    packaged.spec("apply", "--yes")
    packaged.edit("specs/train.yaml", "gamma: 0.1", "gamma: 0.2")
    assert packaged.pending()["model.digits"] == "new version"
    packaged.spec("apply", "--yes")
    assert (packaged.current("training.digits"), packaged.current("model.digits")) == ("V0002", "0.0.1")
    assert (len(packaged.marks), runs(packaged)) == (2, 1)
    assert packaged.is_clean()


def test_inference_code_is_edited_and_reverted(packaged):
    """Edited code is a new version without a training; going back is a reuse; a neighbour of the file is nothing."""
    packaged.spec("apply", "--yes")
    packaged.write("inference/label.json", '{"0": "zero"}')
    assert packaged.is_clean()
    packaged.write("inference/customize_service.py", "class Other: ...\n")
    packaged.spec("apply", "--yes")
    assert (packaged.current("model.digits"), len(packaged.marks)) == ("0.0.2", 1)
    packaged.write("inference/customize_service.py", SERVICE)
    assert packaged.pending() == {"model.digits": "reuse"}
    packaged.spec("apply", "--yes")
    assert (packaged.current("model.digits"), runs(packaged)) == ("0.0.1", 2)
    packaged.edit("specs/model.yaml", "inference/customize_service.py", "inference")
    packaged.spec("apply", "--yes")
    assert "model/label.json" in content(packaged)


def test_the_figures_of_the_evaluation_are_in_the_package(shop):
    """accuracy, f1, precision and recall as they were measured; not those of a pinned version."""
    shop.write("code/train.py", MEASURED)
    shop.edit("specs/train.yaml", "variables:", "evaluate: {data: digits}\nvariables:")
    shop.write("specs/model.yaml", MODEL.replace("inference: inference/customize_service.py\n", ""))
    shop.spec("apply", "--yes")
    metrics = json.loads(content(shop)["model/config.json"])["metrics"]
    assert metrics == {"f1": 1 / 3, "recall": 0.5, "precision": 0.25, "accuracy": 0.5}
    shop.edit("specs/model.yaml", "training: digits", "training: digits@V0001")
    shop.spec("apply", "--yes")
    assert "metrics" not in json.loads(content(shop)["model/config.json"])
    assert shop.current("model.digits") == "0.0.2"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("code/train.py", ("model.joblib", "model.pickle"), "a scikit-learn package has one `NAME.joblib` in `model`"),
        (
            "code/train.py",
            ('write_text(options["C"])', 'write_text("m"); (model / "config.json").write_text("{}")'),
            "the package's own `config.json` is not one: line 1, column 1: has no `model_algorithm` (and 2 more)",
        ),
        (
            "code/train.py",
            ('write_text(options["C"])', 'write_text("m"); (model / "customize_service.py").write_text("")'),
            "have files of the same name: `customize_service.py`",
        ),
    ],
)
def test_what_makes_no_package_fails_with_its_reason(packaged, file, text, words):
    """The training stays done; what is missing or contradicts is said, not shown as a traceback."""
    packaged.edit(file, *text)
    failed = packaged.spec("apply", "--yes", code=1)
    assert words in " ".join(failed.stdout.replace("│", " ").split())
    assert packaged.current("training.digits") == "V0001"


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("inference/customize_service.py", "inference/serve.py", "SF210", "there is no `inference/serve.py`"),
        ("name: digits", "name: 7digits", "SF110", "`7digits` does not have the form"),
        ("image_processing", "image_procesing", "SF110", "image_procesing"),
        (
            "mode: image_processing",
            "apis: [{request: {data: {properties: {rooms: {type: integr}}}}}]",
            "SF227",
            "`apis[0].request.data.properties.rooms.type` is `integr`, not one of",
        ),
    ],
)
def test_mistakes_are_told_before_anything_runs(packaged, before, after, code, words):
    """Each at its line of the document."""
    packaged.edit("specs/model.yaml", before, after)
    failed = packaged.spec("plan", code=1).stderr
    assert code in failed
    assert words in " ".join(failed.split())
    assert "specs/model.yaml:" in failed
    assert not Path(packaged.root / ".specforge").exists()
