"""Deleted documents, destroy, targets, and addresses that nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paper import Paper, change_of

from specforge.core.address import Address
from specforge.core.errors import PlanError
from specforge.core.state import Resource
from specforge.core.steps import EnsurePlace, Release, Unpublish
from specforge.planner.plan import Action

STORE = "folder:.specforge/artifacts"


def order(plan) -> list[str]:
    """Return the addresses of what is done, in order."""
    return [str(each.address) for each in plan.pending]


def test_a_deleted_artifact_is_forgotten_and_its_data_are_kept(applied: Paper) -> None:
    """References to every build are released, evidence too; that the data stay is said."""
    applied.edit("training.digits", "parameters.C", 5)
    applied.apply()
    applied.remove("training.digits")
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.spec) == (Action.FORGET, None)
    assert [type(step) for step in change.steps] == [Release] * 4
    assert [each.text for each in change.reasons] == ["no longer declared"]
    assert change.note == f"its data stay in {STORE}: V0001, V0002"
    applied.apply()
    assert Address("training", "digits") not in applied.state.resources
    assert applied.plan().empty


def test_a_deleted_definition_is_dropped_from_the_record(applied: Paper) -> None:
    """Nothing is done for it anywhere."""
    applied.remove("training.digits", "algorithm.svc")
    change = change_of(applied.plan(), "algorithm.svc")
    assert (change.action, change.steps, change.note) == (Action.DELETE, (), "")


def test_a_deleted_place_loses_what_we_made_there(applied: Paper) -> None:
    """It is taken away after everything that lay in it."""
    applied.remove("training.digits", "dataset.digits", "algorithm.svc", "store.artifacts", "pool.here")
    plan = applied.plan()
    change = change_of(plan, "store.artifacts")
    assert (change.action, change.steps) == (Action.DELETE, (EnsurePlace(change.place, None),))
    assert order(plan) == ["training.digits", "dataset.digits", "algorithm.svc", "pool.here", "store.artifacts"]
    applied.apply()
    assert applied.state.resources == {}


def test_destroy_takes_everything_off_the_record_dependants_first(applied: Paper) -> None:
    """The order comes from the record; the data stay in their store."""
    plan = applied.plan(destroy=True)
    assert plan.destroy
    assert order(plan) == ["training.digits", "dataset.digits", "algorithm.svc", "pool.here", "store.artifacts"]
    assert {each.reasons for each in plan.pending} == {()}  # the plan itself says that it destroys
    assert change_of(plan, "dataset.digits").action is Action.FORGET
    applied.apply(destroy=True)
    assert applied.state.resources == {}
    trained = len(applied.world.trained)
    applied.apply()
    assert len(applied.world.trained) == trained
    assert applied.plan().empty


def test_destroy_with_delete_artifacts_unpublishes_what_was_released(applied: Paper) -> None:
    """Each build is released before its data are taken away."""
    plan = applied.plan(destroy=True, delete_artifacts=True)
    change = change_of(plan, "training.digits")
    assert (change.action, change.note) == (Action.DELETE, "")
    assert [type(step) for step in change.steps] == [Release, Unpublish, Release, Unpublish]
    names = [step.name for step in change.steps]
    assert len(set(names)) == len(names)
    applied.apply(destroy=True, delete_artifacts=True)
    applied.apply()
    assert applied.world.trained.count("training:train") == 2


def test_destroy_of_targets_leaves_the_rest(applied: Paper) -> None:
    """Only what is named, declared or not."""
    assert order(applied.plan(destroy=True, targets=("training.digits",))) == ["training.digits"]
    applied.remove("training.digits")
    assert order(applied.plan(destroy=True, targets=("training.digits",))) == ["training.digits"]


def test_destroy_of_nothing_is_empty(paper: Paper) -> None:
    """Nothing recorded, nothing to destroy."""
    assert paper.plan(destroy=True).empty


def test_nothing_is_taken_away_where_it_cannot_be_reached(applied: Paper) -> None:
    """What lies in an unreachable store is undecided; the rest is destroyed."""
    applied.world.unreachable.add(STORE)
    plan = applied.plan(destroy=True)
    assert order(plan) == ["algorithm.svc", "pool.here"]
    change = change_of(plan, "dataset.digits")
    assert (change.action, change.steps, change.reasons) == (Action.NOOP, (), ())
    assert change.note == "its place cannot be reached; nothing is decided"
    assert [str(each) for each in plan.unreachable[0].addresses] == [
        "training.digits",
        "dataset.digits",
        "store.artifacts",
    ]


def test_a_record_with_no_more_than_an_intent_is_forgotten(applied: Paper) -> None:
    """Nothing was made, so nothing is said to stay."""
    address = Address("training", "half")
    applied.put(Resource(address, "artifact", "{}"))
    change = change_of(applied.plan(), "training.half")
    assert (change.action, change.steps, change.note) == (Action.FORGET, (), "")


def test_a_record_of_a_kind_that_is_not_installed_can_be_forgotten(applied: Paper) -> None:
    """A plugin was removed: the record still says enough."""
    address = Address("teapot", "brown")
    applied.put(Resource(address, "definition", "{}"))
    change = change_of(applied.plan(), "teapot.brown")
    assert (change.action, change.document) == (Action.DELETE, "teapot")


def test_long_chains_and_recorded_rings_are_put_in_order(applied: Paper) -> None:
    """A chain of thousands is no recursion; a ring that a record may hold does not hang."""
    chain = [Address("training", f"step{number:04d}") for number in range(3000)]
    for number, address in enumerate(chain):
        waits = (chain[number - 1],) if number else (chain[1],)
        applied.state.resources[address] = Resource(address, "artifact", "{}", waits_for=waits)
    plan = applied.plan(destroy=True)
    positions = {each.address: index for index, each in enumerate(plan.changes)}
    assert all(positions[chain[number]] < positions[chain[number - 1]] for number in range(2, 3000))


# ---- targets ----


def test_targets_take_what_they_need_along(paper: Paper) -> None:
    """The training is not planned when only the dataset is asked for."""
    plan = paper.plan(targets=("dataset.digits",))
    assert order(plan) == ["pool.here", "store.artifacts", "dataset.digits"]


def test_targets_take_nothing_away(applied: Paper) -> None:
    """What is no longer declared is left alone by a targeted plan."""
    applied.remove("training.digits")
    assert applied.plan(targets=("dataset.digits",)).empty


def test_an_unknown_address_is_an_error_with_a_hint(applied: Paper) -> None:
    """A near miss is named, otherwise the commands that list addresses are."""
    with pytest.raises(PlanError) as caught:
        applied.plan(targets=("training.digts",))
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == ("SF204", "did you mean `training.digits`?")
    with pytest.raises(PlanError) as caught:
        applied.plan(replace=("zebra.crossing",))
    (found,) = caught.value.diagnostics
    assert found.hint == "`spec state list` and `spec graph` show the addresses there are"
    with pytest.raises(PlanError):
        applied.plan(destroy=True, targets=("training.none",))


def test_what_is_recorded_only_is_a_known_address(applied: Paper) -> None:
    """A target that is no longer declared is not unknown: it is forgotten, and nothing else is looked at."""
    applied.remove("training.digits", "algorithm.svc")
    (change,) = applied.plan(targets=("training.digits",)).changes
    assert (str(change.address), change.action) == ("training.digits", Action.FORGET)


def test_forgetting_mentions_each_build_once(applied: Paper) -> None:
    """Two names of one build are one reference."""
    record = applied.record("dataset.digits")
    applied.put(replace(record, versions=(*record.versions, replace(record.versions[0], version="first"))))
    applied.remove("training.digits", "dataset.digits")
    assert len(change_of(applied.plan(), "dataset.digits").steps) == 1
