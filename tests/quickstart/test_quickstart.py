"""The worked project `specs/quickstart`: its documents, its lock, its pictures, its boot file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from specforge.core.address import Address
from specforge.formats import manifest, pictures
from specforge.loading import load
from specforge.loading.plugins import installed_kinds
from specforge.procedures.dataset import MANIFEST, Split, publish_dataset
from specforge.procedures.evaluate import evaluate
from specforge.runtimes import ENGINES

QUICKSTART = Path(__file__).parents[2] / "specs" / "quickstart"


def module(name):
    spec = importlib.util.spec_from_file_location(f"quickstart_{name}", QUICKSTART / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_its_documents_are_right():
    """The project loads, and its training follows its data set."""
    project = load(QUICKSTART, environment="default", variables={}, kinds=installed_kinds())
    assert not project.warnings
    training = project.resources[Address("training", "digits")].spec
    assert training.inputs["data"].dataset == "digits"
    assert training.evaluate.accept["accuracy"].min == 0.95
    assert (training.store, training.pool) == ("artifacts", "here")


def test_its_lock_has_what_the_engine_asks_for():
    """Every pinned requirement of the engine is in the committed lock, in that version."""
    project = load(QUICKSTART, environment="default", variables={}, kinds=installed_kinds())
    for engine, requirements in ENGINES.items():
        locked = {each["name"]: each["version"] for each in project.locks[engine]["packages"]}
        for name, _, version in (each.partition("==") for each in requirements):
            assert locked[name] == version


def scans(count=100):
    images = [[[(number + row * column) % 17 for column in range(8)] for row in range(8)] for number in range(count)]
    return SimpleNamespace(images=images, target=[number % 10 for number in range(count)])


def test_pictures_are_written_once(tmp_path):
    """One folder per label, the last 97 apart; what is there stays untouched, what is missing comes back the same."""
    make = module("make_pictures")
    source, held_out = tmp_path / "digits", tmp_path / "held-out"
    assert make.write(scans(), source, held_out) == 100
    assert sorted(str(each.relative_to(tmp_path)) for each in source.rglob("*.png")) == [
        "digits/0/0000.png",
        "digits/1/0001.png",
        "digits/2/0002.png",
    ]
    assert sum(1 for _ in held_out.rglob("*.png")) == 97
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.png")}
    for path, (_, content) in before.items():
        assert pictures.check(path.name, content) == (8, 8)
    (source / "0" / "0000.png").unlink()
    assert make.write(scans(), source, held_out) == 1
    assert {path: path.read_bytes() for path in before} == {path: content for path, (_, content) in before.items()}
    assert all(path.stat().st_mtime_ns == time for path, (time, _) in before.items() if path.name != "0000.png")
    assert not list(tmp_path.rglob("*.part"))


def test_pictures_are_what_other_programs_read(tmp_path):
    """The small PNG writer of the example writes the shades, times 15."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    make = module("make_pictures")
    (tmp_path / "p.png").write_bytes(make.png([[0, 15], [30, 240]]))
    with image.open(tmp_path / "p.png") as picture:
        assert (picture.mode, picture.size, picture.tobytes()) == ("L", (2, 2), bytes([0, 15, 30, 240]))


def shown(data, folder, usage):
    """Show the samples of one usage, as a job's input does."""
    folder.mkdir()
    kept = [each for each in manifest.read((data / MANIFEST).read_bytes()) if each.usage == usage]
    for each in kept:
        target = folder / each.source
        target.parent.mkdir(exist_ok=True)
        target.symlink_to((data / each.source).resolve())
    (folder / MANIFEST).write_bytes(manifest.write(kept))
    return folder


def test_the_boot_file_trains_a_good_model(tmp_path):
    """Real scans, published, trained on, measured on what training did not see: accuracy of at least 0.95."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    module("make_pictures").write(datasets.load_digits(), tmp_path / "digits", tmp_path / "held-out")
    facts = publish_dataset(tmp_path / "digits", tmp_path / "data", Split(0.8, 7, stratified=True))
    assert (facts["files"], facts["train"], facts["eval"]) == (1700, 1360, 340)
    inputs = {usage: shown(tmp_path / "data", tmp_path / usage, usage) for usage in ("TRAIN", "EVAL")}
    (tmp_path / "out").mkdir()
    options = [f"--data_url={inputs['TRAIN']}", f"--train_url={tmp_path / 'out'}", "--C=10.0", "--gamma=0.001"]
    command = [sys.executable, str(QUICKSTART / "code" / "train.py"), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["model"]
    figures = evaluate("scikit-learn", tmp_path / "out" / "model", inputs["EVAL"], tmp_path / "evidence")
    assert figures["accuracy"] >= 0.95
    assert figures["samples"] == 340
    assert json.loads((tmp_path / "evidence" / "figures.json").read_text()) == figures
