"""What a Model wishes and refuses, and the contract of kinds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest
from asked import with_steps
from pydantic import ValidationError

from specforge.core.address import Address
from specforge.core.digest import identity_of
from specforge.core.queries import Presence, Seen, unreachable
from specforge.core.values import EMPTY, PROJECT, Frozen, JobInput, OutputRef, Place, StepRef, Tree, frozen, holes_in
from specforge.formats.config_json import MODES
from specforge.schemas.kind import Input, Subject
from specforge.schemas.model import KIND
from specforge.schemas.model.spec import Mode
from specforge.testing.kind import Edit, KindContract

STORE = Place("folder", ".specforge/artifacts")
FIGURES = Frozen(accuracy=0.97, f1=0.96)
OTHER = "f" * 64
ADDRESS = Address("training", "digits")
DATA = {"type": "object", "properties": {"rooms": {"type": "integer"}}}
APIS = [{"protocol": "http", "request": {"Content-type": "application/json", "data": DATA}, "response": {"data": DATA}}]
PACKAGES = [{"package_name": "unidecode", "package_version": "1.3", "restraint": "ATLEAST"}]


def trained(digest: str = "5" * 64, engine: str = "scikit-learn", version: str | None = None, **outputs) -> Input:
    """Return what a model sees of a trained and evaluated version."""
    known = {"place": STORE, "version": "V0001", "identity": "9" * 64, "digest": digest, "tree.model": digest}
    known |= {"engine": engine, "facts": Frozen(engine=engine), "figures": FIGURES}
    return Input(ADDRESS, None, Frozen({**known, **outputs}), version)


def code(digest: str = "6" * 64, **facts) -> dict[str, Seen]:
    """Return the readings of a folder with a service in it."""
    known = {"files": 2, "bytes": 10, "folders": {".": 2}, "problems": []}
    folder = Seen(Presence.PRESENT, digest, frozen({**known, **facts}))
    return {"inference": folder, "service": Seen(Presence.PRESENT, "7" * 64, frozen({"files": 1, "folders": {}}))}


def single(digest: str = "6" * 64) -> dict[str, Seen]:
    """Return the readings of a service given by itself."""
    file = Seen(Presence.PRESENT, digest, frozen({"files": 1, "bytes": 10, "folders": {}, "problems": []}))
    return {"inference": file, "service": Seen(Presence.ABSENT)}


def model(world, training: Input | None = None, facts: dict[str, Seen] | None = None, **fields) -> Subject:
    """Return the subject of a model."""
    document = {"name": "digits", "training": "digits", "store": "artifacts", "pool": "here", **fields}
    spec = KIND.spec.model_validate(document)
    if facts is None:
        facts = {} if spec.inference is None else code()
    inputs = {**world.places(), "training": training or trained()}
    return Subject(Address("model", spec.name), spec, "project", inputs, facts)


def options(subject: Subject) -> dict:
    """Return what the procedure is told of the document."""
    words = with_steps(KIND, subject).steps[0].run.argv
    return json.loads(next(each for each in words if each.startswith("--options=")).partition("=")[2])


class TestModel(KindContract):
    kind = KIND

    @pytest.fixture(autouse=True)
    def _given(self, world):
        self.world = world

    def subjects(self):
        plain = model(self.world, mode="image_processing", inference="inference")
        more = {
            "algorithm": "regression",
            "runtime": "python3.11",
            "apis": APIS,
            "dependencies": [{"packages": PACKAGES}],
            "documents": [{"name": "guide", "url": "https://example.org"}],
            "minimum": {"cpu": 1, "memory": "1GiB"},
            "version": "first",
        }
        return (plain, model(self.world, **more), model(self.world))

    def edits(self):
        elsewhere = {"store": Input(Address("store", "other"), None, Frozen(place=Place("folder", "other")))}
        beside = {"pool": Input(Address("pool", "other"), None, Frozen(place=Place("local", "other")))}
        api, package = ("apis", 0), ("dependencies", 0, "packages", 0)
        form = "multipart/form-data"
        return (
            Edit(("training",), "other", {"training": trained(OTHER)}),
            Edit(("mode",), "undefined"),
            Edit(("algorithm",), "object_detection"),
            Edit(("inference",), "other", facts=code(OTHER)),
            Edit(("runtime",), "python3.12"),
            Edit(("apis",), None, base=1),
            Edit((*api, "protocol"), "https", base=1),
            Edit((*api, "request", "Content-type"), form, base=1),
            Edit((*api, "request", "data", "type"), "array", base=1),
            Edit((*api, "response", "Content-type"), form, base=1),
            Edit((*api, "response", "data", "type"), "array", base=1),
            Edit(("dependencies",), [], base=1),
            Edit((*package, "package_name"), "other", base=1),
            Edit((*package, "package_version"), "1.4", base=1),
            Edit((*package, "restraint"), "EXACT", base=1),
            Edit(("metrics",), False),
            Edit(("documents", 0, "name"), "other", base=1),
            Edit(("documents", 0, "url"), "https://example.org/other", base=1),
            Edit(("minimum", "cpu"), 2, base=1),
            Edit(("minimum", "memory"), "2GiB", base=1),
            Edit(("version",), "second", base=1),
            Edit(("store",), "other", elsewhere),
            Edit(("pool",), "other", beside),
        )


def test_the_identity_is_a_golden_one(world):
    """The identity of a model never changes by itself."""
    part = KIND.desire(model(world, mode="image_processing", inference="inference")).parts[0]
    identity = identity_of(part.prefix, part.revision, part.recipe)
    assert identity == "6f895f5a94a982a3fd7c8bf0c48b290331f796c44a64da03db592082a811b08f"


def test_the_recipe_is_what_decides_the_bytes(world):
    """What is not asked for has no key; figures are those of the training's evaluation."""
    assert KIND.desire(model(world)).parts[0].recipe == {
        "source": "5" * 64,
        "engine": "scikit-learn",
        "mode": "undefined",
        "figures": FIGURES,
    }
    assert "figures" not in KIND.desire(model(world, metrics=False)).parts[0].recipe


def test_the_order_of_keys_in_a_schema_means_nothing(world):
    """Two ways to write the same apis give one identity."""
    turned = [{"response": {"data": DATA}, "request": {"data": dict(reversed(DATA.items()))}}]
    parts = [KIND.desire(model(world, apis=each)).parts[0] for each in (APIS, turned)]
    assert len({identity_of(each.prefix, each.revision, each.recipe) for each in parts}) == 1


def test_the_steps(world):
    """One job without a toolchain, and the publication of what it leaves."""
    subject = model(world, inference="inference", algorithm="regression", dependencies=[{"packages": PACKAGES}])
    job, publish = with_steps(KIND, subject).steps
    assert job.run.argv[:7] == (
        "@python",
        "@procedures",
        "package",
        "--source=@in/source",
        "--output=@out/package",
        "--facts=@out/facts.json",
        "--failure=@out/failure",
    )
    assert job.run.argv[8:] == (
        "--engine",
        "scikit-learn",
        "--figures",
        '{"accuracy":0.97,"f1":0.96}',
        "--inference=@code",
    )
    assert job.run.toolchain is None
    assert job.code == Tree(PROJECT, "inference", "6" * 64)
    assert job.inputs == (JobInput("source", Tree(STORE, None, "5" * 64)),)
    dependencies = [{"installer": "pip", "packages": PACKAGES}]
    assert options(subject) == {"mode": "undefined", "algorithm": "regression", "dependencies": dependencies}
    assert (publish.output, publish.trees["package"]) == ("package", StepRef("package", "tree.package"))
    assert [publish.series.version(number) for number in (1, 12)] == ["0.0.1", "0.0.12"]
    plain = with_steps(KIND, model(world, metrics=False)).steps[0]
    assert plain.code is None
    assert plain.run.argv[-1] == "scikit-learn"


def test_a_training_that_is_yet_to_be_made(world):
    """Its engine is known from its algorithm; digest, figures and place are holes, words of their own in the job."""
    pending = replace(trained(), outputs=Frozen(engine="scikit-learn"))
    part = with_steps(KIND, model(world, pending))
    assert set(holes_in(part.recipe)) == {OutputRef(ADDRESS, "digest"), OutputRef(ADDRESS, "figures")}
    assert part.steps[0].run.argv[-1] == OutputRef(ADDRESS, "figures")
    assert KIND.desire(model(world, pending)).outputs == {"engine": "scikit-learn", "mode": "undefined"}


def test_a_pinned_version_has_its_own_engine_and_no_figures(world):
    """What was published says the engine, whatever is declared now; figures are not known to everybody."""
    pinned = trained(version="V0001", engine="xgboost", facts=Frozen(engine="scikit-learn"))
    recipe = KIND.desire(model(world, pinned)).parts[0].recipe
    assert recipe["engine"] == "scikit-learn"
    assert "figures" not in recipe


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (trained(version="V0001", facts=EMPTY), "it is not known which engine made this version of the training"),
        (trained(engine="prolog"), "there is no package layout for the engine `prolog`"),
    ],
)
def test_engines_that_cannot_be_packaged(world, training, words):
    """A version of which nobody knows the engine, and an engine without a layout, are told where they are named."""
    (found,) = KIND.desire(model(world, training)).diagnostics
    assert (found.code, found.path, found.detail) == ("SF226", ("training",), words)


def test_a_service_may_be_given_by_itself(world):
    """A file called `customize_service.py` stands for a folder with nothing else in it."""
    subject = model(world, facts=single(), inference="inference/customize_service.py")
    desire = KIND.desire(subject)
    assert not desire.diagnostics
    assert desire.parts[0].recipe["inference"] == "6" * 64


@pytest.mark.parametrize(
    ("path", "facts", "code_", "words"),
    [
        ("inference", {"inference": Seen(Presence.ABSENT)}, "SF210", "there is no `inference`"),
        ("inference", {"inference": unreachable("no rights")}, "SF215", "`inference` cannot be read: no rights"),
        ("serve.py", single(), "SF210", "`serve.py` is not called `customize_service.py`"),
        (
            "inference",
            {**code(), "service": Seen(Presence.ABSENT)},
            "SF210",
            "there is no file `customize_service.py` in `inference`",
        ),
        (
            "inference",
            {**code(), "service": Seen(Presence.PRESENT, "7" * 64, frozen({"folders": {".": 1}}))},
            "SF210",
            "there is no file `customize_service.py` in `inference`",
        ),
        (
            "inference",
            code(problems=[{"path": "link", "problem": "leads outside"}]),
            "SF215",
            "`link` in `inference` leads outside",
        ),
    ],
)
def test_inference_code_that_cannot_be_packaged(world, path, facts, code_, words):
    """What is wrong with the folder is told before anything runs, at the field that names it."""
    desire = KIND.desire(model(world, facts={**code(), **facts}, inference=path))
    assert not desire.parts
    assert [(each.code, each.detail, each.path) for each in desire.diagnostics] == [(code_, words, ("inference",))]


def test_schemas_in_the_document_are_checked(world):
    """A type that is none, and two apis that ask for the same, are errors at their places."""
    wrong = [{"request": {"data": {"type": "object", "properties": {"a": {"type": "strng"}}}}}]
    (found,) = KIND.desire(model(world, apis=wrong)).diagnostics
    assert (found.code, found.path) == ("SF227", ("apis", 0, "request", "data", "properties", "a", "type"))
    assert found.detail.startswith("`apis[0].request.data.properties.a.type` is `strng`, not one of array")
    (twice,) = KIND.desire(model(world, apis=[{}, {}])).diagnostics
    assert twice.path == ("apis", 1)
    (unversioned,) = KIND.desire(
        model(world, dependencies=[{"packages": [{"package_name": "a", "restraint": "EXACT"}]}])
    ).diagnostics
    assert unversioned.path == ("dependencies", 0, "packages", 0, "restraint")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "1digits"}, "should match pattern"),
        ({"name": "a" * 49}, "at most 48 characters"),
        ({"mode": "anything"}, "'undefined'"),
        ({"mode": "image_processing", "apis": APIS}, "the mode `image_processing` says what the model is asked"),
        ({"apis": []}, "at least 1 item"),
        ({"apis": [{"url": "/predict"}]}, "should be '/'"),
        ({"apis": [{"method": "GET"}]}, "should be 'POST'"),
        ({"apis": [{"request": {"Content-type": "text/plain"}}]}, "'application/json' or 'multipart/form-data'"),
        ({"dependencies": [{"packages": []}]}, "at least 1 item"),
        ({"dependencies": [{"installer": "conda", "packages": PACKAGES}]}, "should be 'pip'"),
        ({"dependencies": [{"packages": [{"package_name": "a>=1"}]}]}, "should match pattern"),
        ({"documents": [{"name": "guide", "url": "guide.html"}]}, "should match pattern"),
        ({"runtime": "python 3"}, "should match pattern"),
    ],
)
def test_documents_that_are_refused(world, fields, words):
    """A value that cannot be meant is an error of the document."""
    with pytest.raises(ValidationError, match=words):
        model(world, **fields)


def test_a_name_may_be_chinese(world):
    """As in the source systems."""
    assert model(world, name="数字-1").address == Address("model", "数字-1")


def test_the_modes_are_those_of_the_format():
    """What `mode` may say is what config.json knows apis for."""
    assert sorted(get_args(Mode)) == sorted(MODES)
