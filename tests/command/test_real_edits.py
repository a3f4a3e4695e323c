"""One edit at a time on an applied project: what the plan says, and what the apply does. The real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import Workshop, png

LEARN = """\
import os, pathlib, sys

options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
if os.environ.get("MARK"):
    with open(os.environ["MARK"], "a") as file:
        file.write(f"C={options['C']}\\n")
import joblib
from sklearn.dummy import DummyClassifier

strategy = "most_frequent"
model = DummyClassifier(strategy=strategy).fit([[0.0] * 64] * 3, ["0", "0", "1"])
model.constant = float(options["C"])
folder = pathlib.Path(options["train_url"]) / "model"
folder.mkdir()
joblib.dump(model, folder / "dummy.joblib")
"""
TRAIN = """\
# how a model is made
kind: Algorithm
name: dummy
framework: scikit-learn
code: code
boot: train.py
parameters:
  C: {type: float, default: 1.0}
  gamma: {type: float, default: 0.5}
---
kind: TrainingJob
name: digits
algorithm: dummy
inputs: {data: digits}
parameters: {C: 10.0, gamma: 0.1}
evaluate: {data: digits, accept: {accuracy: {min: 0.2}}}
---
kind: TrainingJob
name: finer
algorithm: dummy
inputs: {data: digits}
parameters: {C: 2.0}
from_model: digits
"""


FOLLOWER = """\
kind: Algorithm
name: steady
framework: scikit-learn
code: steady
boot: train.py
parameters: {C: {type: float, default: 1.0}}
---
kind: TrainingJob
name: follower
algorithm: steady
inputs: {data: digits}
from_model: digits
"""
SWAPPED = "source: data/digits\ntask: image_classification\n"


@pytest.fixture(scope="module")
def applied(tmp_path_factory) -> Path:
    """A project that was applied once; tests work on copies, for a moved project is the same project."""
    home = tmp_path_factory.mktemp("applied")
    made = Workshop(home / "shop", home)
    from workshop import DATA, PLACES, PROJECT, QUICKSTART

    made.write("specforge.yaml", PROJECT)
    made.write("specs/places.yaml", PLACES)
    made.write("specs/data.yaml", DATA)
    made.write("specs/train.yaml", TRAIN)
    made.write("code/train.py", LEARN)
    made.write("specforge.lock", (QUICKSTART / "specforge.lock").read_bytes())
    for label in "01":
        for number in range(4):
            made.write(f"data/digits/{label}/{number}.png", png(100 * int(label) + number))
    made.spec("apply", "--yes")
    assert made.is_clean()
    return made.root


@pytest.fixture
def done(applied: Path, tmp_path: Path) -> Workshop:
    shutil.copytree(applied, tmp_path / "moved", symlinks=True)
    return Workshop(tmp_path / "moved", tmp_path)


def trainings(shop: Workshop) -> int:
    """How many training jobs the pool has run."""
    return len(list(shop.root.glob(".specforge/pools/here/runs/training.*-train-*")))


def change(plan: dict, address: str) -> dict:
    return next(each for each in plan["changes"] if each["address"] == address)


def test_a_moved_project_is_unchanged_in_any_locale(done):
    """Another folder, time zone, language and hash seed: no changes, exit 0."""
    done.spec("plan", "--detailed-exitcode", TZ="Asia/Tokyo", LANG="C", PYTHONHASHSEED="12")


def test_another_version_of_the_tool_changes_nothing(done):
    """The tool's version is in no identity."""
    script = "import specforge, sys; specforge.__version__ = '99.0'; from specforge.cli.app import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", script, "plan", "--detailed-exitcode"], cwd=done.root, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_description_is_metadata_only(done):
    """Nothing runs for a description."""
    done.edit("specs/data.yaml", "name: digits\n", "name: digits\ndescription: scans\n")
    plan = done.plan()
    assert done.pending() == {"dataset.digits": "update"}
    assert [(each["path"], each["rule"]) for each in change(plan, "dataset.digits")["fields"]] == [
        ("description", "metadata")
    ]
    assert done.spec("plan", "--detailed-exitcode", code=2)
    done.spec("apply", "--yes")
    assert done.is_clean()
    assert trainings(done) == 2


def test_comments_order_and_file_names_are_nothing(done):
    """A comment, another order of keys and a renamed file are no change."""
    done.edit("specs/train.yaml", "# how a model is made\n", "# other words\n\n")
    done.edit(
        "specs/data.yaml",
        "task: image_classification\nsource: data/digits\n",
        "source: data/digits\ntask: image_classification\n",
    )
    (done.root / "specs/train.yaml").rename(done.root / "specs/training.yaml")
    done.spec("plan", "--detailed-exitcode")


def test_touched_pictures_are_nothing(done):
    """New times alone are no change."""
    for file in done.root.glob("data/digits/*/*.png"):
        os.utime(file)
    done.spec("plan", "--detailed-exitcode")


def test_a_picture_overwritten_with_size_and_times_kept_is_found(done):
    """Content counts, not size and time."""
    assert done.is_clean()
    file = done.root / "data/digits/1/0.png"
    before, other = file.stat(), bytearray(file.read_bytes())
    new = next(png(shade) for shade in range(150, 250) if len(png(shade)) == len(other))
    file.write_bytes(new)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    plan = done.plan()
    assert change(plan, "dataset.digits")["action"] == "new version"
    assert "~ 1/0.png" in json.dumps(change(plan, "dataset.digits")["reasons"])


def test_a_new_picture_makes_a_new_version_and_training_follows(done):
    """V002 with one file more, said with its label; training is redone if the dataset changes."""
    done.write("data/digits/1/new.png", png(222))
    plan = done.plan()
    dataset, training = change(plan, "dataset.digits"), change(plan, "training.digits")
    assert (dataset["action"], dataset["version"]) == ("new version", {"from": "V001", "to": "V002"})
    assert "+1 file" in json.dumps(dataset["reasons"])
    assert "+ 1/new.png" in json.dumps(dataset["reasons"])
    assert training["if"] == ["dataset.digits"]
    done.spec("apply", "--yes")
    assert (done.current("dataset.digits"), done.current("training.digits")) == ("V002", "V0002")
    assert done.is_clean()


def test_a_parameter_and_its_revert(done):
    """V0002 is trained, the dataset untouched; the edit reverted makes V0001 current again without training."""
    done.edit("specs/train.yaml", "C: 10.0", "C: 5.0")
    plan = done.plan()
    assert done.pending() == {"training.digits": "new version", "training.finer": "new version"}
    fields = change(plan, "training.digits")["fields"]
    assert [(each["path"], each["before"], each["after"]) for each in fields] == [("parameters.C", 10.0, 5.0)]
    assert change(plan, "training.finer")["if"] == ["training.digits"]
    done.spec("apply", "--yes")
    assert done.current("training.digits") == "V0002"
    assert trainings(done) == 4
    done.edit("specs/train.yaml", "C: 5.0", "C: 10.0")
    assert done.pending() == {"training.digits": "reuse", "training.finer": "reuse"}
    done.spec("apply", "--yes")
    assert done.current("training.digits") == "V0001"
    assert trainings(done) == 4
    assert done.is_clean()


def test_a_default_that_the_job_overrides_is_metadata_of_the_algorithm(done):
    """The effective parameters are what counts."""
    done.edit("specs/train.yaml", "C: {type: float, default: 1.0}", "C: {type: float, default: 3.0}")
    assert done.pending() == {"algorithm.dummy": "update"}
    done.spec("apply", "--yes")
    assert trainings(done) == 2


def test_a_comment_in_the_boot_file_trains_and_equal_bytes_are_cut_off(done):
    """Training is definite because code changed; what follows is decided at apply, and cut off."""
    done.write("code/train.py", LEARN + "# better now\n")
    plan = done.plan()
    training = change(plan, "training.digits")
    assert (training["action"], training["certainty"]) == ("new version", "definite")
    assert "code changed" in json.dumps(training["reasons"])
    out = done.spec("apply", "--yes")
    assert "same bytes as V0001" in out.stdout
    assert done.is_clean()


def test_what_follows_equal_bytes_is_cut_off(done):
    """A training on top of another waits for its bytes: they come out equal, so it does not run."""
    done.write("specs/follower.yaml", FOLLOWER)
    done.write("steady/train.py", LEARN)
    done.spec("apply", "--yes")
    assert trainings(done) == 3
    done.write("code/train.py", LEARN + "# better now\n")
    assert change(done.plan(), "training.follower")["if"] == ["training.digits"]
    assert "training.follower  cut off" in done.spec("apply", "--yes").stdout
    assert done.current("training.follower") == "V0001"
    assert trainings(done) == 5
    assert done.is_clean()


def test_two_edits_are_one_plan(done):
    """Edits of data and parameters stand in one plan, and one apply makes both true."""
    done.write("data/digits/0/new.png", png(7))
    done.edit("specs/train.yaml", "C: 10.0", "C: 5.0")
    plan = done.plan()
    assert change(plan, "training.digits")["certainty"] == "definite"
    assert set(done.pending()) == {"dataset.digits", "training.digits", "training.finer"}
    done.spec("apply", "--yes")
    assert done.is_clean()
    assert trainings(done) == 4


def test_a_raised_accept_demotes_nothing(done):
    """No retraining; said with its figures; the current version stays and is marked; the finding apply exits 1."""
    done.edit("specs/train.yaml", "min: 0.2", "min: 0.99")
    text = done.spec("plan").stdout
    assert "accuracy" in text
    assert "0.99" in text
    out = done.spec("apply", "--yes", code=1)
    assert "V0001 stays current" in out.stdout + out.stderr
    assert trainings(done) == 2
    after = done.spec("plan", "--detailed-exitcode")
    assert "below accept" in after.stdout
    done.edit("specs/train.yaml", "min: 0.99", "min: 0.2")
    done.spec("apply", "--yes")
    assert "below accept" not in done.spec("plan", "--detailed-exitcode").stdout


def test_a_second_clone_trains_nothing(done, tmp_path):
    """Empty state, same store: everything is reused."""
    clone = Workshop(tmp_path / "clone", tmp_path)
    shutil.copytree(done.root, clone.root, ignore=shutil.ignore_patterns(".specforge"))
    shared = f"store={done.root / '.specforge/artifacts'}"
    clone.spec("apply", "--yes", "--var", shared)
    assert trainings(clone) == 0
    assert clone.current("training.digits", "--var", shared) == "V0001"
    clone.spec("plan", "--detailed-exitcode", "--var", shared)


def test_destroy_then_apply_trains_nothing(done):
    """Destroy keeps published data and says where; the next apply finds it."""
    out = done.spec("destroy", "--yes").stdout
    assert ".specforge/artifacts" in out
    done.spec("destroy", "--yes")
    done.spec("apply", "--yes")
    assert trainings(done) == 0, "the pool was emptied and nothing ran since"
    assert done.is_clean()


def test_environments_share_a_store(done):
    """Versions never collide; what one environment uses the other cannot delete."""
    done.spec("apply", "--yes", "--env", "dev")
    assert trainings(done) == 2
    done.edit("specs/train.yaml", "C: 10.0", "C: 4.0")
    done.spec("apply", "--yes", "--env", "dev")
    assert done.current("training.digits", "--env", "dev") == "V0002"
    done.edit("specs/train.yaml", "C: 4.0", "C: 10.0")
    done.spec("apply", "--yes", "--env", "prod")
    assert done.current("training.digits", "--env", "prod") == "V0001"
    refused = done.spec("destroy", "--yes", "--env", "dev", "--delete-artifacts", code=1)
    assert "dataset.digits" in refused.stdout + refused.stderr
    assert "the data are kept: others use them" in refused.stdout
    assert "skipped" not in refused.stdout.lower()  # what nobody else uses goes all the same
    assert done.spec("state", "list", "--env", "dev").stdout == "Nothing is recorded.\n"
    assert done.spec("plan", "--env", "prod", "--detailed-exitcode")
    done.edit("specs/train.yaml", "C: 10.0", "C: 6.0")
    done.spec("apply", "--yes", "--env", "prod")
    assert done.current("training.digits", "--env", "prod") not in ("V0001", "V0002")
