"""The dependencies of Models: what has to be locked for them, and what a plan says where it is not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from specforge.core.address import Address
from specforge.core.values import EMPTY, Frozen, frozen
from specforge.formats.config_json import Package
from specforge.schemas import algorithm, training
from specforge.schemas.kind import Input, Subject
from specforge.schemas.model import KIND
from specforge.schemas.model.dependencies import lacking, needs_of

SERVER = "scikit-learn-server"
WHERE = {"store": "artifacts", "pool": "here"}


def asks(*packages: tuple[str, ...], training: str = "digits", name: str = "digits"):
    """Return the spec of a model with one dependency for each package."""
    keys = ("package_name", "package_version", "restraint")
    dependencies = [{"packages": [dict(zip(keys, each, strict=False))]} for each in packages]
    return KIND.spec.model_validate({"name": name, "training": training, "dependencies": dependencies, **WHERE})


def declared(*models):
    """Return {address: spec} of models, of a training and its algorithm."""
    specs = {
        Address("algorithm", "svc"): algorithm.KIND.spec.model_validate(
            {"name": "svc", "framework": "scikit-learn", "code": "code", "boot": "train.py"}
        ),
        Address("training", "digits"): training.KIND.spec.model_validate(
            {"name": "digits", "algorithm": "svc", "inputs": {"data": "digits"}, **WHERE}
        ),
    }
    return {**specs, **{Address("model", each.name): each for each in models}}


def entry(*packages: tuple[str, ...]) -> Frozen:
    """Return a lock entry of (name, version, marker)."""
    keys = ("name", "version", "marker")
    return frozen(
        {"python": "3.11", "packages": [{**dict(zip(keys, p, strict=False)), "hashes": []} for p in packages]}
    )


def planned(spec, engine="scikit-learn", **locks):
    """Return what a plan says of a model: (code, detail, path)."""
    known = Frozen(engine=engine, digest="5" * 64, figures=EMPTY)
    inputs = {"training": Input(Address("training", "digits"), None, known)}
    inputs |= {each: Input(Address(each, "x"), None, EMPTY) for each in ("store", "pool")}
    desire = KIND.desire(Subject(Address("model", spec.name), spec, "project", inputs, {}, locks))
    assert bool(desire.parts) != bool(desire.diagnostics)
    return [(each.code, each.detail, each.hint, each.path) for each in desire.diagnostics]


def test_what_models_need_is_gathered_for_the_toolchain_that_serves_them():
    """By name, each requirement once with all who ask for it; a Model without dependencies asks for nothing."""
    models = (
        asks(("six", "1.17", "ATLEAST"), ("idna",)),
        asks(("Six", "1.17", "ATLEAST"), ("six", "1.16", "ATLEAST"), ("six", "1.17", "ATLEAST"), name="b"),
        asks(name="plain"),
    )
    found = needs_of(declared(*models))
    assert list(found) == [SERVER]
    assert [str(each) for each in found[SERVER]] == [
        "`idna` (model.digits)",
        "`six>=1.16` (model.b)",
        "`Six>=1.17` (model.b, model.digits)",
    ]


def test_a_model_whose_engine_no_document_says_needs_nothing():
    """It stays at a version of a training that is gone, or whose algorithm is."""
    model = asks(("six",), training="gone@V0001")
    assert needs_of(declared(model)) == {}
    specs = declared(asks(("six",), training="digits@V0001"))
    assert list(needs_of(specs)) == [SERVER]
    del specs[Address("algorithm", "svc")]
    assert needs_of(specs) == {}


@pytest.mark.parametrize(
    ("locked", "instead"),
    [
        ([("six", "1.17.0")], None),
        ([("six", "1.16")], "1.16"),
        ([("idna", "3")], ""),
        ([("six", "1.17.0", "sys_platform == 'win32'")], "1.17.0 (sys_platform == 'win32')"),
        ([("six", "1.17.0", "sys_platform == 'win32'"), ("six", "1.18", "sys_platform != 'win32'")], None),
        (
            [("six", "1.17.0", "os_name == 'nt'"), ("six", "1.2", "os_name != 'nt'")],
            "1.17.0 (os_name == 'nt'), 1.2 (os_name != 'nt')",
        ),
    ],
)
def test_what_a_lock_entry_has_instead(locked, instead):
    """Nothing, another version, or one that is for some machines only."""
    assert lacking(entry(*locked), Package("Six", "1.17", "ATLEAST")) == instead


def test_a_plan_refuses_what_is_not_locked():
    """Each package at its line, with what to do; the other engines' entries do not count."""
    spec = asks(("six", "1.17", "ATLEAST"), ("idna",), ("joblib", "1.0", "EXACT"))
    locks = {"scikit-learn": entry(("six", "1.17")), SERVER: entry(("joblib", "1.6.0"), ("six", "1.17"))}
    assert planned(spec, **locks) == [
        (
            "SF228",
            f"`specforge.lock` has no `idna` for `{SERVER}`; needed is `idna`",
            "run `spec lock`",
            ("dependencies", 1, "packages", 0),
        ),
        (
            "SF228",
            f"`specforge.lock` has `joblib` 1.6.0 for `{SERVER}`; needed is `joblib==1.0`",
            "run `spec lock`",
            ("dependencies", 2, "packages", 0),
        ),
    ]
    assert planned(asks(("six",)), **locks) == []


def test_where_nothing_is_served_nothing_has_to_be_locked():
    """A package may be for another system; a Service tells of a missing entry itself."""
    assert planned(asks(("six",)), **{"scikit-learn": entry()}) == []


def test_what_cannot_be_in_a_config_json_is_told_first():
    """A version without its meaning is one error, not two."""
    (found,) = planned(asks(("six", "1.17")), **{SERVER: entry()})
    assert found[0] == "SF227"


@pytest.mark.parametrize("name", ["six;idna", "six[extra]", "-r", "./six", "git+https://example.org", "six @ x", ""])
def test_names_that_no_package_has(name):
    """What pip would take for something else is no name."""
    with pytest.raises(ValidationError, match="package_name"):
        asks((name,))


def test_versions_that_are_none():
    """A pattern is none; the message says what is one."""
    with pytest.raises(ValidationError, match=r"`1\.\*` is not the version of a Python package, such as `1\.10`"):
        asks(("six", "1.*", "EXACT"))
