"""Frozen mappings, holes, addresses, places, versions."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specforge.core.address import Address, Reference
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtJob,
    LookAtPlace,
    Presence,
    ScanTree,
    place_of,
    unreachable,
)
from specforge.core.source import Span
from specforge.core.state import Intent, Resource, Status, Version
from specforge.core.steps import (
    Copy,
    EnsurePlace,
    EnsureToolchain,
    Publish,
    Release,
    RunJob,
    Unpublish,
    place_of_step,
)
from specforge.core.values import (
    EMPTY,
    IDENTITY,
    PROJECT,
    Frozen,
    JobInput,
    OutputRef,
    Place,
    Run,
    StepRef,
    Tree,
    VersionSeries,
    frozen,
    holes_in,
    map_holes,
    unique,
)

A, B = Address("dataset", "a"), Address("training", "b")
STORE = Place("folder", "artifacts")


# ---- Frozen ----


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.__setitem__("a", 1),
        lambda f: f.__delitem__("a"),
        lambda f: f.update(a=2),
        lambda f: f.setdefault("b", 1),
        lambda f: f.pop("a"),
        lambda f: f.popitem(),
        lambda f: f.clear(),
        lambda f: f.__ior__({"b": 1}),
    ],
)
def test_a_frozen_mapping_cannot_be_changed(change) -> None:
    """Every way to change a dict is refused."""
    value = Frozen(a=1)
    with pytest.raises(TypeError, match="cannot be changed"):
        change(value)
    assert value == {"a": 1}


def test_freezing_goes_all_the_way_down() -> None:
    """Lists become tuples, mappings Frozen, keys texts; the result can be hashed."""
    value = frozen({"a": [{"b": [1, {"c": {}}]}], 1: (2,)})
    assert value == {"a": ({"b": (1, {"c": {}})},), "1": (2,)}
    assert isinstance(value["a"][0]["b"][1]["c"], Frozen)
    assert hash(value) == hash(frozen({"1": (2,), "a": [{"b": [1, {"c": {}}]}]}))
    assert frozen(value) is value


def test_a_copy_with_other_values_leaves_the_first_alone() -> None:
    """`with_` freezes what it is given."""
    first = Frozen(a=1, b=2)
    second = first.with_(b=[3], c={"d": 1})
    assert (first, second) == ({"a": 1, "b": 2}, {"a": 1, "b": (3,), "c": {"d": 1}})
    assert isinstance(second["c"], Frozen)


def test_frozen_mappings_are_dicts_to_everybody_else() -> None:
    """JSON, copy and pickle work."""
    value = frozen({"a": [1, {"b": None}]})
    assert json.loads(json.dumps(value)) == {"a": [1, {"b": None}]}
    assert pickle.loads(pickle.dumps(value)) == value
    assert isinstance(pickle.loads(pickle.dumps(value)), Frozen)
    assert copy.deepcopy(value) == value
    assert value | {"c": 1} == {"a": (1, {"b": None}), "c": 1}


# ---- holes ----

SERIES = VersionSeries("p", "dataset", "a", "V{:03d}")


def test_every_hole_is_found_once_in_order() -> None:
    """In mappings, tuples and values of our classes."""
    first, second = OutputRef(A, "digest"), StepRef("train", "tree.model")
    step = Publish(STORE, Frozen(model=second), "model", SERIES)
    value = Frozen(x=(first, Tree(STORE, None, first)), y=step)
    assert holes_in(value) == (first, second, IDENTITY)
    assert holes_in(Frozen(a=1, b=(A, "text", None))) == ()


def test_filling_replaces_every_hole_and_shares_the_rest() -> None:
    """What has no hole is the same object afterwards."""
    run = Run(("@python", "train.py"))
    job = RunJob("train", STORE, run, inputs=(JobInput("data", Tree(STORE, None, OutputRef(A, "tree.data"))),))
    filled = map_holes(job, lambda hole: f"{hole.address}:{hole.key}")
    assert filled.inputs[0].tree.digest == "dataset.a:tree.data"
    assert filled.run is run
    assert holes_in(filled) == ()
    assert map_holes(run, lambda hole: hole) is run


def test_holes_that_stay_leave_the_value_alone() -> None:
    """A filler may give the hole back."""
    tree = Tree(STORE, None, OutputRef(A, "digest"))
    assert map_holes(tree, lambda hole: hole) is tree


def test_a_hole_may_be_filled_with_a_structure() -> None:
    """The answer is put in as it is."""
    assert map_holes(Frozen(lock=OutputRef(A, "lock")), lambda _: Frozen(python="3.11")) == {"lock": {"python": "3.11"}}


@given(
    st.recursive(
        st.integers() | st.just(OutputRef(A, "k")), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_filled_values_have_no_holes_and_no_other_differences(value: object) -> None:
    """Filling every hole with 0 gives what writing 0 gives."""

    def plain(item: object) -> object:
        if isinstance(item, list):
            return [plain(each) for each in item]
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        return 0 if isinstance(item, OutputRef) else item

    assert map_holes(frozen(value), lambda _: 0) == frozen(plain(value))


# ---- names ----


def test_addresses_are_read_and_written() -> None:
    """`KIND.NAME`; the name may have dots."""
    assert Address.parse("training.digits") == Address("training", "digits")
    assert str(Address.parse("dataset.a.b")) == "dataset.a.b"
    assert Address("a", "b") < Address("a", "c") < Address("b", "a")
    for bad in ("", "training", ".digits", "training."):
        with pytest.raises(ValueError, match="an address looks like"):
            Address.parse(bad)


def test_references_may_carry_a_version() -> None:
    """`NAME@VERSION`; an empty version is not none."""
    assert Reference.parse("digits") == Reference("digits", None)
    assert Reference.parse("digits@V001") == Reference("digits", "V001")
    assert Reference.parse("digits@") == Reference("digits", "")


def test_names_of_versions_spans_and_places() -> None:
    """What people read."""
    assert SERIES.version(7) == "V007"
    assert SERIES.version(1234) == "V1234"
    assert VersionSeries("p", "model", "m", "0.0.{}").version(2) == "0.0.2"
    assert str(Span("a.yaml", 3, 7, 3, 9)) == "a.yaml:3:7"
    assert str(STORE) == "folder:artifacts"
    assert unique("abca") == ("a", "b", "c")


def test_values_cannot_be_changed() -> None:
    """All nouns are frozen."""
    with pytest.raises(FrozenInstanceError):
        STORE.id = "x"  # type: ignore[misc]


# ---- who answers, who performs ----


@pytest.mark.parametrize(
    "query",
    [
        ScanTree(STORE, "data"),
        FindIdentity(STORE, "i"),
        FindVersion(STORE, SERIES, "V001"),
        LookAtArtifact(STORE, "i", 1),
        LookAtJob(STORE, "key"),
        LookAtPlace(STORE),
    ],
)
def test_each_query_has_a_place(query) -> None:
    """That answers it."""
    assert place_of(query) == STORE


@pytest.mark.parametrize(
    "step",
    [
        EnsurePlace(STORE, None),
        EnsureToolchain(STORE, "scikit-learn", EMPTY),
        Copy(Tree(PROJECT, "code"), STORE, "code"),
        RunJob("train", STORE, Run(())),
        Publish(STORE, EMPTY, "x"),
        Release(STORE, "i", 1),
        Unpublish(STORE, "i", 1),
    ],
)
def test_each_step_has_a_place(step) -> None:
    """Whose executor performs it."""
    assert place_of_step(step) == STORE


def test_a_place_that_cannot_be_asked_says_why() -> None:
    """UNREACHABLE, with words for people."""
    seen = unreachable("connection refused")
    assert (seen.presence, seen.problem, seen.digest) == (Presence.UNREACHABLE, "connection refused", None)


# ---- the record ----


def version(name: str, status: Status = Status.READY) -> Version:
    """Return a version."""
    return Version(name, name * 2, 1, "o", EMPTY, "{}", status)


def test_a_resource_knows_its_versions() -> None:
    """The current one is found by name."""
    record = Resource(B, "artifact", "{}", current="V2", versions=(version("V1"), version("V2")))
    assert record.current_version == version("V2")
    assert record.version("V1") == version("V1")
    assert record.version("V3") is None
    assert Resource(B, "artifact", "{}").current_version is None


def test_a_record_that_holds_only_an_intent_has_made_nothing() -> None:
    """Outputs, an identity or versions say that something came of it."""
    intent = Intent("op", "output", "i", 1, "{}", (), 0.0)
    assert not Resource(B, "artifact", "{}", intent=intent).made
    assert Resource(B, "definition", "{}", outputs=Frozen(a=1)).made
    assert Resource(B, "place", "{}", identity="i").made
    assert Resource(B, "artifact", "{}", versions=(version("V1"),)).made


def test_a_word_of_a_run_may_be_a_mapping_that_is_known_later() -> None:
    """A hole in a command line stays one; the mapping that fills it is given as canonical JSON."""
    run = Run(("go", OutputRef(A, "figures")))
    assert run.argv[1] == OutputRef(A, "figures")
    assert map_holes(run, lambda _: Frozen(b=1, a=0.5)).argv == ("go", '{"a":0.5,"b":1}')
