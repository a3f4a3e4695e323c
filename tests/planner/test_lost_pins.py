"""Pinned versions whose data are gone."""

from __future__ import annotations

import pytest
from paper import Paper, actions, change_of

from specforge.core.errors import PlanError
from specforge.planner.plan import Action


@pytest.fixture
def pinned(applied: Paper) -> Paper:
    """The training is pinned to the first version of its data; by now there is a second one."""
    applied.edit("training.digits", "inputs.data", "digits@V001")
    applied.edit("training.digits", "evaluate.data", "digits@V001")
    applied.world.files["data/1/b.png"] = "one more"
    applied.apply()
    assert applied.record("dataset.digits").current == "V002"
    return applied


def lose(paper: Paper, address: str, version: str) -> None:
    """Let the data of a version vanish."""
    record = paper.record(address)
    lost = record.version(version)
    assert lost is not None
    paper.world.store(record.place).damaged.add((lost.identity, lost.build))


def test_a_lost_version_whose_source_moved_on_names_who_pins_it(pinned: Paper) -> None:
    """It cannot be made again: the plan is refused, at the field that pins it."""
    lose(pinned, "dataset.digits", "V001")
    with pytest.raises(PlanError) as refused:
        pinned.plan()
    found = refused.value.diagnostics[0]
    assert (found.code, str(found.address), found.path) == ("SF207", "training.digits", ("inputs", "data", "dataset"))
    assert "dataset.digits@V001 are gone" in found.detail
    assert "declared otherwise by now" in str(found.hint)


def test_of_what_is_no_longer_declared_nobody_makes_it_again(pinned: Paper) -> None:
    """The hint says so."""
    lose(pinned, "dataset.digits", "V001")
    pinned.documents = [each for each in pinned.documents if each["kind"] != "Dataset"]
    with pytest.raises(PlanError, match="no longer declared"):
        pinned.plan()


def test_a_lost_version_that_is_wished_again_is_made_again(pinned: Paper) -> None:
    """The source is back as it was: the version is found lost and made whole, and who pins it goes on."""
    lose(pinned, "dataset.digits", "V001")
    del pinned.world.files["data/1/b.png"]
    plan = pinned.plan()
    assert actions(plan)["dataset.digits"] in ("new version", "reuse")
    assert change_of(plan, "training.digits").action is Action.NOOP
    pinned.apply()
    assert pinned.record("dataset.digits").current == "V001"
    assert pinned.plan().empty


def test_a_pinned_version_in_a_store_that_cannot_be_asked_is_no_error(pinned: Paper) -> None:
    """Unreachable is not lost."""
    pinned.world.unreachable.add("folder:.specforge/artifacts")
    assert pinned.plan().empty


def test_what_pins_may_be_looked_at_before_what_it_pins(pinned: Paper) -> None:
    """A pin orders nothing: whether the version is made again is known when all is settled."""
    first = {**pinned.document("training.digits"), "name": "a", "algorithm": "svc"}
    pinned.add(**first)
    pinned.add(
        kind="Dataset",
        name="z",
        task="image_classification",
        source="data",
        split={"train": 1.0, "eval": 0.0, "seed": 7},
    )
    pinned.apply()
    pinned.edit("training.a", "from_model", None)
    pinned.edit("training.a", "inputs.data", "z@V001")
    lose(pinned, "dataset.z", "V001")
    assert change_of(pinned.plan(), "dataset.z").action is Action.NEW_VERSION
