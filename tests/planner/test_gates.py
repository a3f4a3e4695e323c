"""Gates: a refusal stops promotion and never demotes."""

from __future__ import annotations

from dataclasses import replace

from paper import Paper, actions, change_of, verbs, words

from specforge.core.address import Address
from specforge.core.state import Newcomers, Status
from specforge.core.values import Frozen, Place
from specforge.planner.plan import Action

REFUSED = "accuracy 0.97, wanted at least 0.99"


def test_a_raised_gate_is_said_once_and_then_noted(applied: Paper) -> None:
    """No retraining: one update with the figures, then a no-op that still says it."""
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.99)
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.version, change.work) == (Action.UPDATE, "V0001", ())
    assert verbs(change) == {"output": "keep", "evidence": "keep"}
    assert [str(each) for each in change.refusals] == [REFUSED]
    assert change.below_accept == (REFUSED,)
    applied.apply()
    assert applied.record("training.digits").below_accept == (REFUSED,)
    plan = applied.plan()
    assert plan.empty
    again = change_of(plan, "training.digits")
    assert (again.action, again.note) == (Action.NOOP, f"below accept: {REFUSED}")


def test_a_refusal_in_the_store_that_it_was_moved_to(applied: Paper) -> None:
    """It is known from the record: not looked for, not made again, and what is current stays so in the other store."""
    applied.add(kind="Store", name="elsewhere", folder="elsewhere")
    applied.apply()
    applied.edit("training.digits", "store", "elsewhere")
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.99)
    assert verbs(change_of(applied.plan(), "training.digits")) == {"output": "make", "evidence": "make"}
    record = applied.record("training.digits")
    refused = replace(record.current_version, status=Status.REFUSED)
    applied.put(replace(record, newcomers=Newcomers(Place("folder", "elsewhere"), (refused,))))
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, verbs(change)) == (Action.UPDATE, {"output": "find", "evidence": "keep"})
    applied.put(replace(applied.record("training.digits"), spec=change.spec))
    plan = applied.plan()
    assert plan.empty
    note = f"V0001 is refused: {REFUSED}; V0001 in {record.place} stays current"
    assert change_of(plan, "training.digits").note == note
    applied.edit("training.digits", "parameters.C", 5)
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.version, verbs(change)["output"]) == (Action.NEW_VERSION, "V0001", "make")


def test_what_lies_in_two_stores_is_let_go_of_in_both(applied: Paper) -> None:
    """Destroy releases the version that is current and the one that was refused elsewhere; each store must answer."""
    record, elsewhere = applied.record("training.digits"), Place("folder", "elsewhere")
    refused = replace(record.current_version, status=Status.REFUSED, evidence=None)
    applied.put(replace(record, newcomers=Newcomers(elsewhere, (refused,))))
    steps = change_of(applied.plan(destroy=True), "training.digits").steps
    assert [str(each.store) for each in steps] == [str(record.place)] * 2 + [str(elsewhere)]
    applied.world.unreachable.add(str(elsewhere))
    change = change_of(applied.plan(destroy=True), "training.digits")
    assert (change.action, change.note) == (Action.NOOP, "its place cannot be reached; nothing is decided")


def test_a_lowered_gate_clears_the_mark(applied: Paper) -> None:
    """The current version meets it again: recorded, nothing else."""
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.99)
    applied.apply()
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.9)
    assert actions(applied.apply()) == {"training.digits": "update"}
    assert applied.record("training.digits").below_accept == ()
    assert applied.plan().empty


def test_a_gate_that_does_not_change_what_is_accepted_is_only_recorded(applied: Paper) -> None:
    """A field changed, no verdict did."""
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.96)
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.refusals) == (Action.UPDATE, ())
    assert words(change) == ["evaluate.accept.accuracy.min: 0.95 → 0.96"]


def refuse_next(paper: Paper) -> None:
    """Train a second version that the gate refuses."""
    paper.world.figures = lambda recipe: Frozen(accuracy=0.5, samples=2)
    paper.edit("training.digits", "parameters.C", 5)
    paper.apply()


def test_a_refused_version_is_kept_and_not_made_again(applied: Paper) -> None:
    """The older version stays current; later plans say why, and do nothing."""
    refuse_next(applied)
    record = applied.record("training.digits")
    assert (record.current, record.version("V0002").status) == ("V0001", Status.REFUSED)
    plan = applied.plan()
    assert plan.empty
    change = change_of(plan, "training.digits")
    assert change.note == "V0002 is refused: accuracy 0.5, wanted at least 0.95; V0001 stays current"


def test_a_refused_version_can_be_made_again_on_request(applied: Paper) -> None:
    """Another machine may do better."""
    refuse_next(applied)
    change = change_of(applied.plan(replace=("training.digits",)), "training.digits")
    assert (change.action, verbs(change)) == (Action.NEW_VERSION, {"output": "make", "evidence": "make"})
    assert change.parts[0].replaces == 1


def test_what_follows_a_refused_version_goes_on_with_the_current_one(applied: Paper) -> None:
    """Dependants read the version that stays."""
    refuse_next(applied)
    applied.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits")
    change = change_of(applied.plan(), "training.next")
    first = applied.record("training.digits").version("V0001").output
    assert change.parts[0].part.recipe["from_model"] == first


def test_a_description_of_a_refused_training_is_still_recorded(applied: Paper) -> None:
    """The no-op of a refused version does not hide an edit."""
    refuse_next(applied)
    applied.edit("training.digits", "description", "tried")
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, words(change)) == (Action.UPDATE, ["description:  → tried"])


def test_a_relaxed_gate_promotes_the_refused_version(applied: Paper) -> None:
    """It is published and measured already: current without work."""
    refuse_next(applied)
    applied.edit("training.digits", "evaluate.accept.accuracy.min", 0.4)
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.version, change.work) == (Action.REUSE, "V0002", ())
    assert verbs(change) == {"output": "find", "evidence": "keep"}
    applied.apply()
    record = applied.record("training.digits")
    assert (record.current, record.version("V0002").status) == ("V0002", Status.READY)
    assert applied.plan().empty


def test_a_refused_first_version_leaves_dependants_waiting(paper: Paper) -> None:
    """Nothing is current, so what follows has nothing to go on with; it is said and not an error."""
    paper.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits")
    paper.add(kind="TrainingJob", name="last", algorithm="svc", inputs={"data": "digits"}, from_model="next")
    paper.world.figures = lambda recipe: Frozen(accuracy=0.5, samples=2)
    paper.apply()
    assert {str(each) for each, word in paper.outcomes.items() if word == "skipped"} == {
        "training.next",
        "training.last",
    }
    plan = paper.plan()
    assert plan.empty
    assert change_of(plan, "training.digits").note == "V0001 is refused: accuracy 0.5, wanted at least 0.95"
    for name in ("next", "last"):
        change = change_of(plan, f"training.{name}")
        assert (change.action, change.before) == (Action.NOOP, None)
        assert change.note == "waits: training.digits has no version that its gate accepts"


def test_what_was_made_before_goes_on_reading_its_own_record(paper: Paper) -> None:
    """A dependant with a version of its own is kept while its input has none."""
    paper.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits")
    paper.apply()
    record = paper.record("training.digits")
    paper.put(replace(record, current=None, versions=(replace(record.versions[0], status=Status.REFUSED),)))
    paper.edit("training.digits", "evaluate.accept.accuracy.min", 0.99)
    plan = paper.plan()
    change = change_of(plan, "training.next")
    assert (change.action, change.version) == (Action.NOOP, "V0001")
    assert change.note.startswith("waits: ")


def test_reusing_a_version_that_the_gate_refuses_says_so(applied: Paper) -> None:
    """Found in the store with figures that this environment does not accept: recorded, not current."""
    clone = Paper()
    clone.world = applied.world
    clone.edit("training.digits", "evaluate.accept.accuracy.min", 0.99)
    clone.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits")
    plan = clone.plan()
    change = change_of(plan, "training.digits")
    assert change.action is Action.REUSE
    assert [str(each) for each in change.refusals] == [REFUSED]
    assert change_of(plan, "training.next").note == "waits: training.digits has no version that its gate accepts"
    clone.apply()
    assert clone.record("training.digits").current is None
    assert clone.plan().empty


def test_going_back_to_a_refused_version_keeps_the_current_one(applied: Paper) -> None:
    """What others read is the version that stays current."""
    refuse_next(applied)
    applied.world.figures = lambda recipe: Frozen(accuracy=0.97, samples=2)
    applied.edit("training.digits", "parameters.C", 7)
    applied.apply()
    assert applied.record("training.digits").current == "V0003"
    applied.edit("training.digits", "parameters.C", 5)
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.version) == (Action.UPDATE, "V0002")
    assert [str(each) for each in change.refusals] == ["accuracy 0.5, wanted at least 0.95"]
    assert verbs(change) == {"output": "find", "evidence": "keep"}
    applied.apply()
    assert applied.record("training.digits").current == "V0003"
    plan = applied.plan()
    assert plan.empty
    change = change_of(plan, "training.digits")
    assert change.note == "V0002 is refused: accuracy 0.5, wanted at least 0.95; V0003 stays current"


def test_an_evaluation_taken_away_leaves_the_version_current(applied: Paper) -> None:
    """Without `evaluate` there is no evidence and no gate; nothing is made."""
    del applied.document("training.digits")["evaluate"]
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, verbs(change)) == (Action.UPDATE, {"output": "keep"})
    applied.apply()
    assert applied.plan().empty


def test_an_evaluation_added_is_made_of_the_version_that_is_current(paper: Paper) -> None:
    """Only the evaluation runs; the version stays."""
    wanted = paper.document("training.digits").pop("evaluate")
    paper.apply()
    paper.edit("training.digits", "evaluate", wanted)
    change = change_of(paper.plan(), "training.digits")
    assert (change.action, change.version, change.work) == (Action.UPDATE, "V0001", ("evaluate",))
    assert verbs(change) == {"output": "keep", "evidence": "make"}
    paper.apply()
    assert paper.record("training.digits").current_version.evidence is not None
    assert paper.plan().empty


def test_an_evaluation_known_to_the_store_is_taken_from_it(applied: Paper) -> None:
    """Another environment measured the same model on the same data: found, not made."""
    clone = Paper()
    clone.world = applied.world
    wanted = clone.document("training.digits").pop("evaluate")
    clone.apply()
    clone.edit("training.digits", "evaluate", wanted)
    change = change_of(clone.plan(), "training.digits")
    assert (change.action, verbs(change)) == (Action.UPDATE, {"output": "keep", "evidence": "find"})
    clone.apply()
    assert clone.plan().empty


def test_an_evaluation_on_pending_data_is_redone_if_they_change(applied: Paper) -> None:
    """The training stays at its data; only what it is measured on may change."""
    applied.add(kind="Dataset", name="held", task="image_classification", source="held")
    applied.world.files["held/0/a.png"] = "held out"
    applied.edit("training.digits", "evaluate.data", "held")
    applied.edit("training.digits", "evaluate.usages", ["TRAIN"])
    applied.apply()
    applied.world.files["held/0/b.png"] = "one more"
    plan = applied.plan()
    change = change_of(plan, "training.digits")
    assert change.if_changed == (Address("dataset", "held"),)
    assert verbs(change) == {"output": "keep", "evidence": "maybe"}
    assert (change.action, change.work, change.estimate) == (Action.UPDATE, ("evaluate",), None)
    applied.edit("training.digits", "evaluate.samples", 1)
    definite = change_of(applied.plan(), "training.digits")
    assert definite.if_changed == ()
    assert verbs(definite) == {"output": "keep", "evidence": "make"}
    applied.apply()
    assert applied.plan().empty
