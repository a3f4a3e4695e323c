"""Plans and states that do not fit, places that fail in the middle, removals that were killed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from fakes import ALL, STORE, User, program, world
from test_left_runs import killed_while_training
from test_moves import OTHER_STORE, moved
from test_surprises import Spoiled, apply_with
from test_versions_applied import recorded, references

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError, PlanError
from specforge.core.state import Intent, LockInfo, PutResource, Resource
from specforge.core.steps import EnsurePlace
from specforge.core.values import EMPTY, OutputRef, Place
from specforge.engine.apply import check_fresh
from specforge.engine.events import RunEnded
from specforge.engine.parts import decode_part
from specforge.engine.removing import take_away
from specforge.executors.fake import FakeExecutors, Fault, Made, SimulatedCrash
from specforge.planner.plan import Action, Change, Plan
from specforge.state.memory import CommitFault, FaultyBackend

TRAINING = Address("training", "digits")
DATASET = Address("dataset", "digits")


@pytest.fixture
def user() -> User:
    return User(world())


def put(user: User, resource: Resource) -> None:
    """Record the resource, as if an earlier apply had."""
    with user.backend.lock(LockInfo("op", "me", "test", 0.0, 1, ""), 0.0):
        user.backend.commit("op", 0.0, [PutResource(resource)], user.state.ref)


# ---- plans that do not fit ----


def test_a_plan_of_an_older_state_is_refused(user):
    """Somebody has applied since: nothing is done, and the serials are named."""
    user.apply()
    user.edit("digits", "Dataset", description="one")
    plan = user.plan()
    user.edit("digits", "Dataset", description="two")
    user.apply()
    with pytest.raises(PlanError, match=f"serial {plan.base.serial}, the state is at {user.state.ref.serial}"):
        user.apply(plan)


def test_a_plan_of_another_state_is_refused(user):
    """The lineage is another one."""
    plan = user.plan()
    user.apply()
    with pytest.raises(PlanError, match="another lineage"):
        check_fresh(plan, user.state)


def test_a_plan_whose_identities_do_not_come_out_is_not_carried_out(user):
    """What is made would not be what was shown."""
    user.documents = ALL[:3]
    plan = user.plan()
    changes = tuple(
        replace(each, parts=tuple(replace(part, identity="0" * 64) for part in each.parts))
        if each.address == DATASET
        else each
        for each in plan.changes
    )
    result = user.apply(replace(plan, changes=changes))
    assert result.outcomes[DATASET].diagnostics[0].code == "SF402"
    assert user.world.jobs == {}


def test_a_place_that_is_not_known_yet_is_not_asked_before(user):
    """What has a hole in it cannot be looked at."""
    hole = OutputRef(Address("pool", "here"), "place")
    change = Change(Address("pool", "x"), "Pool", "place", Action.DELETE, steps=(EnsurePlace(hole, EMPTY),))
    plan = Plan(user.state.ref, "digits", "default", 0.0, (change,))
    asked = []
    apply_with(user, Spoiled(user.world, preflight=lambda *given: asked.append(given) or ()), plan)
    assert asked == []


# ---- places that fail in the middle ----


def test_a_store_that_stops_answering_fails_what_needs_it(user):
    """It is not taken for empty: nothing is trained."""
    user.documents = ALL[:3]
    user.apply()
    user.documents = ALL
    plan = user.plan()
    asked = itertools.count()
    made = FakeExecutors(user.world).of(Place("fake-store", "artifacts"))

    def observe(place, queries, deadline):
        if place.driver == "fake-store":
            next(asked)
            raise ExecutionError(Diagnostic("SF491", "Gone", "the line is dead"))
        return made.observe(place, queries, deadline)

    result = apply_with(user, Spoiled(user.world, observe=observe), plan)
    assert result.outcomes[TRAINING].outcome == "failed"
    assert "the line is dead" in result.outcomes[TRAINING].diagnostics[0].detail
    assert next(asked) > 0
    assert user.starts("train") == 0


def test_a_finished_run_whose_result_cannot_be_published_fails_the_change(user):
    """It is not counted: the next apply publishes it."""
    killed_while_training(user)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    user.world.faults = {("before", "publish objects"): Fault.ERROR}
    assert user.apply(finish_running=True).outcomes[TRAINING].outcome == "failed"
    assert user.state.resources[TRAINING].intent is not None
    assert not user.apply(finish_running=True).failed
    assert [each.outcome for each in user.events if isinstance(each, RunEnded)] == ["kept"]
    assert [each.version for each in user.state.resources[TRAINING].versions] == ["V0001", "V0002"]
    user.world.check()
    assert user.plan().empty


def test_a_pool_that_keeps_nothing_has_nothing_to_discard(user):
    """The ability to discard is optional."""

    class Plain:
        def __init__(self, inner):
            self.observe, self.preflight = inner.observe, inner.preflight
            self.perform, self.cancel, self.logs = inner.perform, inner.cancel, inner.logs

    class Places(FakeExecutors):
        def of(self, place):
            return Plain(super().of(place))

    assert not apply_with(user, Places(user.world)).failed


def test_what_cannot_be_discarded_is_left(user):
    """Nothing fails, everything is recorded."""

    def discard(place, key):
        raise RuntimeError("no")

    assert not apply_with(user, Spoiled(user.world, discard=discard)).failed
    assert user.plan().empty


def test_a_pool_that_stops_answering_keeps_its_run_and_new_work_apart(user):
    """Whether the run still goes on cannot be said: nothing is started, and the next apply ends it."""
    killed_while_training(user)
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    plan = user.plan()
    user.world.unreachable.add("fake-pool:here")
    result = apply_with(user, Spoiled(user.world, preflight=lambda *_: ()), plan)
    assert "may still be going on" in result.outcomes[TRAINING].diagnostics[0].detail
    user.world.heal()
    assert not user.apply().failed
    user.world.check()
    assert user.plan().empty


def test_a_store_that_stops_answering_keeps_what_was_to_be_deleted(user):
    """The removal fails there, and is finished later."""
    user.apply()
    plan = user.plan(destroy=True)
    user.world.unreachable.add("fake-store:artifacts")
    result = apply_with(user, Spoiled(user.world, preflight=lambda *_: ()), plan)
    assert result.outcomes[TRAINING].outcome == "skipped"
    assert result.outcomes[Address("training", "finer")].outcome == "failed"
    user.world.heal()
    assert recorded(user) <= references(user)
    assert not user.destroy().failed
    assert references(user) == set()


# ---- intents of other releases ----


@pytest.mark.parametrize("body", ['{"$": "Tomorrow"}', "[]", "{"])
@pytest.mark.parametrize("gone", [False, True])
def test_an_intent_that_cannot_be_read_keeps_nothing_from_going_on(user, body, gone):
    """Its run is ended; what it may have published is left."""
    killed_while_training(user)
    record = user.state.resources[TRAINING]
    put(user, replace(record, intent=replace(record.intent, part=body)))
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    if gone:
        user.documents = tuple(each for each in user.documents if each["kind"] != "TrainingJob")
    assert not user.apply().failed
    user.world.check()
    assert user.plan().empty


def test_an_intent_that_cannot_be_read_cannot_be_finished():
    """It says so."""
    with pytest.raises(ExecutionError, match="another release"):
        decode_part('{"$": "Tomorrow"}')
    with pytest.raises(ExecutionError, match="another release"):
        decode_part("[]")


# ---- removals ----


def killed_destroys(delete: bool):
    """Users whose destroy was killed at each of its effects in turn."""
    for number in itertools.count():
        user = User(world())
        user.apply()
        user.world.faults = {len(user.world.points) + number: Fault.CRASH}
        try:
            user.apply(user.plan(destroy=True, delete_artifacts=delete), parallelism=1)
        except SimulatedCrash:
            user.world.heal()
            yield user
        else:
            return


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("then", ["apply", "destroy", "delete"])
def test_a_destroy_that_was_killed(delete, then):
    """The record names nothing that may be gone, and whatever is done next comes to its end."""
    for user in killed_destroys(delete):
        assert recorded(user) <= references(user)
        if then == "apply":
            assert not user.apply().failed
            assert user.plan().empty
            assert recorded(user) == references(user)
        else:
            assert not user.destroy(delete_artifacts=then == "delete").failed
            assert user.state.resources == {}
            assert references(user) == set()


def killed_at_each_effect(documents, **edit):
    """Users whose apply of this edit was killed at each of its effects in turn."""
    for number in itertools.count():
        user = User(world())
        user.apply()
        user.documents = documents
        if edit:
            user.edit("digits", "TrainingJob", **edit)
        user.world.faults = {len(user.world.points) + number: Fault.CRASH}
        try:
            user.apply(parallelism=1)
        except SimulatedCrash:
            user.world.heal()
            yield user
        else:
            return


EVALUATED = {"data": "digits", "samples": 2}


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    ("documents", "edit"),
    [((*moved(ALL, store="elsewhere"), OTHER_STORE), {}), (ALL, {"evaluate": EVALUATED})],
    ids=["moved", "evaluated anew"],
)
def test_references_that_are_left_when_an_apply_is_killed(documents, edit, back):
    """What is recorded is always held; what is no longer recorded is let go of by the next change, or the way back."""
    for user in killed_at_each_effect(documents, **edit):
        assert recorded(user) <= references(user)
        if back:
            user.documents = ALL
        assert not user.apply().failed
        assert recorded(user) <= references(user)
        assert user.plan().empty
        user.edit("digits", "TrainingJob", parameters={"C": 3.0})
        user.edit("digits", "Dataset", split={"train": 0.5, "eval": 0.5, "seed": 1})
        assert not user.apply().failed
        assert recorded(user) == references(user)


def test_data_are_deleted_only_when_that_is_asked_for_again():
    """A killed destroy --delete-artifacts, then a plain destroy: what is left of the data stays."""
    user = next(killed_destroys(delete=True))
    store = user.world.store(Place("fake-store", "artifacts"))
    living = len(store.living())
    assert not user.destroy().failed
    assert len(store.living()) == living


def test_what_is_not_recorded_any_more_is_gone_already(user):
    """Somebody has dropped it: nothing to do."""
    change = Change(TRAINING, "TrainingJob", "artifact", Action.FORGET)
    assert take_away(None, change, None).word == "done"


def test_a_place_is_let_go_after_an_intent_without_jobs(user):
    """An apply that died before anything was started leaves nothing in the way."""
    user.documents = (STORE,)
    user.apply()
    part = '{"$": "Part"}'
    intent = Intent("op", "output", "0" * 64, 1, part, (), 0.0)
    put(user, Resource(TRAINING, "artifact", "{}", intent=intent))
    assert not user.apply().failed
    assert user.state.resources.keys() == {Address("store", "artifacts")}


def test_two_edits_while_the_evaluation_runs(user):
    """The training is recorded, its evaluation runs: both kinds of edits end or keep that run, never two at once."""

    def crash(call):
        if call.step.name == "evaluate":
            raise SimulatedCrash
        return program(call)

    edits = ({"parameters": {"C": 3.0}}, {"evaluate": {"data": "digits", "samples": 2}}, {"evaluate": None})
    for edit, finish in itertools.product(edits, (False, True)):
        user = User(world())
        user.world.program = crash
        with pytest.raises(SimulatedCrash):
            user.apply(parallelism=1)
        user.world.program = program
        assert user.state.resources[TRAINING].intent.part_name == "evidence"
        user.edit("digits", "TrainingJob", **edit)
        assert not user.apply(finish_running=finish).failed
        user.world.check()
        assert user.plan().empty
        assert recorded(user) == references(user)


def test_the_trace_of_an_evaluation_outlives_the_record_of_its_version(user):
    """Killed while it is evaluated, killed again when the version is taken up: the job is still known, and ended."""

    class Slow(FakeExecutors):
        def of(self, place):
            return self

        def __getattr__(self, name):
            return getattr(super().of(None), name)

        def perform(self, step, context):
            if step.name == "evaluate":
                user.world.faults = {("after", "job start"): Fault.CRASH}
            return super().of(None).perform(step, context)

    with pytest.raises(SimulatedCrash):
        apply_with(user, Slow(user.world), parallelism=1)
    user.world.heal()
    running = [job for job in user.world.jobs.values() if job.running]
    assert [job.call.step.name for job in running] == ["evaluate"]
    sound = user.backend
    user.backend = FaultyBackend(sound, {1: CommitFault("after", SimulatedCrash("again"))})
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.backend = sound
    user.edit("digits", "TrainingJob", evaluate=None)
    assert not user.apply().failed
    assert not any(job.running for job in user.world.jobs.values())
    user.world.check()
    assert recorded(user) == references(user)


def test_records_that_name_each_other_can_be_destroyed(user):
    """Two trainings changed places, and only one of the records could be made: an order is found all the same."""
    user.apply()
    finer = Address("training", "finer")
    record = user.state.resources[TRAINING]
    put(user, replace(record, waits_for=(*record.waits_for, finer)))
    assert TRAINING in user.state.resources[finer].waits_for
    assert not user.destroy().failed
    assert user.state.resources == {}


def test_a_program_that_leaves_nothing(user):
    """A failing evaluation leaves the version recorded, unjudged and not current; made good, it is judged."""
    user.world.program = lambda call: Made(exit=1) if call.step.name == "evaluate" else program(call)
    assert user.apply().outcomes[TRAINING].outcome == "failed"
    record = user.state.resources[TRAINING]
    assert (record.current, record.versions[0].status.value, record.intent) == (None, "unjudged", None)
    user.world.program = program
    assert not user.apply().failed
    assert user.starts("train") == 2
    assert user.plan().empty
