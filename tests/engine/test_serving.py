"""How an apply brings services about: what is new gets ready first, what fails is taken away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import ALGORITHM, DATASET, MODEL, POOL, SERVICE, STORE, TRAINING, User, actions, change_of, world

from specforge.core.address import Address
from specforge.core.errors import PlanError
from specforge.core.serving import Listen
from specforge.engine.holding import start, stop
from specforge.engine.planning import look_for_drift
from specforge.engine.session import ApplySettings
from specforge.executors.fake import FakeExecutors
from specforge.executors.fake.faults import Fault, SimulatedCrash
from specforge.planner.plan import Action

SERVED = (STORE, POOL, DATASET, ALGORITHM, {**TRAINING, "evaluate": None}, MODEL, SERVICE)
ADDRESS = Address("service", "digits")
HERE = Listen("127.0.0.1", 8080)


@pytest.fixture
def user() -> User:
    """Applied: the service answers."""
    made = User(world(), SERVED)
    assert not made.apply().failed
    return made


def groups(user: User) -> tuple[str, ...]:
    """The names of the groups that are recorded."""
    return tuple(each.name for each in user.state.resources[ADDRESS].groups)


def answers(user: User, listen: Listen = HERE) -> dict[str, int]:
    """Who answers."""
    return user.world.serving.requests(listen)


def outcome(result, address: str = "service.digits"):
    """How the change of an address ended."""
    return result.outcomes[Address.parse(address)]


def test_a_service_is_brought_about_and_left_alone(user: User) -> None:
    """Its replicas answer; a second apply starts nothing."""
    (name,) = groups(user)
    assert answers(user) == {name: 100}
    started = dict(user.world.serving.starts)
    assert user.plan().empty
    user.apply()
    assert dict(user.world.serving.starts) == started
    record = user.state.resources[ADDRESS]
    assert (record.outputs["address"], record.outputs["inputs"]) == ("http://127.0.0.1:8080", {"model.digits": "0.0.1"})
    assert record.intent is None


def test_another_model_takes_over(user: User) -> None:
    """The new group answers, the old one is gone, and was never ended while it was asked."""
    (old,) = groups(user)
    user.edit("digits", "TrainingJob", parameters={"C": 5.0})
    result = user.apply()
    (new,) = groups(user)
    assert new != old
    assert (answers(user), user.world.serving.running()) == ({new: 100}, {new: 1})
    assert user.world.violations == []
    assert (outcome(result).outcome, outcome(result).words) == ("done", "serves at http://127.0.0.1:8080")
    assert user.plan().empty


def test_equal_bytes_point_nowhere_else(user: User) -> None:
    """Trained again with the same output: the service is cut off."""
    before = groups(user)
    user.world.project["code/train.py"] = b"train()  # a comment\n"
    program = user.world.program
    user.world.program = lambda call: program(replace(call, code={}) if call.step.name == "train" else call)
    # What the first training left depended on its code: the second is the first whose code does not matter.
    user.apply()
    settled = groups(user)
    user.world.project["code/train.py"] = b"train()  # another comment\n"
    plan = user.plan()
    assert [str(each) for each in change_of(plan, "service.digits").if_changed] == ["model.digits"]
    started = dict(user.world.serving.starts)
    result = user.apply(plan)
    assert outcome(result).outcome == "cut off"
    assert (groups(user), dict(user.world.serving.starts)) == (settled, started)
    assert before != settled
    assert user.plan().empty


@pytest.mark.parametrize("fault", ["unready", "crashing"])
def test_what_never_gets_ready_is_taken_away_and_the_old_goes_on(user: User, fault: str) -> None:
    """The change fails; nothing of it is left, and the next plan wishes it again."""
    (old,) = groups(user)
    getattr(user.world.serving, fault).add("--queue=7")
    user.edit("digits", "Service", request={"queue": 7})
    result = user.apply()
    assert outcome(result).outcome == "failed"
    assert groups(user) == (old,)
    assert (answers(user), user.world.serving.running()) == ({old: 100}, {old: 1})
    assert user.state.resources[ADDRESS].intent is None
    assert actions(user.plan()) == {"service.digits": Action.UPDATE}
    getattr(user.world.serving, fault).clear()
    assert not user.apply().failed
    assert user.plan().empty


def test_a_first_service_that_never_gets_ready_leaves_nothing() -> None:
    """Neither replicas nor an address."""
    made = User(world(), SERVED)
    made.world.serving.unready.add("@procedures")
    assert made.apply().failed
    assert (made.world.serving.running(), made.world.serving.routes) == ({}, {})
    assert actions(made.plan()) == {"service.digits": Action.CREATE}
    made.world.serving.unready.clear()
    assert not made.apply().failed
    assert made.plan().empty


def test_an_address_that_is_taken_fails_the_change(user: User) -> None:
    """The old address goes on; a service that was scaled meanwhile is as it was."""
    second = {**SERVICE, "name": "second"}
    user.documents = (*user.documents, second)
    result = user.apply()
    assert outcome(result, "service.second").outcome == "failed"
    assert set(answers(user)) == set(groups(user))
    user.edit("second", "Service", port=8081)
    assert not user.apply().failed
    user.edit("digits", "Service", port=8081, replicas=2)
    assert user.apply().failed
    assert set(answers(user)) == set(groups(user))
    user.edit("digits", "Service", port=8080, replicas=1)
    assert not user.apply().failed
    assert user.plan().empty


def test_shares_of_equal_content_are_one_group(user: User) -> None:
    """Their weights and replicas add up."""
    serves = [{"model": "digits@0.0.1", "weight": 30}, {"model": "digits", "weight": 70, "replicas": 2}]
    user.edit("digits", "Service", model=None, serves=serves)
    user.apply()
    (name,) = groups(user)
    assert (answers(user), user.world.serving.running()) == ({name: 100}, {name: 3})
    assert user.plan().empty


def test_a_service_moves_to_another_pool(user: User) -> None:
    """It answers there, and nothing is left behind."""
    user.documents = (*user.documents, {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}})
    user.edit("digits", "Service", pool="there")
    assert not user.apply().failed
    (group,) = user.state.resources[ADDRESS].groups
    assert group.place.id.endswith("there")
    assert len(user.world.serving.routes) == 1
    assert sum(user.world.serving.running().values()) == 1
    assert user.plan().empty


def test_a_move_whose_address_cannot_be_had_returns(user: User) -> None:
    """The old place answers again."""
    user.documents = (
        *user.documents,
        {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}},
        {**SERVICE, "name": "second", "port": 8081},
    )
    user.apply()
    before = groups(user)
    user.edit("digits", "Service", pool="there", port=8081)
    assert user.apply().failed
    assert answers(user) == {before[0]: 100}
    assert groups(user) == before


def test_taking_a_service_away_leaves_nothing(user: User) -> None:
    """By deleted YAML; then everything by destroy."""
    user.documents = user.documents[:-1]
    assert not user.apply().failed
    assert (user.world.serving.running(), user.world.serving.routes) == ({}, {})
    assert ADDRESS not in user.state.resources
    user.documents = SERVED
    user.apply()
    assert not user.destroy().failed
    assert (user.world.serving.running(), user.world.serving.routes, user.state.resources) == ({}, {}, {})
    assert user.world.violations == []


# ---- drift ----


def drifts(user: User) -> list[str]:
    """What drifted."""
    from fakes import KINDS

    now = user.world.clock()
    found = look_for_drift(user.state, "default", KINDS, FakeExecutors(user.world), now)
    return [f"{each.address}: {each.what}" for each in found.drift]


def test_what_befalls_a_service_is_drift_and_only_that_is_repaired(user: User) -> None:
    """Its replicas killed, one stopped by hand, its gateway killed, its routes edited."""
    (name,) = groups(user)
    serving, route = user.world.serving, user.state.resources[ADDRESS].outputs["route"]
    assert drifts(user) == []
    for befall, what, work in (
        (lambda: serving.kill_group(name), "the replicas of model.digits are gone", ("restart",)),
        (lambda: serving.stop_replica(name, 1), "0 of 1 replicas of model.digits answer", ("restart",)),
        (lambda: serving.kill_gateway(route), "nothing listens at 127.0.0.1:8080", ("re-point",)),
        (lambda: serving.edit_route(route, {name: 50}), "edited by hand", ("re-point",)),
    ):
        befall()
        (found,) = drifts(user)
        assert what in found
        plan = user.plan()
        assert actions(plan) == {"service.digits": Action.UPDATE}
        assert change_of(plan, "service.digits").work == work
        assert not user.apply(plan).failed
        assert answers(user) == {name: 100}
        assert (drifts(user), user.plan().empty) == ([], True)


# ---- holds ----


def settings() -> ApplySettings:
    """Somebody's."""
    return ApplySettings(who="ada", command="spec stop")


def hold(user: User):
    """Stop the service."""
    return stop(
        ADDRESS,
        backend=user.backend,
        executors=FakeExecutors(user.world),
        sink=user.events.append,
        clock=user.world.clock,
        settings=settings(),
    )


def test_a_held_service_neither_drifts_nor_is_repaired_until_it_is_started(user: User) -> None:
    """Nothing runs, nobody minds; then it serves again as it is declared by then."""
    held = hold(user)
    assert held.changed
    assert (user.world.serving.running(), user.world.serving.routes) == ({}, {})
    assert (drifts(user), user.plan().empty) == ([], True)
    user.edit("digits", "Service", replicas=2)
    assert user.plan().empty
    assert hold(user) == replace(held, changed=False)
    assert start(ADDRESS, backend=user.backend, clock=user.world.clock, settings=settings()).changed
    assert actions(user.plan()) == {"service.digits": Action.CREATE}
    assert not user.apply().failed
    assert user.world.serving.running() == {groups(user)[0]: 2}
    assert not start(ADDRESS, backend=user.backend, clock=user.world.clock, settings=settings()).changed
    assert [each.event for each in user.backend.history(ADDRESS) if each.event in ("stopped", "started")] == [
        "stopped",
        "started",
    ]


def test_a_stop_that_was_killed_goes_on_when_it_is_called_again(user: User) -> None:
    """The hold is recorded first."""
    user.world.faults[len(user.world.points)] = Fault.CRASH
    with pytest.raises(SimulatedCrash):
        hold(user)
    assert user.state.resources[ADDRESS].held is not None
    assert hold(user).changed
    assert (user.world.serving.running(), groups(user)) == ({}, ())


def test_a_held_service_can_be_taken_away(user: User) -> None:
    """There is nothing to stop."""
    hold(user)
    assert not user.destroy().failed
    assert user.state.resources == {}


@pytest.mark.parametrize("address", ["service.unknown", "dataset.digits"])
def test_only_services_are_held(user: User, address: str) -> None:
    """Anything else is an error that says so."""
    parsed, backend, clock = Address.parse(address), user.backend, user.world.clock
    with pytest.raises(PlanError, match="serv"):
        start(parsed, backend=backend, clock=clock, settings=settings())
    with pytest.raises(PlanError, match="serv"):
        stop(
            parsed,
            backend=backend,
            executors=FakeExecutors(user.world),
            sink=user.events.append,
            clock=clock,
            settings=settings(),
        )


# ---- crashes ----


def test_a_crash_at_any_point_of_a_change_converges() -> None:
    """Before and after every effect of the change of what is served: the next apply makes it so."""
    number = 0
    while True:
        user = User(world(), SERVED)
        user.apply()
        user.edit("digits", "TrainingJob", parameters={"C": 5.0})
        user.edit("digits", "Service", replicas=2)
        first = len(user.world.points)
        user.world.faults[first + number] = Fault.CRASH
        try:
            user.apply()
        except SimulatedCrash:
            pass
        else:
            break
        assert "" not in answers(user), f"point {number}"
        assert not user.apply().failed
        (name,) = groups(user)
        assert (answers(user), user.world.serving.running()) == ({name: 100}, {name: 2}), f"point {number}"
        assert user.plan().empty
        assert user.world.violations == []
        number += 1
    assert number > 5
