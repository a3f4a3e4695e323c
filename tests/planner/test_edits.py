"""What an edit of the specs, the sources or the tool's own recipes leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paper import KINDS, LOCKS, Paper, actions, change_of, verbs, words

from specforge.core.address import Address
from specforge.core.errors import PlanError
from specforge.core.queries import FindIdentity, LookAtArtifact, LookAtPlace, ScanTree
from specforge.core.state import Resource
from specforge.core.values import Frozen
from specforge.planner.plan import Action
from specforge.schemas.kind import Kinds

TRAINING = Address("training", "digits")


def test_everything_is_created_when_nothing_is_recorded(paper: Paper) -> None:
    """A first plan creates all, predicts the versions, and says what work there is."""
    plan = paper.plan()
    assert actions(plan) == {
        "algorithm.svc": "create",
        "pool.here": "create",
        "store.artifacts": "create",
        "dataset.digits": "create",
        "training.digits": "create",
    }
    dataset, training = change_of(plan, "dataset.digits"), change_of(plan, "training.digits")
    assert (dataset.version, dataset.work, verbs(dataset)) == ("V001", ("publish",), {"output": "make"})
    assert (training.version, training.work) == ("V0001", ("train", "evaluate"))
    assert verbs(training) == {"output": "make", "evidence": "make"}
    assert not training.if_changed
    assert words(training) == []
    assert paper.rounds == 3


def test_a_second_plan_is_empty_in_two_rounds(applied: Paper) -> None:
    """After a perfect apply there is nothing to do, and the planner knows it after asking once."""
    plan = applied.plan()
    assert plan.empty
    assert applied.rounds == 2
    kinds = {type(query) for query in applied.asked[0]}
    assert kinds == {ScanTree, LookAtArtifact, LookAtPlace}
    assert all(each.work == () and each.reasons == () for each in plan.changes)


def test_a_description_is_metadata(applied: Paper) -> None:
    """A description is recorded and nothing else happens."""
    for address in ("dataset.digits", "training.digits", "algorithm.svc", "store.artifacts"):
        applied.edit(address, "description", "scans of digits")
    plan = applied.plan()
    assert set(actions(plan).values()) == {"update"}
    for change in plan.pending:
        assert [(each.path, each.before, each.after, each.rule) for each in change.fields] == [
            ("description", "", "scans of digits", "metadata")
        ]
        assert set(verbs(change).values()) <= {"keep"}
        assert change.work == ()
        assert change.reasons == ()
    applied.apply()
    assert applied.plan().empty


def test_a_parameter_makes_a_new_version_for_certain(applied: Paper) -> None:
    """The dataset is not touched, the training is made anew, with the field as the reason."""
    applied.edit("training.digits", "parameters.C", 5)
    plan = applied.plan()
    assert actions(plan) == {"training.digits": "new version"}
    change = change_of(plan, "training.digits")
    assert words(change) == ["parameters.C: 10 → 5"]
    assert change.fields[0].rule == "new version"
    assert (change.version, change.estimate, change.if_changed) == ("V0002", 4.0, ())
    assert verbs(change) == {"output": "make", "evidence": "make"}
    applied.apply()
    assert applied.record("training.digits").current == "V0002"
    assert applied.plan().empty


def test_the_same_value_in_another_notation_changes_nothing_but_the_record(applied: Paper) -> None:
    """`10.0` where the declared type is float gives the same recipe as `10`."""
    applied.edit("training.digits", "parameters.C", 10.0)
    change = change_of(applied.plan(), "training.digits")
    assert verbs(change) == {"output": "keep", "evidence": "keep"}
    assert change.action is Action.UPDATE
    applied.apply()
    assert applied.plan().empty


def test_a_new_picture_publishes_the_dataset_and_the_training_follows_if_it_changes(applied: Paper) -> None:
    """The dataset's change is definite with the files as reasons; the training depends on what comes out."""
    applied.world.files["data/1/b.png"] = "another one"
    plan = applied.plan()
    dataset, training = change_of(plan, "dataset.digits"), change_of(plan, "training.digits")
    assert words(dataset) == ["source: +1 file"]
    assert dataset.reasons[0].lines == ("+ 1/b.png",)
    assert dataset.version == "V002"
    assert training.if_changed == (Address("dataset", "digits"),)
    assert verbs(training) == {"output": "maybe", "evidence": "maybe"}
    assert training.reasons == ()
    applied.apply()
    assert applied.record("training.digits").current == "V0002"
    assert applied.plan().empty


def test_files_removed_and_changed_are_told_apart(applied: Paper) -> None:
    """The reason counts what came, went and changed, and lists paths."""
    applied.world.files["data/1/b.png"] = "new"
    applied.world.files["data/1/c.png"] = "new"
    applied.world.files["data/0/a.png"] = "overwritten"
    del applied.world.files["data/0/b.png"]
    (reason,) = change_of(applied.plan(), "dataset.digits").reasons
    assert reason.text == "source: +2 files, -1 file, ~1 file"
    assert reason.lines == ("+ 1/b.png", "+ 1/c.png", "- 0/b.png", "~ 0/a.png")


def test_two_edits_at_once_are_one_plan_with_a_definite_training(applied: Paper) -> None:
    """With a parameter edited too, the training is made anew whatever comes out of the dataset."""
    applied.world.files["data/1/b.png"] = "another one"
    applied.edit("training.digits", "parameters.C", 5)
    plan = applied.plan()
    change = change_of(plan, "training.digits")
    assert actions(plan) == {"dataset.digits": "new version", "training.digits": "new version"}
    assert change.if_changed == ()
    assert verbs(change) == {"output": "make", "evidence": "make"}
    assert words(change) == ["parameters.C: 10 → 5", "dataset.digits: V001 → V002"]


def test_an_input_that_may_change_is_named_beside_an_edit(applied: Paper) -> None:
    """The edit is certain; that the input is open too is worth a word."""
    applied.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits@V001"}, from_model="digits")
    applied.apply()
    applied.world.files["data/1/b.png"] = "another one"
    applied.edit("training.next", "parameters.C", 3)
    change = change_of(applied.plan(), "training.next")
    assert change.if_changed == ()
    assert words(change) == ["parameters.C: None → 3", "training.digits: may change"]


def test_going_back_makes_the_older_version_current(applied: Paper) -> None:
    """What was trained before is found in the store: current again, no work."""
    applied.edit("training.digits", "parameters.C", 5)
    applied.apply()
    applied.edit("training.digits", "parameters.C", 10)
    trained = list(applied.world.trained)
    plan = applied.apply()
    change = change_of(plan, "training.digits")
    assert (change.action, change.version, change.work) == (Action.REUSE, "V0001", ())
    assert verbs(change) == {"output": "find", "evidence": "keep"}
    assert applied.record("training.digits").current == "V0001"
    assert applied.world.trained == trained
    assert applied.plan().empty


def test_another_clone_reuses_everything(applied: Paper) -> None:
    """With an empty state on the same store nothing is made, in at most two rounds a level."""
    clone = Paper()
    clone.world = applied.world
    plan = clone.plan()
    assert clone.rounds <= 2 * 3 + 2
    dataset, training = change_of(plan, "dataset.digits"), change_of(plan, "training.digits")
    assert (dataset.action, dataset.version) == (Action.REUSE, "V001")
    assert (training.action, training.version) == (Action.REUSE, "V0001")
    assert verbs(training) == {"output": "find", "evidence": "find"}
    trained = list(applied.world.trained)
    clone.apply()
    assert applied.world.trained == trained
    assert clone.plan().empty
    assert clone.record("training.digits").current_version.evidence is not None


def test_rounds_grow_by_one_a_level_when_a_store_has_it_all(applied: Paper) -> None:
    """A chain of trainings is found in the store one after the other, within the bound."""
    for number in range(5):
        before = f"step{number - 1}" if number else "digits"
        applied.add(
            kind="TrainingJob", name=f"step{number}", algorithm="svc", inputs={"data": "digits"}, from_model=before
        )
    applied.apply()
    clone = Paper(applied.documents)
    clone.world = applied.world
    clone.plan()
    levels = 8  # places and algorithm, dataset, digits, step0 … step4
    assert clone.rounds <= 2 * levels + 2
    assert len(clone.asked[-1]) == 1


def test_an_output_published_elsewhere_without_evidence_is_reused_and_evaluated(applied: Paper) -> None:
    """Only the evaluation is done; what follows cannot know yet whether the gate accepts."""
    evidence = applied.record("training.digits").current_version.evidence
    clone = Paper()
    clone.world = applied.world
    del clone.world.store(clone_place(applied)).builds[evidence.identity]
    clone.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits")
    plan = clone.plan()
    change = change_of(plan, "training.digits")
    assert change.action is Action.REUSE
    assert verbs(change) == {"output": "find", "evidence": "make"}
    assert change.work == ("evaluate",)
    assert verbs(change_of(plan, "training.next")) == {"output": "make"}
    clone.apply()
    assert clone.plan().empty


def clone_place(paper: Paper):
    """Return the store's place."""
    return paper.record("store.artifacts").place


def test_a_default_that_the_job_overrides_touches_the_algorithm_only(applied: Paper) -> None:
    """The effective parameters are the same, so the training is."""
    applied.edit("algorithm.svc", "parameters.C.default", 2.0)
    plan = applied.plan()
    assert actions(plan) == {"algorithm.svc": "update"}
    change = change_of(plan, "algorithm.svc")
    assert [(each.path, each.rule) for each in change.fields] == [("parameters.C.default", "metadata")]
    applied.apply()
    assert applied.plan().empty


def test_a_default_that_the_job_uses_trains_anew(applied: Paper) -> None:
    """The training's own fields are the same, so the reason is the effective parameter that differs."""
    applied.edit("algorithm.svc", "parameters.gamma.default", 0.01)
    change = change_of(applied.plan(), "training.digits")
    assert change.action is Action.NEW_VERSION
    assert words(change) == ["parameters.gamma: 0.001 → 0.01"]


def test_code_makes_the_training_definite_and_what_follows_depends_on_it(applied: Paper) -> None:
    """An edited comment in the boot file: the code changed, so the training runs; the next one if bytes differ."""
    applied.add(kind="TrainingJob", name="next", algorithm="plain", inputs={"data": "digits"}, from_model="digits")
    applied.add(kind="Algorithm", name="plain", framework="scikit-learn", code="other", boot="go.py")
    applied.world.files["other/go.py"] = "go()"
    applied.apply()
    applied.world.files["code/train.py"] += "  # a comment"
    plan = applied.plan()
    assert words(change_of(plan, "algorithm.svc")) == ["code changed"]
    training, following = change_of(plan, "training.digits"), change_of(plan, "training.next")
    assert training.if_changed == ()
    assert words(training) == ["algorithm.svc: code changed"]
    assert following.if_changed == (TRAINING,)
    assert verbs(following) == {"output": "maybe"}
    trained = len(applied.world.trained)
    applied.world.bytes_of = lambda prefix, recipe: [prefix, {k: v for k, v in recipe.items() if k != "runnable"}]
    applied.record("training.digits")
    applied.apply()
    assert len(applied.world.trained) > trained
    assert applied.plan().empty


def test_equal_bytes_cut_off_what_follows(paper: Paper) -> None:
    """Where the bytes come out equal, what follows is not made again."""
    paper.world.bytes_of = lambda prefix, recipe: [prefix, {k: v for k, v in recipe.items() if k != "runnable"}]
    paper.add(kind="TrainingJob", name="next", algorithm="plain", inputs={"data": "digits"}, from_model="digits")
    paper.add(kind="Algorithm", name="plain", framework="scikit-learn", code="other", boot="go.py")
    paper.world.files["other/go.py"] = "go()"
    paper.apply()
    paper.world.files["code/train.py"] += "  # a comment"
    trained = len(paper.world.trained)
    paper.apply()
    assert paper.world.trained[trained:] == ["training:train"]  # equal bytes have the same evidence already
    assert paper.record("training.digits").current == "V0002"
    assert paper.record("training.next").current == "V0001"
    assert paper.plan().empty


def test_a_renamed_source_with_the_same_content_is_metadata(applied: Paper) -> None:
    """Where the pictures lie is not part of what the dataset is."""
    applied.edit("dataset.digits", "source", "pictures")
    for path in [path for path in applied.world.files if path.startswith("data/")]:
        applied.world.files[path.replace("data/", "pictures/")] = applied.world.files.pop(path)
    plan = applied.plan()
    assert actions(plan) == {"dataset.digits": "update"}
    assert verbs(change_of(plan, "dataset.digits")) == {"output": "keep"}


def test_a_field_that_older_releases_did_not_have_is_no_change(applied: Paper) -> None:
    """A recorded spec without a field that has a default today is read as if it had it."""
    for address in ("dataset.digits", "training.digits", "algorithm.svc", "pool.here"):
        record = applied.record(address)
        assert '"description":"",' in record.spec
        applied.put(replace(record, spec=record.spec.replace('"description":"",', "")))
    plan = applied.plan()
    assert plan.empty
    assert all(each.action is Action.NOOP for each in plan.changes)


def test_a_recorded_spec_that_no_longer_fits_shows_every_difference(applied: Paper) -> None:
    """A field that this release does not know any more is shown as taken away."""
    record = applied.record("training.digits")
    applied.put(replace(record, spec=record.spec.replace('"description":"",', '"flavour":"big",')))
    change = change_of(applied.plan(), "training.digits")
    assert change.action is Action.UPDATE
    assert {each.path: (each.before, each.after, each.rule) for each in change.fields} == {
        "flavour": ("big", None, "update"),
        "description": (None, "", "metadata"),
    }


def test_an_upgraded_lock_is_named_as_the_reason(applied: Paper) -> None:
    """No field changed; the algorithm says what did, and the training names the algorithm."""
    applied.locks = {"scikit-learn": Frozen(python="3.12", packages=())}
    plan = applied.plan()
    assert words(change_of(plan, "algorithm.svc")) == ["lock changed"]
    training = change_of(plan, "training.digits")
    assert training.action is Action.NEW_VERSION
    assert words(training) == ["algorithm.svc: lock changed"]
    assert applied.locks != LOCKS


def with_dataset(**changes: object) -> Kinds:
    """Return the kinds with another Dataset."""
    kind = replace(KINDS.by_prefix["dataset"], **changes)
    return Kinds({**KINDS.by_prefix, "dataset": kind}, {**KINDS.by_document, "Dataset": kind}, KINDS.places)


def test_a_bumped_revision_is_named_as_the_reason(applied: Paper) -> None:
    """A release that makes other bytes from the same wish says so."""
    kind = KINDS.by_prefix["dataset"]

    def revised(subject):
        wish = kind.desire(subject)
        return replace(wish, parts=tuple(replace(each, revision=99) for each in wish.parts))

    applied.kinds = with_dataset(desire=revised)
    change = change_of(applied.plan(), "dataset.digits")
    assert change.action is Action.NEW_VERSION
    assert words(change) == ["this release makes it in another way (dataset revision 99)"]


def test_a_recipe_with_a_new_key_names_the_key(applied: Paper) -> None:
    """A release that adds to the recipe says which part of it is new."""
    kind = KINDS.by_prefix["dataset"]

    def wider(subject):
        wish = kind.desire(subject)
        return replace(wish, parts=tuple(replace(p, recipe=p.recipe.with_(colours="grey")) for p in wish.parts))

    applied.kinds = with_dataset(desire=wider)
    assert words(change_of(applied.plan(), "dataset.digits")) == ["colours: (not set) → grey"]


def test_a_revised_evaluation_is_made_anew_and_said(applied: Paper) -> None:
    """Only the evidence differs: an update of the version that is current."""
    kind = KINDS.by_prefix["training"]

    def revised(subject):
        wish = kind.desire(subject)
        return replace(wish, parts=(wish.parts[0], replace(wish.parts[1], revision=99)))

    training = replace(kind, desire=revised)
    applied.kinds = Kinds(
        {**KINDS.by_prefix, "training": training}, {**KINDS.by_document, "TrainingJob": training}, KINDS.places
    )
    change = change_of(applied.plan(), "training.digits")
    assert (change.action, change.version) == (Action.UPDATE, "V0001")
    assert verbs(change) == {"output": "keep", "evidence": "make"}
    assert words(change) == ["this release makes it in another way (evidence revision 99)"]


def test_only_the_intent_of_a_first_apply_counts_as_nothing_recorded(paper: Paper) -> None:
    """A killed first apply leaves a record without anything made: the plan creates."""
    paper.put(Resource(TRAINING, "artifact", "{}"))
    assert change_of(paper.plan(), "training.digits").action is Action.CREATE


def test_an_error_of_a_kind_stops_the_plan_with_every_problem(applied: Paper) -> None:
    """Problems of several resources are told at once, and what waits for them is not decided."""
    applied.edit("training.digits", "parameters.C", "big")
    applied.edit("algorithm.svc", "boot", "missing.py")
    applied.edit("dataset.digits", "source", "nowhere")
    with pytest.raises(PlanError) as caught:
        applied.plan()
    assert [(each.code, str(each.address)) for each in caught.value.diagnostics] == [
        ("SF210", "algorithm.svc"),
        ("SF210", "dataset.digits"),
        ("SF218", "training.digits"),
    ]


def test_an_error_on_a_first_plan_blocks_what_waits_for_it(paper: Paper) -> None:
    """Nothing can be said of the training while its algorithm has errors: only the error is told."""
    paper.edit("algorithm.svc", "boot", "missing.py")
    with pytest.raises(PlanError) as caught:
        paper.plan()
    assert [each.code for each in caught.value.diagnostics] == ["SF210"]


def test_a_warning_of_a_kind_is_in_the_plan(applied: Paper) -> None:
    """An empty class folder is told and the plan goes on."""
    kind = KINDS.by_prefix["dataset"]

    def warned(subject):
        seen = subject.facts["source"]
        facts = seen.facts.with_(folders={**seen.facts["folders"], "9": 0})
        return kind.desire(replace(subject, facts={"source": replace(seen, facts=facts)}))

    applied.kinds = with_dataset(desire=warned)
    plan = applied.plan()
    assert [each.code for each in plan.diagnostics] == ["SF212"]
    assert plan.empty


def test_the_identities_are_found_in_the_store_by_their_own_series(applied: Paper) -> None:
    """FindIdentity carries the series, so that the store can say the version's name."""
    applied.edit("training.digits", "parameters.C", 5)
    applied.plan()
    (find,) = [query for batch in applied.asked for query in batch if isinstance(query, FindIdentity) and query.series]
    assert (find.series.project, find.series.kind, find.series.name) == ("digits", "training", "digits")
