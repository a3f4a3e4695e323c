"""The procedure that assembles a model package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from specforge.formats import config_json
from specforge.formats.folder import entries
from specforge.formats.tree import digest
from specforge.procedures import Failure
from specforge.procedures.package import Wanted, config_of, main, package

OWN = {"model_algorithm": "face_detection", "model_type": "Scikit_Learn", "metrics": {"accuracy": 0.5, "f1": 0.25}}
PICTURES = {
    "Content-type": "multipart/form-data",
    "data": {"type": "object", "properties": {"images": {"type": "file"}}},
}
LABEL = {"data": {"type": "object", "properties": {"predicted_label": {"type": "string"}}}}
DEPENDENCIES = [{"installer": "pip", "packages": [{"package_name": "unidecode"}]}]


def files(folder: Path, **content: str) -> Path:
    """Write files below a folder; `__` in a name is a dot, `_in_` a slash."""
    for name, text in content.items():
        path = folder / name.replace("_in_", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a training left."""
    return files(tmp_path / "source", svc__joblib="estimator", label__json="{}")


@pytest.fixture
def inference(tmp_path: Path) -> Path:
    """Inference code with a neighbour."""
    return files(tmp_path / "inference", customize_service__py="class Service: ...", net_in_layers__py="N = 1")


def own(**fields) -> bytes:
    """Return a package's own config.json."""
    return json.dumps({**OWN, "apis": [{"request": PICTURES, "response": LABEL}], **fields}).encode()


def failure(*given) -> Failure:
    with pytest.raises(Failure) as caught:
        package(*given)
    return caught.value


def test_a_package_has_everything(source, inference, tmp_path):
    """The files of the training, the code beside them, and a config.json that says what was asked for."""
    wanted = Wanted("scikit-learn", "image_processing", runtime="python3.11", figures={"accuracy": 0.97, "labels": {}})
    facts = package(source, tmp_path / "package", wanted, inference)
    found = sorted(each.relative_to(tmp_path / "package").as_posix() for each in (tmp_path / "package").rglob("*.*"))
    names = ("config.json", "customize_service.py", "label.json", "net/layers.py", "svc.joblib")
    assert found == [f"model/{each}" for each in names]
    config = config_json.read((tmp_path / "package" / "model" / "config.json").read_bytes())
    assert (config.model_algorithm, config.model_type) == ("image_classification", "Scikit_Learn")
    assert config.apis == config_json.MODES["image_processing"]
    assert (config.runtime, str(config.metrics["accuracy"])) == ("python3.11", "0.97")
    assert facts == {
        "engine": "scikit-learn",
        "mode": "image_processing",
        "model_type": "Scikit_Learn",
        "model_algorithm": "image_classification",
        "files": 5,
        "inference": True,
    }


def test_a_service_by_itself(source, inference, tmp_path):
    """Of a single file its neighbours do not come along."""
    facts = package(source, tmp_path / "package", Wanted("scikit-learn"), inference / "customize_service.py")
    assert (facts["files"], facts["inference"]) == (4, True)
    assert not (tmp_path / "package" / "model" / "net").exists()


def test_equal_inputs_give_equal_trees(source, inference, tmp_path):
    """Bytes and modes do not depend on when, by whom or in which order files were written."""
    (source / "svc.joblib").chmod(0o400)
    (inference / "customize_service.py").chmod(0o600)
    (inference / "net" / "layers.py").chmod(0o700)
    package(source, tmp_path / "one", Wanted("scikit-learn"), inference)
    again = files(tmp_path / "again", label__json="{}", svc__joblib="estimator")
    package(again, tmp_path / "two", Wanted("scikit-learn"), inference)
    trees = [entries(tmp_path / each, allowed_links=[source, again]) for each in ("one", "two")]
    assert digest(trees[0]) == digest(trees[1])
    assert {each.path for each in trees[0] if each.executable} == {"model/net/layers.py"}
    modes = {each.stat().st_mode & 0o777 for each in (tmp_path / "one" / "model").rglob("*.py")}
    assert modes == {0o644, 0o755}


# ---- a package's own config.json ----


def test_what_the_document_leaves_open_is_the_packages_own_word():
    """Algorithm, runtime, apis, dependencies and further keys are taken over; measured figures win over its metrics."""
    given = own(runtime="python3.6", dependencies=DEPENDENCIES, health={"url": "/health"})
    config = config_of(Wanted("scikit-learn", figures={"accuracy": 0.97}), given)
    assert (config.model_algorithm, config.runtime) == ("face_detection", "python3.6")
    assert {key: str(value) for key, value in config.metrics.items()} == {"accuracy": "0.97", "f1": "0.25"}
    assert config.dependencies == config_json.dependencies_of(DEPENDENCIES)
    assert config.apis[0].response.data == LABEL["data"]
    assert config.extra == {"health": {"url": "/health"}}


def test_what_both_say_may_be_the_same():
    """Agreement is no contradiction; a config.json may say more of its answers than the mode does."""
    wanted = Wanted("scikit-learn", "image_processing", "face_detection", "python3.6", dependencies=DEPENDENCIES)
    config = config_of(wanted, own(runtime="python3.6", dependencies=DEPENDENCIES))
    assert config.apis[0].response.data == LABEL["data"]
    silent = config_of(wanted, own(apis=[{"request": {"Content-type": "multipart/form-data"}}]))
    assert (silent.runtime, silent.dependencies) == ("python3.6", config_json.dependencies_of(DEPENDENCIES))
    asked = Wanted("scikit-learn", apis=[{"request": PICTURES, "response": LABEL}])
    assert config_of(asked, own()).apis == config_of(Wanted("scikit-learn"), own()).apis
    assert config_of(asked, None).apis == config_of(asked, own()).apis


@pytest.mark.parametrize(
    ("wanted", "given", "words"),
    [
        (Wanted("xgboost"), own(), "`model_type` differs: `XGBoost` and `Scikit_Learn`"),
        (Wanted("scikit-learn", algorithm="other"), own(), "`model_algorithm` differs: `other` and `face_detection`"),
        (Wanted("scikit-learn", runtime="a"), own(runtime="b"), "`runtime` differs: `a` and `b`"),
        (Wanted("scikit-learn", apis=[{}]), own(), "`apis` differs"),
        (
            Wanted("scikit-learn", dependencies=DEPENDENCIES),
            own(dependencies=[{"installer": "pip", "packages": [{"package_name": "other"}]}]),
            "`dependencies` differs",
        ),
        (
            Wanted("scikit-learn", "predictive_analysis"),
            own(),
            "`apis` does not take what the mode `predictive_analysis` takes",
        ),
        (
            Wanted("scikit-learn", "image_processing"),
            own(apis=[{"request": {**PICTURES, "data": {"properties": {"file": {"type": "file"}}}}}]),
            "`apis` does not take what the mode `image_processing` takes",
        ),
    ],
)
def test_a_config_that_contradicts_the_document(wanted, given, words):
    """Both values are named; nobody guesses which is meant."""
    with pytest.raises(Failure) as caught:
        config_of(wanted, given)
    assert caught.value.line == f"the document and the package's own `config.json` contradict each other: {words}"
    assert caught.value.hint == "say it once: in the document, or in the package's own `config.json`"


def test_a_config_that_is_none(source, tmp_path):
    """Every problem of the user's file, with line and column."""
    (source / "config.json").write_text('{\n  "model_type": "Scikit"\n}')
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"))
    assert found.reason == "the package's own `config.json` is not one"
    assert found.details[0] == "line 1, column 1: has no `model_algorithm`"
    assert found.details[2].startswith("line 2, column 17: `model_type` is `Scikit`, not one of")


def test_a_config_that_would_break_a_rule(tmp_path):
    """What is put together has to be a config.json as well: an image needs its address."""
    (tmp_path / "source").mkdir()
    found = failure(tmp_path / "source", tmp_path / "package", Wanted("image"))
    assert found.reason == "the package has no valid `config.json`"
    assert found.details == ("has no `swr_location`, which a package of type Image needs",)


def test_the_own_config_of_a_training_is_used(source, tmp_path):
    """It is not copied: the package's is written anew, in the form that all have."""
    (source / "config.json").write_bytes(own())
    package(source, tmp_path / "package", Wanted("scikit-learn"))
    written = (tmp_path / "package" / "model" / "config.json").read_bytes()
    assert config_json.write(config_json.read(written)) == written
    assert config_json.read(written).model_algorithm == "face_detection"


# ---- files that make no package ----


def test_nothing_that_could_be_loaded(source, tmp_path):
    """A missing model file is told with the name it should have."""
    (source / "svc.joblib").unlink()
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"))
    assert found.details == ("a scikit-learn package has one `NAME.joblib` in `model`; found: none",)
    assert not (tmp_path / "package").exists()


def test_two_services(source, inference, tmp_path):
    """One that the training left and one of the document: there is at most one."""
    files(source, customize_service__py="class Other: ...")
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"), inference)
    assert found.line == "the trained model and `inference` have files of the same name: `customize_service.py`"
    assert found.hint == "take one of them away"
    (source / "customize_service.py").unlink()
    files(source, old_in_customize_service__py="class Older: ...")
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"), inference)
    assert "at most one `customize_service.py`; found: `customize_service.py`, `old/customize_service.py`" in found.line


def test_a_folder_without_a_service(source, inference, tmp_path):
    """Inference code has a customize_service.py, whatever else is there."""
    (inference / "customize_service.py").unlink()
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"), inference)
    assert found.line == "there is no `customize_service.py` in `inference`"


@pytest.mark.parametrize("turned", [False, True])
def test_a_name_that_is_file_and_folder(source, inference, tmp_path, turned):
    """What cannot lie in one folder is told by its name."""
    files(inference if turned else source, helper="a file")
    files(source if turned else inference, helper_in_more__py="")
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"), inference)
    assert found.reason.endswith("is both a file and a folder in the package")


def test_files_that_cannot_be_taken(source, tmp_path):
    """A link that leads outside is named."""
    (source / "link").symlink_to(tmp_path)
    found = failure(source, tmp_path / "package", Wanted("scikit-learn"))
    assert found.line == "the trained model cannot be read: `link` is a link that leads outside the folder"


def test_an_engine_without_a_layout(source, tmp_path):
    """Nobody knows what its packages look like."""
    assert failure(source, tmp_path / "p", Wanted("prolog")).line == (
        "there is no layout for packages of the engine `prolog`"
    )


# ---- as a job ----


def test_the_options_of_the_job(source, inference, tmp_path, capsys):
    """Options and figures are JSON; the facts are left where they are asked for."""
    words = [f"--source={source}", f"--output={tmp_path / 'package'}", "--engine", "scikit-learn"]
    main(
        [
            *words,
            f"--facts={tmp_path / 'facts.json'}",
            '--options={"mode":"image_processing"}',
            "--figures",
            '{"f1":1.0}',
        ]
    )
    assert json.loads((tmp_path / "facts.json").read_text())["mode"] == "image_processing"
    assert capsys.readouterr().out == "3 files, Scikit_Learn, mode image_processing\n"
    main([*words[:1], f"--output={tmp_path / 'other'}", *words[2:], f"--inference={inference}"])
    assert (tmp_path / "other" / "model" / "customize_service.py").exists()


def test_a_failed_job_says_why(source, tmp_path):
    """One line and a hint in the file for whoever started it, no traceback."""
    (source / "config.json").write_bytes(own())
    (source / "label.json").unlink()
    words = [f"--source={source}", f"--output={tmp_path / 'package'}", f"--failure={tmp_path / 'failure'}"]
    words += ["--engine=scikit-learn", '--options={"mode":"predictive_analysis"}']
    command = [sys.executable, "-m", "specforge.procedures", "package", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert (tmp_path / "failure").read_text().splitlines()[-1].startswith("hint: say it once")
