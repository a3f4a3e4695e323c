"""Runs that an interrupted apply left behind."""

from __future__ import annotations

import pytest
from paper import NOW, Paper, change_of

from specforge.core.address import Address
from specforge.core.state import Intent, Resource
from specforge.core.values import Frozen, Place
from specforge.planner.plan import Plan, RunInFlight

POOL = Place("local", ".specforge/pools/here")
TRAINING = Address("training", "digits")


def interrupt(paper: Paper, identity: str | None, state: str | None, part: str = "output") -> None:
    """Leave an intent for what the plan would make of the training, and perhaps its job."""
    record = paper.state.resources.get(TRAINING) or Resource(TRAINING, "artifact", "{}")
    from dataclasses import replace

    intent = Intent("op", part, identity or "", 1, "{}", ((POOL, "key-1"),), NOW - 12, "train")
    paper.put(replace(record, intent=intent))
    if state is not None:
        paper.world.jobs["key-1"] = Frozen(state=state, started=NOW - 12)


def run_of(plan: Plan) -> RunInFlight:
    """Return the one run of the plan."""
    (run,) = plan.runs
    return run


@pytest.fixture
def edited(applied: Paper) -> Paper:
    """A training whose parameter was edited."""
    applied.edit("training.digits", "parameters.C", 5)
    return applied


def identity_of_next(paper: Paper) -> str | None:
    """Return the identity that the training would be made under."""
    return change_of(paper.plan(), "training.digits").parts[0].identity


def test_a_run_of_what_is_still_wished_is_attached_to(edited: Paper) -> None:
    """Its identity is what the plan would make: wanted."""
    interrupt(edited, identity_of_next(edited), "running")
    run = run_of(edited.plan())
    assert (run.address, run.part_name, run.state, run.wanted) == (TRAINING, "output", "running", True)
    assert (run.started, run.work) == (NOW - 12, "train")


def test_a_run_of_something_else_is_no_longer_wanted(edited: Paper) -> None:
    """The spec was edited while the job ran: the plan is not empty, the run is to be cancelled."""
    interrupt(edited, identity_of_next(edited), "running")
    edited.edit("training.digits", "parameters.C", 10)
    plan = edited.plan()
    assert plan.pending == ()
    assert not run_of(plan).wanted
    assert not plan.empty
    edited.apply()
    assert edited.record("training.digits").intent is None
    assert edited.plan().empty


def test_what_was_never_started_is_left_over_once_nobody_wants_it(edited: Paper) -> None:
    """The plan is empty and shows nothing; it tells the apply what to clear."""
    interrupt(edited, identity_of_next(edited), None)
    assert edited.plan().leftovers == ()
    edited.edit("training.digits", "parameters.C", 10)
    plan = edited.plan()
    assert (plan.empty, plan.runs, plan.leftovers) == (True, (), (TRAINING,))
    edited.world.jobs["key-1"] = Frozen(state="running", started=NOW - 12)
    assert edited.plan().leftovers == ()


def test_a_run_that_ended_is_finished(edited: Paper) -> None:
    """Ended and not yet recorded: its outcome is taken."""
    interrupt(edited, identity_of_next(edited), "ended")
    run = run_of(edited.plan())
    assert (run.state, run.wanted) == ("ended", True)


def test_a_run_at_a_place_out_of_reach_is_unknown(edited: Paper) -> None:
    """Whether it runs cannot be said."""
    interrupt(edited, identity_of_next(edited), "running")
    edited.world.unreachable.add(str(POOL))
    assert run_of(edited.plan()).state == "unknown"


def test_an_intent_without_a_job_is_no_run(edited: Paper) -> None:
    """The apply was killed before anything started."""
    interrupt(edited, identity_of_next(edited), None)
    assert edited.plan().runs == ()


def test_a_first_training_whose_inputs_are_made_anew_does_not_go_on(paper: Paper) -> None:
    """Nothing is recorded of its inputs, so what the run was about is not what would be made."""
    interrupt(paper, "a" * 64, "running")
    plan = paper.plan()
    assert change_of(plan, "training.digits").parts[0].identity is None
    assert not run_of(plan).wanted


def test_the_part_that_began_a_run_decides(edited: Paper) -> None:
    """An evaluation does not go on as a training of the same identity."""
    interrupt(edited, identity_of_next(edited), "running", "evidence")
    assert not run_of(edited.plan()).wanted


def test_a_run_is_not_ended_while_nothing_is_decided(edited: Paper) -> None:
    """Its store or its pool is out of reach: the plan is empty and leaves it alone."""
    interrupt(edited, identity_of_next(edited), "running")
    for place in ("folder:.specforge/artifacts", str(POOL)):
        edited.world.unreachable = {place}
        plan = edited.plan()
        assert run_of(plan).wanted
        assert plan.empty


def test_a_targeted_plan_leaves_other_runs_alone(edited: Paper) -> None:
    """What the plan is not about is neither attached to nor cancelled."""
    interrupt(edited, "b" * 64, "running")
    assert edited.plan(targets=("dataset.digits",)).runs == ()
    assert edited.plan(destroy=True, targets=("dataset.digits",)).runs == ()
    assert not run_of(edited.plan(destroy=True)).wanted


def test_a_run_whose_inputs_may_change_is_judged_by_the_record(edited: Paper) -> None:
    """With the dataset pending, the run counts as wanted if it is what the recorded inputs give."""
    identity = identity_of_next(edited)
    edited.world.files["data/1/b.png"] = "another one"
    interrupt(edited, identity, "running")
    assert run_of(edited.plan()).wanted
    interrupt(edited, "b" * 64, "running")
    assert not run_of(edited.plan()).wanted


def test_an_interrupted_evaluation_is_attached_to(applied: Paper) -> None:
    """The evidence part has an identity of its own."""
    applied.edit("training.digits", "evaluate.samples", 1)
    identity = change_of(applied.plan(), "training.digits").parts[1].identity
    interrupt(applied, identity, "running", "evidence")
    run = run_of(applied.plan())
    assert (run.part_name, run.wanted) == ("evidence", True)


def test_a_run_of_something_no_longer_declared_is_not_wanted(edited: Paper) -> None:
    """The document is gone, so is the wish."""
    interrupt(edited, identity_of_next(edited), "running")
    edited.remove("training.digits")
    assert not run_of(edited.plan()).wanted


def test_runs_are_listed_by_address(applied: Paper) -> None:
    """In whatever order the state comes."""
    for name in ("b", "a"):
        address = Address("training", name)
        intent = Intent("op", "output", "i", 1, "{}", ((POOL, f"key-{name}"),), NOW)
        applied.put(Resource(address, "artifact", "{}", intent=intent))
        applied.world.jobs[f"key-{name}"] = Frozen(state="running")
    assert [run.address.name for run in applied.plan().runs] == ["a", "b"]
