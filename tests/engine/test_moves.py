"""Pools and stores that are moved, changed or taken away while work is going on at them."""

from __future__ import annotations

import pytest
from fakes import ALGORITHM, ALL, DATASET, POOL, STORE, TRAINING, User, actions, world
from test_left_runs import killed_while_training

from specforge.core.address import Address
from specforge.core.values import Place
from specforge.engine.events import RunEnded

DIGITS = Address("training", "digits")
OTHER_POOL = {"kind": "Pool", "name": "there", "fake-pool": {"slots": 2}}
OTHER_STORE = {"kind": "Store", "name": "elsewhere", "fake-store": {}}


@pytest.fixture
def user() -> User:
    return User(world())


def moved(documents, **fields):
    """The documents with a pool or store of their own for all that have one."""
    return tuple({**each, **fields} if each["kind"] in ("Dataset", "TrainingJob") else each for each in documents)


def ended(user: User) -> list[str]:
    return [each.outcome for each in user.events if isinstance(each, RunEnded)]


def test_a_run_at_a_pool_that_is_no_longer_the_jobs_ends_before_it_runs_elsewhere(user):
    """The pool is in no identity, yet the run at the old one is not the one that is wished."""
    user.world.long = {"train"}
    killed_while_training(user)
    user.documents = (*moved(ALL, pool="there"), OTHER_POOL)
    user.world.long = set()
    (run,) = user.plan().runs
    assert not run.wanted
    assert not user.apply().failed
    user.world.check()
    assert ended(user) == ["cancelled"]
    assert not any(job.running for job in user.world.jobs.values())
    assert user.plan().empty


def test_a_pool_is_taken_away_after_the_run_there_has_ended(user):
    """Its document is gone and so is that of the training: the job ends first."""
    killed_while_training(user)
    user.documents = (*moved((STORE, DATASET, ALGORITHM, TRAINING), pool="there"), OTHER_POOL)
    result = user.apply()
    assert not result.failed, result.outcomes
    user.world.check()
    assert user.plan().empty


def test_destroy_ends_runs_before_it_takes_their_pool_away(user):
    """One destroy is enough, also when the training has no version yet."""
    user.world.long = {"train"}
    killed_while_training(user)
    order = [str(each.address) for each in user.plan(destroy=True).pending]
    assert order.index("training.digits") < order.index("pool.here")
    result = user.destroy()
    assert not result.failed, result.outcomes
    assert not user.state.resources
    assert not any(job.running for job in user.world.jobs.values())


def test_more_slots_do_not_end_a_run(user):
    """A pool with other settings is the same pool."""
    killed_while_training(user)
    user.edit("here", "Pool", **{"fake-pool": {"slots": 3}})
    assert not user.apply().failed
    assert user.starts("train") == 2
    assert ended(user) == []


def test_a_place_that_was_made_and_not_recorded_is_taken_away_again(user):
    """Killed between making a pool and recording it, then its document is gone: nothing is left."""
    from specforge.executors.fake import Fault, SimulatedCrash

    user.documents = (STORE,)
    user.apply()
    user.documents = (STORE, POOL)
    user.world.faults = {("after", "place"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply()
    user.world.heal()
    user.documents = (STORE,)
    assert not user.apply().failed
    assert set(user.world.made_places) == {"fake-store:artifacts"}
    assert user.plan().empty


def test_other_settings_of_a_store_keep_what_lies_in_it(user):
    """The same store: the versions stay recorded, nothing is said to have moved."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.apply()
    user.edit("artifacts", "Store", **{"fake-store": {"note": "tidy"}})
    plan = user.plan()
    assert not any("moved" in each.text for change in plan.changes for each in change.reasons)
    assert not user.apply(plan).failed
    assert user.plan().empty
    assert [each.version for each in user.state.resources[DIGITS].versions] == ["V0001", "V0002"]
    assert user.starts("train") == 4


def test_a_moved_store_leaves_no_reference_in_the_old_one(user):
    """What is no longer recorded there is not kept for us there."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.apply()
    user.documents = (*moved(user.documents, store="elsewhere"), OTHER_STORE)
    result = user.apply()
    assert not result.failed, result.outcomes
    assert user.plan().empty
    assert [each.version for each in user.state.resources[DIGITS].versions] == ["V0001"]
    assert user.state.resources[DIGITS].place.id == "elsewhere"
    old = user.world.store(Place("fake-store", "artifacts"))
    assert not any(holders for holders in old.references.values())


def test_a_move_from_a_store_that_does_not_answer_goes_on(user):
    """The references there cannot be taken away; that is said, and the work is done."""
    user.apply()
    user.documents = (*moved(ALL, store="elsewhere"), OTHER_STORE)
    plan = user.plan()
    assert actions(plan)["training.digits"].value == "new version"
    user.world.unreachable.add("fake-store:artifacts")
    result = user.apply(plan)
    assert not result.failed
    assert any("still has references" in d.summary for e in result.outcomes.values() for d in e.diagnostics)


def test_a_removed_document_whose_run_is_finished_leaves_no_reference(user):
    """--finish-running publishes what is then forgotten: the data stay, the reference does not."""
    killed_while_training(user)
    user.documents = tuple(each for each in ALL if each["kind"] != "TrainingJob")
    assert not user.apply(finish_running=True).failed
    store = user.world.store(Place("fake-store", "artifacts"))
    assert not any("training.digits" in who.addresses for each in store.references.values() for who in each.values())
    assert user.plan().empty


# ---- a gate that refuses what was made in the store that a training was moved to ----

ELSEWHERE = Place("fake-store", "elsewhere", {"note": ""})


def accept(minimum: float) -> dict[str, object]:
    return {"data": "digits", "accept": {"accuracy": {"min": minimum}}}


def refused_elsewhere(user: User) -> None:
    """Applied, then moved to a store for which the gate accepts nothing."""
    user.apply()
    user.edit("digits", "TrainingJob", store="elsewhere", evaluate=accept(2.0))
    user.documents = (*user.documents, OTHER_STORE)
    result = user.apply()
    assert {each.outcome for each in result.outcomes.values()} <= {"done", "refused", "cut off"}
    assert result.outcomes[DIGITS].outcome == "refused"


def test_a_refusal_in_the_new_store_demotes_nothing(user):
    """The version that is current stays so where it lies; what follows it reads it there."""
    user.apply()
    before = user.state.resources[DIGITS]
    user.edit("digits", "TrainingJob", store="elsewhere", evaluate=accept(2.0))
    user.documents = (*user.documents, OTHER_STORE)
    result = user.apply()
    assert result.outcomes[DIGITS].words.endswith("V0001 in fake-store:artifacts stays current")
    record = user.state.resources[DIGITS]
    assert (record.place, record.current, record.versions) == (before.place, "V0001", before.versions)
    assert record.newcomers is not None
    assert [(each.version, each.status.value) for each in record.newcomers.versions] == [("V0001", "refused")]
    assert user.state.resources[Address("training", "finer")].current == "V0001"


def test_what_the_gate_refused_in_the_new_store_is_not_made_again(user):
    """The plan is empty and says it in one note; an apply does nothing."""
    refused_elsewhere(user)
    jobs = len(user.world.jobs)
    plan = user.plan()
    assert plan.empty
    (note,) = [each.note for each in plan.changes if each.note]
    assert note.startswith("V0001 is refused: accuracy 0.")
    assert note.endswith("; V0001 in fake-store:artifacts stays current")
    assert not user.apply(plan).failed
    assert len(user.world.jobs) == jobs


def test_a_lowered_gate_completes_the_move_without_work(user):
    """The newcomer becomes current, and nothing is held in the store that was left."""
    refused_elsewhere(user)
    jobs = len(user.world.jobs)
    user.edit("digits", "TrainingJob", evaluate=accept(0.5))
    assert not user.apply().failed
    assert sum(1 for job in user.world.jobs.values() if job.call.key.address == DIGITS) == sum(
        1 for job in list(user.world.jobs.values())[:jobs] if job.call.key.address == DIGITS
    )
    record = user.state.resources[DIGITS]
    assert (record.place.id, record.current, record.newcomers) == ("elsewhere", "V0001", None)
    old = user.world.store(Place("fake-store", "artifacts"))
    assert not any("training.digits" in who.addresses for each in old.references.values() for who in each.values())
    assert user.plan().empty


def test_another_version_that_is_accepted_completes_the_move(user):
    """The refused one stays recorded as refused, beside the one that is current now."""
    refused_elsewhere(user)
    user.edit("digits", "TrainingJob", evaluate=accept(0.5), parameters={"C": 3.0})
    assert not user.apply().failed
    record = user.state.resources[DIGITS]
    assert (record.place.id, record.current, record.newcomers) == ("elsewhere", "V0002", None)
    assert [each.status.value for each in record.versions] == ["refused", "ready"]
    assert user.plan().empty


def test_a_move_that_was_refused_is_taken_back(user):
    """Back in the old store nothing is to do; the next change lets go of what lies in the other one."""
    refused_elsewhere(user)
    user.edit("digits", "TrainingJob", store="artifacts", evaluate=accept(0.5))
    user.apply()
    assert user.plan().empty
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    assert not user.apply().failed
    record = user.state.resources[DIGITS]
    assert (record.place.id, record.current, record.newcomers) == ("artifacts", "V0002", None)
    assert not any(user.world.store(ELSEWHERE).references.values())


def test_destroy_lets_go_in_both_stores(user):
    """Of a training whose move was refused, nothing is held anywhere; on request the data go, too."""
    refused_elsewhere(user)
    user.edit("digits", "TrainingJob", evaluate=accept(0.5))
    result = user.destroy(delete_artifacts=True)
    assert not result.failed, result.outcomes
    for place in (Place("fake-store", "artifacts"), ELSEWHERE):
        assert not any(user.world.store(place).references.values())
    assert not user.state.resources


def test_killed_while_the_newcomer_is_evaluated(user):
    """The version in the old store is current all the time; the next apply only evaluates."""
    from specforge.executors.fake import Fault, SimulatedCrash

    user.apply()
    user.edit("digits", "TrainingJob", store="elsewhere")
    user.documents = (*user.documents, OTHER_STORE)
    plan = user.plan()
    user.world.faults = {("after", "publish reference"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(plan, parallelism=1)
    user.world.heal()
    user.world.faults = {("after", "job start"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    record = user.state.resources[DIGITS]
    assert (record.place.id, record.current) == ("artifacts", "V0001")
    assert [each.status.value for each in record.newcomers.versions] == ["unjudged"]
    trained = user.starts("train")
    assert not user.apply(user.plan(targets=(DIGITS,))).failed
    assert user.starts("train") == trained
    assert user.state.resources[DIGITS].place.id == "elsewhere"


def test_a_run_for_the_new_store_is_finished_there(user):
    """--finish-running records what it gives where it was published, not where the current version lies."""
    user.apply()
    user.edit("digits", "TrainingJob", store="elsewhere", parameters={"C": 3.0})
    user.documents = (*user.documents, OTHER_STORE)
    user.world.long = {"train"}
    from specforge.executors.fake import Fault, SimulatedCrash

    user.world.faults = {("after", "job start"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.heal()
    user.world.long = set()
    user.edit("digits", "TrainingJob", parameters={"C": 10.0}, store="artifacts")
    assert not user.apply(finish_running=True).failed
    record = user.state.resources[DIGITS]
    assert (record.place.id, record.current) == ("artifacts", "V0001")
    assert [each.version for each in record.versions] == ["V0001"]
    assert [each.version for each in record.newcomers.versions] == ["V0001"]
    assert user.plan().empty
