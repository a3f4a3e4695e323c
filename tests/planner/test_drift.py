"""What the world says: data lost, places gone or out of reach."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paper import Paper, actions, change_of, verbs, words

from specforge.core.address import Address
from specforge.core.queries import LookAtArtifact, LookAtPlace, Query, Seen, unreachable
from specforge.core.values import Place
from specforge.planner.plan import Action, Plan

STORE, POOL, PROJECT = "folder:.specforge/artifacts", "local:.specforge/pools/here", "folder:."


def lose(paper: Paper, address: str, *, evidence: bool = False) -> None:
    """Let the data of the current version vanish from the store."""
    version = paper.record(address).current_version
    lost = version.evidence if evidence else version
    paper.world.store(paper.record(address).place).damaged.add((lost.identity, lost.build))


def drift(plan: Plan) -> dict[str, str]:
    """Return {address: what}."""
    return {str(each.address): each.what for each in plan.drift}


def test_a_lost_output_is_drift_and_made_again(applied: Paper) -> None:
    """It is said as drift, made again under its identity, and what follows depends on the bytes."""
    lose(applied, "dataset.digits")
    plan = applied.plan()
    assert drift(plan) == {"dataset.digits": "V001 is gone from its store (2 objects missing)"}
    change = change_of(plan, "dataset.digits")
    assert (change.action, change.version) == (Action.NEW_VERSION, "V001")
    assert words(change) == ["its data are gone from the store"]
    assert (verbs(change), change.parts[0].replaces) == ({"output": "make"}, 1)
    assert verbs(change_of(plan, "training.digits")) == {"output": "maybe", "evidence": "maybe"}
    applied.apply()
    assert applied.record("training.digits").current == "V0001"
    assert applied.plan().empty


def test_a_lost_output_that_cannot_be_made_the_same_is_a_new_version(applied: Paper) -> None:
    """Other bytes from the same recipe: what follows is made anew."""
    lose(applied, "dataset.digits")
    applied.world.bytes_of = lambda prefix, recipe: [prefix, recipe, "another machine"]
    applied.apply()
    assert applied.record("dataset.digits").current == "V002"
    assert applied.record("training.digits").current == "V0002"
    assert applied.plan().empty


def test_what_somebody_else_has_made_again_is_reused(applied: Paper) -> None:
    """Two clones lost the same build; one made it again with other bytes: the other one takes that."""
    lose(applied, "dataset.digits")
    clone = Paper(applied.documents)
    clone.world, clone.state = applied.world, applied.state
    applied.world.bytes_of = lambda prefix, recipe: [prefix, recipe, "another machine"]
    applied.apply()
    change = change_of(clone.plan(), "dataset.digits")
    assert (change.action, change.version, verbs(change)) == (Action.REUSE, "V002", {"output": "find"})
    assert words(change) == ["its data are gone from the store"]
    trained = len(clone.world.trained)
    clone.apply()
    assert len(clone.world.trained) == trained
    assert clone.plan().empty


def test_lost_evidence_is_measured_again(applied: Paper) -> None:
    """The version stays; only the evaluation runs."""
    lose(applied, "training.digits", evidence=True)
    plan = applied.plan()
    assert drift(plan) == {"training.digits": "the evaluation of V0001 is gone from its store"}
    change = change_of(plan, "training.digits")
    assert (change.action, change.version, change.work) == (Action.UPDATE, "V0001", ("evaluate",))
    assert verbs(change) == {"output": "keep", "evidence": "make"}
    assert words(change) == ["its evaluation is gone from the store"]
    applied.apply()
    assert applied.plan().empty


def test_evidence_found_in_the_store_without_its_data_is_measured_again(applied: Paper) -> None:
    """Another clone would take both: the model is taken, the evaluation runs."""
    clone = Paper(applied.documents)
    clone.world = applied.world
    assert verbs(change_of(clone.plan(), "training.digits")) == {"output": "find", "evidence": "find"}
    lose(applied, "training.digits", evidence=True)
    change = change_of(clone.plan(), "training.digits")
    assert (change.action, change.work) == (Action.REUSE, ("evaluate",))
    assert verbs(change) == {"output": "find", "evidence": "make"}
    assert change.parts[1].replaces == 1
    clone.apply()
    assert clone.plan().empty


def test_evidence_that_cannot_be_looked_at_decides_nothing(applied: Paper) -> None:
    """The store said that it has it and then no more."""
    clone = Paper(applied.documents)
    clone.world = applied.world
    evidence, answer = applied.record("training.digits").current_version.evidence, clone.world.answer

    def breaks(query: Query) -> Seen:
        about_it = isinstance(query, LookAtArtifact) and query.identity == evidence.identity
        return unreachable("reset") if about_it else answer(query)

    clone.world.answer = breaks
    plan = clone.plan()
    assert change_of(plan, "training.digits").note == "its place cannot be reached; nothing is decided"
    assert plan.unreachable[0].addresses == (Address("training", "digits"),)


def test_a_version_recorded_as_lost_is_not_looked_at(applied: Paper) -> None:
    """Its identity is looked for in the store again instead."""
    record = applied.record("dataset.digits")
    from specforge.core.state import Status

    applied.put(replace(record, versions=(replace(record.versions[0], status=Status.LOST),)))
    change = change_of(applied.plan(), "dataset.digits")
    assert change.action is Action.REUSE
    assert applied.plan().drift == ()


# ---- out of reach ----


def test_a_store_out_of_reach_decides_nothing_there(applied: Paper) -> None:
    """Nothing is created or taken away in it; the rest goes on, and says so."""
    applied.world.unreachable.add(STORE)
    applied.world.files["data/1/b.png"] = "another one"
    applied.edit("algorithm.svc", "description", "still recorded")
    plan = applied.plan()
    assert actions(plan) == {"algorithm.svc": "update"}
    (unreachable,) = plan.unreachable
    assert (str(unreachable.place), unreachable.problem) == (STORE, "connection refused")
    assert [str(each) for each in unreachable.addresses] == ["store.artifacts", "dataset.digits", "training.digits"]
    assert change_of(plan, "dataset.digits").note == "its place cannot be reached; nothing is decided"
    assert change_of(plan, "store.artifacts").note == "cannot be reached; nothing is decided"


def test_nothing_is_created_in_a_store_out_of_reach(paper: Paper) -> None:
    """On a first plan what needs the store is undecided, with or without its identity known."""
    paper.world.unreachable.add(STORE)
    plan = paper.plan()
    assert actions(plan) == {"algorithm.svc": "create", "pool.here": "create"}
    assert change_of(plan, "training.digits").note.startswith("waits: dataset.digits: ")


def test_other_stores_go_on(applied: Paper) -> None:
    """What was published before an outage is read as recorded by what lies elsewhere."""
    applied.add(kind="Store", name="elsewhere", folder="elsewhere")
    applied.add(kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, store="elsewhere")
    applied.apply()
    applied.world.unreachable.add(STORE)
    applied.edit("training.next", "parameters.C", 3)
    plan = applied.plan()
    change = change_of(plan, "training.next")
    assert (change.action, verbs(change)) == (Action.NEW_VERSION, {"output": "make"})
    digest = applied.record("dataset.digits").current_version.output
    assert change.parts[0].part.recipe["inputs"]["data"] == digest


def test_evidence_out_of_reach_is_undecided(applied: Paper) -> None:
    """A store that answers for the output but not for the search of new evidence decides nothing."""
    applied.edit("training.digits", "evaluate.samples", 1)
    answer = applied.world.answer

    def half(query):
        from specforge.core.queries import FindIdentity, unreachable

        return unreachable("reset") if isinstance(query, FindIdentity) else answer(query)

    applied.world.answer = half
    plan = applied.plan()
    change = change_of(plan, "training.digits")
    assert (change.action, change.version) == (Action.NOOP, "V0001")
    assert plan.unreachable[0].addresses == (Address("training", "digits"),)


def test_a_pool_out_of_reach_keeps_what_needs_it_undecided(applied: Paper) -> None:
    """Work that would run there is not planned; what needs no work goes on."""
    applied.world.unreachable.add(POOL)
    applied.edit("training.digits", "parameters.C", 5)
    plan = applied.plan()
    assert plan.empty
    change = change_of(plan, "training.digits")
    assert (change.version, change.note) == ("V0001", f"{POOL} cannot be reached; nothing is decided")
    (unreachable,) = plan.unreachable
    assert [str(each) for each in unreachable.addresses] == ["pool.here", "training.digits"]
    applied.edit("training.digits", "parameters.C", 10)
    applied.edit("training.digits", "description", "needs no pool")
    assert actions(applied.plan()) == {"training.digits": "update"}


def test_what_waits_for_work_at_a_pool_out_of_reach_reads_the_record(applied: Paper) -> None:
    """Dependants go on with what is recorded, not with what would have been made."""
    applied.add(kind="Pool", name="there", local={"slots": 1})
    applied.add(
        kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits", pool="there"
    )
    applied.apply()
    applied.world.unreachable.add(POOL)
    applied.edit("training.digits", "parameters.C", 5)
    applied.edit("training.next", "parameters.C", 5)
    plan = applied.plan()
    assert actions(plan) == {"training.next": "new version"}
    digest = applied.record("training.digits").current_version.output
    assert change_of(plan, "training.next").parts[0].part.recipe["from_model"] == digest


def test_a_first_training_at_a_pool_out_of_reach_blocks_what_follows(paper: Paper) -> None:
    """Nothing is recorded to go on with."""
    paper.add(kind="Pool", name="there", local={"slots": 1})
    paper.edit("dataset.digits", "pool", "there")
    paper.add(
        kind="TrainingJob", name="next", algorithm="svc", inputs={"data": "digits"}, from_model="digits", pool="there"
    )
    paper.world.unreachable.add(POOL)
    plan = paper.plan()
    assert "training.digits" not in actions(plan)
    assert change_of(plan, "training.next").note.startswith("waits: training.digits: ")
    assert actions(plan)["dataset.digits"] == "create"


def test_sources_out_of_reach_keep_the_record(applied: Paper) -> None:
    """A source that cannot be read is not an absent one: nothing is decided, what is recorded is used."""
    applied.world.unreachable.add(PROJECT)
    applied.edit("training.digits", "parameters.C", 5)
    plan = applied.plan()
    assert change_of(plan, "dataset.digits").note == "source cannot be read; nothing is decided"
    assert change_of(plan, "algorithm.svc").note == "code cannot be read; nothing is decided"
    assert actions(plan) == {"training.digits": "new version"}
    assert [str(each) for each in plan.unreachable[0].addresses] == ["algorithm.svc", "dataset.digits"]


def test_a_source_out_of_reach_on_a_first_plan_creates_nothing_of_it(paper: Paper) -> None:
    """Nothing recorded, nothing read: nothing planned."""
    paper.world.unreachable.add(PROJECT)
    plan = paper.plan()
    assert actions(plan) == {"pool.here": "create", "store.artifacts": "create"}
    assert change_of(plan, "training.digits").note.startswith("waits: ")


# ---- places ----


def test_a_place_that_is_gone_is_drift_and_made_again(applied: Paper) -> None:
    """Recorded and absent: prepared again."""
    applied.world.gone.add(POOL)
    plan = applied.plan()
    assert drift(plan) == {"pool.here": f"{POOL} is gone"}
    change = change_of(plan, "pool.here")
    assert (change.action, verbs(change), words(change)) == (Action.UPDATE, {"place": "make"}, ["it is gone"])
    applied.apply()
    assert applied.plan().empty


def test_settings_of_a_place_are_updated(applied: Paper) -> None:
    """Other settings are another identity of the place; artifacts are not touched."""
    applied.edit("pool.here", "local.slots", 4)
    plan = applied.plan()
    assert actions(plan) == {"pool.here": "update"}
    change = change_of(plan, "pool.here")
    assert (verbs(change), words(change), change.note) == ({"place": "make"}, ["local.slots: 2 → 4"], "")
    applied.apply()
    assert applied.plan().empty


def test_a_moved_place_says_that_what_lies_in_the_old_one_stays(applied: Paper) -> None:
    """A store with another folder: its artifacts are looked for there."""
    applied.edit("store.artifacts", "folder", "elsewhere")
    plan = applied.plan()
    change = change_of(plan, "store.artifacts")
    assert (change.action, change.note) == (Action.UPDATE, f"what lies in {STORE} stays there")
    assert change_of(plan, "dataset.digits").action is Action.NEW_VERSION
    assert LookAtPlace(Place("folder", "elsewhere")) in applied.asked[0]
    applied.apply()
    assert applied.plan().empty


def test_moving_away_from_a_store_out_of_reach_is_possible(applied: Paper) -> None:
    """What lies in the old place is not needed to publish anew in the new one."""
    applied.world.unreachable.add(STORE)
    applied.edit("store.artifacts", "folder", "elsewhere")
    assert actions(applied.plan()) == {
        "store.artifacts": "update",
        "dataset.digits": "new version",
        "training.digits": "new version",
    }


def test_a_place_that_has_no_name_or_no_store_is_a_bug_of_its_kind(paper: Paper) -> None:
    """A place's wish must name the place, an artifact's its store: said with the address, not guessed."""
    from paper import KINDS

    from specforge.schemas.kind import Kinds

    for prefix, document, address in (("store", "Store", "store.artifacts"), ("dataset", "Dataset", "dataset.digits")):
        kind = KINDS.by_prefix[prefix]
        placeless = replace(kind, desire=lambda subject, kind=kind: replace(kind.desire(subject), place=None))
        paper.kinds = Kinds(
            {**KINDS.by_prefix, prefix: placeless}, {**KINDS.by_document, document: placeless}, KINDS.places
        )
        with pytest.raises(AssertionError, match=address):
            paper.plan()


def test_a_found_version_that_cannot_be_looked_at_is_not_decided(applied: Paper) -> None:
    """The store names it and then does not answer: neither reused nor made again."""
    applied.edit("training.digits", "parameters.C", 5)
    applied.apply()
    applied.edit("training.digits", "parameters.C", 10)
    first = applied.record("training.digits").version("V0001")
    answer = applied.world.answer

    def silent(query: Query) -> Seen:
        if isinstance(query, LookAtArtifact) and query.identity == first.identity:
            return unreachable("connection refused")
        return answer(query)

    applied.world.answer = silent
    plan = applied.plan()
    assert actions(plan) == {}
    assert "cannot be reached" in change_of(plan, "training.digits").note
