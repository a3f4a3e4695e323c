"""Pinned references, named versions, and making a version again on request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from paper import KINDS, Paper, actions, change_of, verbs, words

from specforge.core.address import Address
from specforge.core.diagnostics import Severity
from specforge.core.errors import PlanError
from specforge.core.queries import FindVersion
from specforge.core.values import Place
from specforge.planner.plan import Action
from specforge.schemas.kind import Kinds

DATASET = Address("dataset", "digits")


def refused(paper: Paper, **options: Any) -> list[tuple[str, str, str]]:
    """Return (code, address, detail) of each error that the plan stops with."""
    with pytest.raises(PlanError) as caught:
        paper.plan(**options)
    return [(each.code, str(each.address), each.detail) for each in caught.value.diagnostics]


@pytest.fixture
def pinned(applied: Paper) -> Paper:
    """Two versions of the dataset; a training that stays at the first."""
    applied.world.files["data/1/b.png"] = "another one"
    applied.apply()
    applied.add(kind="TrainingJob", name="old", algorithm="svc", inputs={"data": "digits@V001"})
    return applied


def test_a_pinned_version_is_taken_from_the_record(pinned: Paper) -> None:
    """No question is asked for it, and the identity is that of the old data."""
    change = change_of(pinned.plan(), "training.old")
    assert change.action is Action.CREATE
    assert not any(isinstance(query, FindVersion) for batch in pinned.asked for query in batch)
    digest = pinned.record("dataset.digits").version("V001").output
    assert change.parts[0].part.recipe["inputs"]["data"] == digest


def test_a_pinned_input_is_recorded_with_its_version_and_orders_nothing(pinned: Paper) -> None:
    """The dataset may change without the pinned training waiting for it or being touched."""
    pinned.apply()
    record = pinned.record("training.old")
    assert record.current_version.inputs["dataset.digits@V001"] == "V001"
    assert "dataset.digits" not in record.current_version.inputs
    assert DATASET not in record.waits_for
    pinned.world.files["data/1/c.png"] = "one more"
    plan = pinned.plan()
    assert actions(plan) == {"dataset.digits": "new version", "training.digits": "new version"}
    assert change_of(plan, "training.old").action is Action.NOOP


def test_a_pinned_version_unknown_to_the_record_is_found_in_the_store(pinned: Paper) -> None:
    """Another clone with empty state finds `digits@V001` by its name."""
    clone = Paper(pinned.documents)
    clone.world = pinned.world
    change = change_of(clone.plan(), "training.old")
    (find,) = {query for batch in clone.asked for query in batch if isinstance(query, FindVersion)}
    assert (find.version, find.series.kind, find.series.name) == ("V001", "dataset", "digits")
    assert change.parts[0].part.recipe["inputs"]["data"] == pinned.record("dataset.digits").version("V001").output
    clone.apply()
    assert clone.plan().empty


def test_a_pinned_version_that_was_never_published_is_an_error(applied: Paper) -> None:
    """The error names the field and the versions there are."""
    applied.edit("training.digits", "inputs.data", "digits@V009")
    with pytest.raises(PlanError) as caught:
        applied.plan()
    (found,) = caught.value.diagnostics
    assert (found.code, found.path, str(found.address)) == ("SF201", ("inputs", "data", "dataset"), "training.digits")
    assert found.detail == "dataset.digits@V009 was never published (published: V001)"
    assert found.hint is not None


def test_nothing_is_known_of_the_versions_of_what_was_never_applied(paper: Paper) -> None:
    """Without a record the error says that no version is known."""
    paper.edit("training.digits", "inputs.data", "digits@V001")
    ((code, address, detail),) = refused(paper)
    assert (code, address) == ("SF201", "training.digits")
    assert detail.endswith("(published: nothing yet)")


def test_pinned_to_something_no_longer_declared_is_a_warning(pinned: Paper) -> None:
    """The dataset is forgotten, its version is kept in the store, and the training goes on."""
    pinned.remove("training.digits", "dataset.digits")
    pinned.state = replace(
        pinned.state,
        resources={a: r for a, r in pinned.state.resources.items() if str(a) != "training.digits"},
    )
    plan = pinned.apply()
    (warning,) = plan.diagnostics
    assert (warning.code, warning.severity, warning.path) == ("SF202", Severity.WARNING, ("inputs", "data", "dataset"))
    assert actions(plan) == {"dataset.digits": "forget", "training.old": "create"}
    again = pinned.plan()
    assert again.empty
    assert [each.code for each in again.diagnostics] == ["SF202"]
    assert any(isinstance(query, FindVersion) for query in pinned.asked[0])  # not in the record any more


def test_a_pin_is_not_looked_for_in_a_store_that_cannot_be_reached(pinned: Paper) -> None:
    """Nothing is decided about the training; the rest of the plan stands."""
    clone = Paper(pinned.documents)
    clone.world = pinned.world
    clone.world.unreachable.add("folder:.specforge/artifacts")
    plan = clone.plan()
    change = change_of(plan, "training.old")
    assert change.action is Action.NOOP
    assert "cannot be reached" in change.note
    assert Address("training", "old") in plan.unreachable[0].addresses


def test_what_waits_for_two_pins_is_listed_once(pinned: Paper) -> None:
    """Two references into the same unreachable store."""
    clone = Paper(pinned.documents)
    clone.world = pinned.world
    clone.edit("training.old", "evaluate", {"data": "digits@V002"})
    clone.world.unreachable.add("folder:.specforge/artifacts")
    (unreachable,) = clone.plan().unreachable
    assert list(map(str, unreachable.addresses)).count("training.old") == 1


def test_a_pin_without_any_store_to_look_in_is_undecided(paper: Paper) -> None:
    """A kind that names no versions has none to look up."""
    paper.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits@V0001")
    training = replace(KINDS.by_prefix["training"], version_pattern=None)
    paper.kinds = Kinds(
        {**KINDS.by_prefix, "training": training}, {**KINDS.by_document, "TrainingJob": training}, KINDS.places
    )
    change = change_of(paper.plan(), "training.next")
    assert change.action is Action.NOOP
    assert change.note == "waits: there is no store to look for training.digits@V0001 in"


def test_a_training_may_go_on_from_its_own_earlier_version(applied: Paper) -> None:
    """A pinned reference to itself is no cycle and waits for nothing."""
    applied.edit("training.digits", "from_model", "digits@V0001")
    change = change_of(applied.plan(), "training.digits")
    assert change.action is Action.NEW_VERSION
    assert change.address not in change.waits_for
    applied.apply()
    assert applied.record("training.digits").current == "V0002"
    assert applied.plan().empty


# ---- version: NAME ----


def test_a_named_version_is_published_under_its_name(paper: Paper) -> None:
    """`version:` takes the place of the series' next name."""
    paper.edit("dataset.digits", "version", "first")
    assert change_of(paper.plan(), "dataset.digits").version == "first"
    paper.apply()
    assert paper.record("dataset.digits").current == "first"
    assert paper.plan().empty


def test_naming_what_is_published_takes_the_name_without_work(applied: Paper) -> None:
    """The same content gets the name as a second one, and nothing is made."""
    applied.edit("dataset.digits", "version", "first")
    change = change_of(applied.plan(), "dataset.digits")
    assert (change.action, change.version, verbs(change)) == (Action.REUSE, "first", {"output": "find"})
    made = len(applied.world.trained)
    applied.apply()
    assert applied.record("dataset.digits").current == "first"
    assert len(applied.world.trained) == made
    assert applied.plan().empty


def test_a_named_version_with_other_content_is_refused(paper: Paper) -> None:
    """A published version never changes, so the plan is an error."""
    paper.edit("dataset.digits", "version", "first")
    paper.apply()
    paper.world.files["data/1/b.png"] = "another one"
    assert refused(paper) == [
        (
            "SF203",
            "dataset.digits",
            "`version: first` is published with other content, and a published version never changes",
        )
    ]
    paper.edit("dataset.digits", "version", "second")
    assert change_of(paper.plan(), "dataset.digits").version == "second"


def test_a_prediction_skips_names_that_are_taken(applied: Paper) -> None:
    """With holes left the store is not asked; the record's names are not predicted again."""
    record = applied.record("training.digits")
    odd = replace(record.current_version, version="V0003", identity="other")
    also = replace(record.current_version, version="V0004", identity="another")
    applied.put(replace(record, versions=(*record.versions, odd, also)))
    applied.world.files["data/1/b.png"] = "another one"
    assert change_of(applied.plan(), "training.digits").version == "V0005"


def test_a_named_version_is_what_is_predicted_while_inputs_are_open(applied: Paper) -> None:
    """Its content is not known yet, its name is."""
    applied.edit("training.digits", "version", "mine")
    applied.apply()
    applied.world.files["data/1/b.png"] = "another one"
    assert change_of(applied.plan(), "training.digits").version == "mine"


# ---- --replace ----


def test_replace_makes_an_output_again(applied: Paper) -> None:
    """The version is made again in spite of its identity; what follows depends on the bytes."""
    plan = applied.plan(replace=("dataset.digits",))
    change = change_of(plan, "dataset.digits")
    assert words(change) == ["asked for by --replace"]
    assert (change.parts[0].verb.value, change.parts[0].replaces) == ("make", 1)
    assert change_of(plan, "training.digits").if_changed == (DATASET,)


def test_replacing_with_the_same_bytes_changes_nothing(applied: Paper) -> None:
    """The build is found whole again: the version stays and nothing below moves."""
    applied.apply(replace=("dataset.digits",))
    assert applied.record("dataset.digits").current == "V001"
    assert applied.record("training.digits").current == "V0001"
    assert applied.plan().empty


def test_replacing_with_other_bytes_is_a_new_version(applied: Paper) -> None:
    """The first output is marked lost and everything below follows."""
    applied.world.bytes_of = lambda prefix, recipe: [prefix, recipe, "another machine"]
    applied.apply(replace=("dataset.digits",))
    record = applied.record("dataset.digits")
    assert record.current == "V002"
    assert [each.status.value for each in record.versions] == ["lost", "ready"]
    assert applied.record("training.digits").current == "V0002"
    assert applied.plan().empty


def test_only_artifacts_can_be_replaced(applied: Paper) -> None:
    """An algorithm or a store has no output to make again; what is recorded only has neither."""
    assert refused(applied, replace=("algorithm.svc",))[0][0] == "SF205"
    assert refused(applied, replace=("store.artifacts",))[0][0] == "SF205"
    applied.remove("training.digits")
    assert refused(applied, replace=("training.digits",))[0][0] == "SF205"


def test_a_moved_store_is_filled_anew_or_reused(applied: Paper) -> None:
    """What is declared in another store is published there; the old one is not touched."""
    applied.add(kind="Store", name="elsewhere", folder="elsewhere")
    for address in ("dataset.digits", "training.digits"):
        applied.edit(address, "store", "elsewhere")
    plan = applied.plan()
    dataset = change_of(plan, "dataset.digits")
    assert dataset.version == "V001"
    assert "moved from folder:.specforge/artifacts to folder:elsewhere" in words(dataset)
    applied.apply()
    assert applied.record("dataset.digits").place == Place("folder", "elsewhere")
    assert len(applied.record("dataset.digits").versions) == 1
    assert applied.plan().empty
    for address in ("dataset.digits", "training.digits"):
        applied.edit(address, "store", "artifacts")
    back = applied.plan()
    assert change_of(back, "dataset.digits").action is Action.REUSE
    assert change_of(back, "training.digits").action is Action.REUSE
