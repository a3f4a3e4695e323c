"""`spec lock` with what declared Models need: added to what is locked, which otherwise stays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from specforge.core.errors import ExecutionError
from specforge.core.values import frozen
from specforge.engine.locking import extended, resolve, resolve_requirements
from specforge.formats.config_json import Package
from specforge.loading.lockfile import read_lock
from specforge.runtimes import ENGINES
from specforge.schemas.model.dependencies import Need

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SERVER = "scikit-learn-server"
DOCUMENTS = """\
{kind: Algorithm, name: svc, framework: scikit-learn, code: code, boot: train.py}
---
{kind: TrainingJob, name: digits, algorithm: svc, inputs: {data: digits}}
---
{kind: Dataset, name: digits, task: image_classification, source: data}
---
kind: Model
name: digits
training: digits
---
{kind: Service, name: digits, model: digits, port: 8080}
---
{kind: Store, name: artifacts, folder: artifacts}
---
{kind: Pool, name: here, local: {}}
"""


def need(name, version=None, restraint=None, *models):
    return Need(Package(name, version, restraint), models or ("model.digits",))


def versions(entry):
    return {each["name"]: each["version"] for each in entry["packages"]}


@pytest.fixture
def alphas(make_wheel):
    """Two versions each of three packages, the newer ones of `alpha` and `beta` not locked."""
    make_wheel("alpha", "1.0", ["beta"])
    make_wheel("beta", "1.0")
    lock = resolve_requirements(["alpha==1.0"], "tests")
    make_wheel("beta", "2.0")
    make_wheel("gamma", "1.0", ["beta"])
    make_wheel("gamma", "2.0", ["beta"])
    return lock


# ---- resolving ----


def test_needs_are_locked_with_the_rest(alphas):
    """All bounds hold, and so do the engine's own."""
    lock = resolve_requirements(["alpha==1.0"], "tests", [need("gamma", "1.5", "ATMOST"), need("gamma")])
    assert versions(lock) == {"alpha": "1.0", "beta": "2.0", "gamma": "1.0"}


def test_what_is_missing_is_added_and_the_rest_stays(alphas):
    """Neither a newer version nor a new file of what is locked is taken."""
    lock = alphas.with_(packages=[{**each, "hashes": ["sha256:" + "0" * 64]} for each in alphas["packages"]])
    made = extended(lock, ["alpha==1.0"], "tests", [need("gamma", "2.0", "EXACT")])
    assert versions(made) == {"alpha": "1.0", "beta": "1.0", "gamma": "2.0"}
    assert made["packages"][:2] == lock["packages"]
    again = extended(made, ["alpha==1.0"], "tests", [need("gamma", "1.0", "EXACT")])
    assert versions(again) == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    other = extended(again, ["alpha==1.0"], "tests", [need("beta", "2.0", "ATLEAST")])
    assert versions(other) == {"alpha": "1.0", "beta": "2.0"}


def test_a_lock_that_is_older_than_the_release_keeps_its_versions(alphas, make_wheel):
    """A release that asks for a newer engine changes nothing until the lock is upgraded."""
    make_wheel("alpha", "1.1", ["beta"])
    made = extended(alphas, ["alpha==1.1", "beta>=2; sys_platform == 'win32'"], "tests", [need("gamma")])
    assert versions(made) == {"alpha": "1.0", "beta": "1.0", "gamma": "2.0"}


def test_an_addition_is_for_the_python_that_is_locked(alphas):
    """Whoever adds a package may run `spec` with another Python."""
    lock = alphas.with_(python="3.12")
    assert extended(lock, ["alpha==1.0"], "tests", [need("gamma")])["python"] == "3.12"


def test_markers_of_what_is_kept(alphas, make_wheel):
    """What is locked for some machines only is still for those alone."""
    make_wheel("delta", "1.0", ["epsilon; sys_platform == 'win32'"])
    make_wheel("epsilon", "1.0")
    lock = resolve_requirements(["delta"], "tests")
    make_wheel("epsilon", "2.0")
    made = extended(lock, ["delta"], "tests", [need("gamma")])
    assert [each for each in made["packages"] if each["name"] == "epsilon"] == [lock["packages"][1]]
    all_of_it = extended(made, ["delta"], "tests", [need("epsilon", "1.0", "ATLEAST")])
    (epsilon,) = [each for each in all_of_it["packages"] if each["name"] == "epsilon"]
    assert (epsilon["version"], epsilon.get("marker")) == ("2.0", None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("1.0", "EXACT"), ("2.0", "EXACT")),
        (("1.0", "EXACT"), ("1.5", "ATLEAST")),
        (("2.0", "EXACT"), ("1.5", "ATMOST")),
        (("2.0", "ATLEAST"), ("1.0", "ATMOST")),
    ],
)
def test_models_that_contradict_each_other(one, other):
    """The error names both, whatever the index has."""
    needs = [need("six", *one, "model.a"), need("Six", *other, "model.b", "model.c")]
    for pair in (needs, needs[::-1]):
        with pytest.raises(ExecutionError) as error:
            resolve_requirements(["alpha"], "tests", pair)
        (found,) = error.value.diagnostics
        assert found.code == "SF466"
        assert all(word in found.detail for word in ("(model.a)", "(model.b, model.c)", "`tests` is one toolchain"))


def test_a_model_that_contradicts_the_engine():
    """The versions of the engine and the server are not for Models to choose, also where an entry is there."""
    numpy = next(each for each in ENGINES[SERVER] if each.startswith("numpy"))
    for current in (None, frozen({"python": MINOR, "packages": []})):
        with pytest.raises(ExecutionError) as error:
            resolve(SERVER, False, current, [need("numpy", "1.0", "EXACT")])
        (found,) = error.value.diagnostics
        assert found.detail == (
            f"`{SERVER}` is one toolchain, and cannot have both `{numpy}` (the engine's own) and "
            "`numpy==1.0` (model.digits)"
        )


def test_needs_that_no_index_has(alphas):
    """The error says which Models ask, and how a lock that stands in the way is made anew."""
    with pytest.raises(ExecutionError) as error:
        resolve_requirements(["alpha"], "tests", [need("gamma", "3.0", "ATLEAST")])
    (found,) = error.value.diagnostics
    assert found.hint == "Models need `gamma>=3.0` (model.digits): change their `dependencies`"
    assert "gamma" in found.detail
    with pytest.raises(ExecutionError) as error:
        extended(alphas, ["alpha==1.0"], "tests", [need("gamma", "3.0", "ATLEAST")])
    assert error.value.diagnostics[0].hint.endswith("newer versions with `spec lock --upgrade`")


def test_an_entry_that_has_everything_is_not_resolved():
    """It is given back as it is."""
    current = frozen({"python": "3.2", "packages": [{"name": "six", "version": "1.17", "hashes": []}]})
    assert resolve(SERVER, False, current, [need("six", "1.0", "ATLEAST")]) is current


# ---- the command ----


@pytest.fixture
def index(make_wheel):
    """An index that has what the engines are made of, as empty packages, and some more."""
    for each in {each for requirements in ENGINES.values() for each in requirements}:
        name, _, version = each.partition("==")
        make_wheel(name.replace("-", "_"), version)
    make_wheel("wordlist", "1.0")
    make_wheel("wordlist", "1.1")


@pytest.fixture
def project(tmp_path, index):
    """A project with a service, and a function that runs a command in it."""
    root = tmp_path / "project"
    (root / "specs").mkdir(parents=True)
    (root / "specforge.yaml").write_text(
        "kind: Project\nname: digits\ndefaults: {store: artifacts, pool: here}\n", encoding="utf-8"
    )
    for path in ("code/train.py", "data/0/a.png", "data/1/b.png"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path, encoding="utf-8")
    document = root / "specs" / "all.yaml"
    document.write_text(DOCUMENTS, encoding="utf-8")

    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "specforge", *words],
            cwd=root,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def depend(*packages):
        lines = "".join(f"    - {each}\n" for each in packages)
        text = DOCUMENTS.replace("training: digits\n", f"training: digits\ndependencies:\n- packages:\n{lines}")
        document.write_text(text, encoding="utf-8")

    run.root, run.depend, run.document = root, depend, document
    return run


def test_the_lock_file_follows_the_documents(project):
    """Nothing changes without dependencies; a new one is added and told; `--upgrade` takes the newest of it."""
    project("lock")
    lock = project.root / "specforge.lock"
    plain = lock.read_bytes()
    assert {name: len(each["packages"]) for name, each in read_lock(project.root).items()} == {
        name: len(ENGINES[name]) for name in ("scikit-learn", SERVER)
    }
    project.depend('{package_name: Wordlist, package_version: "1.0", restraint: EXACT}')
    said = project("plan", code=1)
    assert said.count("SF228") == 1
    assert "`specforge.lock` has no `Wordlist` for `scikit-learn-server`; needed is `Wordlist==1.0`" in said
    said = project("lock")
    assert f"{SERVER}: + wordlist 1.0 (model.digits)" in said
    assert f"{SERVER}: the other {len(ENGINES[SERVER])} stay as they were" in said
    added = lock.read_text(encoding="utf-8")
    block = '      - name: "wordlist"\n        version: "1.0"\n        hashes:\n'
    assert added.count(block) == 1
    before, after = added.split(block)
    assert (before + after.partition("\n")[2]).encode() == plain
    project("plan")
    project.depend('{package_name: wordlist, package_version: "1.1", restraint: ATLEAST}')
    said = project("lock")
    assert f"{SERVER}: + wordlist 1.1 (model.digits)" in said
    assert f"{SERVER}: - wordlist 1.0" in said
    project.depend("{package_name: wordlist}")
    assert "Nothing to lock" in project("lock")
    project.document.write_text(DOCUMENTS, encoding="utf-8")
    assert "Nothing to lock" in project("lock")
    project("lock", "--upgrade")
    assert lock.read_bytes() == plain


def test_a_first_lock_has_everything_at_once(project):
    """Also where one entry is asked for by name."""
    project.depend("{package_name: wordlist}")
    project("lock", SERVER)
    assert versions(read_lock(project.root)[SERVER])["wordlist"] == "1.1"


def test_contradictions_are_told_and_nothing_is_written(project):
    """The message names both Models; the lock stays away."""
    project.depend('{package_name: wordlist, package_version: "1.0", restraint: EXACT}')
    other = "---\nkind: Model\nname: other\ntraining: digits\ndependencies:\n- packages:\n"
    other += '  - {package_name: wordlist, package_version: "1.1", restraint: ATLEAST}\n'
    project.document.write_text(project.document.read_text(encoding="utf-8") + other, encoding="utf-8")
    said = " ".join(project("lock", code=1).split())
    assert "SF466" in said
    assert "`wordlist==1.0` (model.digits) and `wordlist>=1.1` (model.other)" in said
    assert not (project.root / "specforge.lock").exists()


def test_without_a_service_nothing_is_locked_for_one(project):
    """A package for another system says what it needs, and that is all."""
    project.depend("{package_name: wordlist}")
    text = project.document.read_text(encoding="utf-8").replace(
        "{kind: Service, name: digits, model: digits, port: 8080}", ""
    )
    project.document.write_text(text, encoding="utf-8")
    project("lock")
    assert list(read_lock(project.root)) == ["scikit-learn"]
    project("plan")
