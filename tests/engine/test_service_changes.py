"""How changes of services fail, are killed, are cancelled, and take addresses from each other: nothing is left over."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from fakes import ALGORITHM, DATASET, KINDS, MODEL, POOL, SERVICE, STORE, TRAINING, User, change_of, world

from specforge.core.address import Address
from specforge.core.serving import Listen
from specforge.engine.holding import start, stop
from specforge.engine.planning import look_for_drift
from specforge.engine.session import ApplySettings, Interrupts
from specforge.executors.fake import FakeExecutors, Fault, SimulatedCrash

THERE = {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}}
SECOND = {**SERVICE, "name": "second", "port": 8081}
SERVED = (STORE, POOL, THERE, DATASET, ALGORITHM, {**TRAINING, "evaluate": None}, MODEL, SERVICE)
ADDRESS, OTHER = Address("service", "digits"), Address("service", "second")


@pytest.fixture
def user() -> User:
    """Applied: the service answers."""
    made = User(world(), SERVED)
    assert not made.apply().failed
    return made


def answers(user: User, port: int = 8080) -> dict[str, int]:
    """Who answers."""
    return user.world.serving.requests(Listen("127.0.0.1", port))


def recorded(user: User, address: Address = ADDRESS) -> tuple[str, ...]:
    """The names of the groups that are recorded."""
    return tuple(each.name for each in user.state.resources[address].groups)


def there_is(user: User) -> tuple[dict[str, int], set[str]]:
    """The replicas that run, and the places of routes."""
    return user.world.serving.running(), {place for place, _ in user.world.serving.routes}


def drifts(user: User) -> list[str]:
    """What drifted."""
    found = look_for_drift(user.state, "default", KINDS, FakeExecutors(user.world), user.world.clock())
    return [f"{each.address}: {each.what}" for each in found.drift]


def hold(user: User) -> None:
    """Stop the service."""
    stop(
        ADDRESS,
        backend=user.backend,
        executors=FakeExecutors(user.world),
        sink=user.events.append,
        clock=user.world.clock,
        settings=ApplySettings(),
    )


def crash(user: User, number: int, command: Any) -> bool:
    """Let the command be killed at its n-th point from here; return whether it got that far."""
    user.world.faults = {len(user.world.points) + number: Fault.CRASH}
    try:
        command()
    except SimulatedCrash:
        return True
    finally:
        user.world.heal()
    return False


def is_settled(user: User, *, port: int = 8080, count: int = 1, pool: str = "here") -> bool:
    """Whether one apply makes it so: one group of so many replicas, one route to it, and nothing else."""
    assert not user.apply().failed
    (name,) = recorded(user)
    assert answers(user, port) == {name: 100}
    assert there_is(user) == ({name: count}, {f"fake-pool:{pool}"})
    assert set(user.world.serving.groups) == {(f"fake-pool:{pool}", name)}
    assert user.world.violations == []
    assert drifts(user) == []
    return user.plan().empty


# ---- failures ----


def test_routes_whose_reply_is_lost_are_set_back_before_anything_ends(user: User) -> None:
    """Requests went to the new replicas already: they end only when the old ones get the requests again."""
    (old,) = recorded(user)
    user.edit("digits", "Service", request={"queue": 7})
    user.world.faults = {("after", "routes"): Fault.ERROR}
    assert user.apply().failed
    assert (answers(user), there_is(user)) == ({old: 100}, ({old: 1}, {"fake-pool:here"}))
    assert user.world.violations == []
    assert user.state.resources[ADDRESS].intent is None
    assert is_settled(user)


def test_routes_that_cannot_be_set_back_keep_all_replicas(user: User) -> None:
    """Nobody knows where requests go: old and new stay, and the record says so; that is no drift."""
    (old,) = recorded(user)
    user.edit("digits", "Service", request={"queue": 7})
    user.world.faults = {("after", "routes"): Fault.UNREACHABLE}
    assert user.apply().failed
    user.world.heal()
    assert "" not in answers(user)
    assert set(there_is(user)[0]) == set(recorded(user)) > {old}
    assert user.state.resources[ADDRESS].intent is not None
    assert drifts(user) == []
    assert is_settled(user)


def test_a_first_service_whose_reply_is_lost_leaves_nothing() -> None:
    """Its address is given up before its replicas end."""
    made = User(world(), SERVED)
    made.world.faults = {("after", "routes"): Fault.ERROR}
    assert made.apply().failed
    assert there_is(made) == ({}, set())
    assert made.world.violations == []
    assert is_settled(made)


@pytest.mark.parametrize(("before", "wished"), [(1, 3), (3, 1)])
def test_a_change_that_fails_leaves_as_many_replicas_as_before(user: User, before: int, wished: int) -> None:
    """They were scaled before the address was found to be taken."""
    user.documents = (*user.documents, SECOND)
    user.edit("digits", "Service", replicas=before)
    assert not user.apply().failed
    user.edit("digits", "Service", port=8081, replicas=wished)
    assert user.apply().failed
    (name,) = recorded(user)
    assert (user.world.serving.running()[name], answers(user)) == (before, {name: 100})
    assert drifts(user) == []


def test_what_cannot_be_scaled_back_stays_under_way(user: User) -> None:
    """The record says that it may be anything, and the next apply makes it so."""
    user.documents = (*user.documents, SECOND)
    assert not user.apply().failed
    user.edit("digits", "Service", port=8081, replicas=3)
    user.world.faults = {("before", "replicas end"): Fault.ERROR}
    assert user.apply().failed
    assert user.state.resources[ADDRESS].intent is not None
    user.documents = tuple(each for each in user.documents if each["name"] != "second")
    user.edit("digits", "Service", port=8080)
    assert is_settled(user, count=3)


def test_a_second_interrupt_takes_new_replicas_away(user: User) -> None:
    """They were loading; cleaning up is not cancelled."""
    (old,) = recorded(user)
    user.world.serving.loading.add("--queue=7")
    user.edit("digits", "Service", request={"queue": 7})
    interrupts = Interrupts()
    plan = user.plan()
    applying = Thread(target=lambda: user.apply(plan, interrupts))
    applying.start()
    with user.world.changed:
        assert user.world.changed.wait_for(lambda: len(user.world.serving.running()) == 2, timeout=20)
    interrupts.cancel()
    applying.join(20)
    assert (there_is(user)[0], recorded(user)) == ({old: 1}, (old,))
    user.world.serving.finish()
    assert is_settled(user)


def test_what_was_killed_is_repaired_although_its_model_may_change(user: User) -> None:
    """The model turns out to have equal bytes: the service is not cut off, for its replicas are gone."""
    program = user.world.program
    user.world.program = lambda call: program(replace(call, code={}) if call.step.name == "train" else call)
    user.world.project["code/train.py"] = b"train()  # a comment\n"
    user.apply()
    (name,) = recorded(user)
    user.world.project["code/train.py"] = b"train()  # another comment\n"
    user.world.serving.kill_group(name)
    plan = user.plan()
    assert change_of(plan, "service.digits").if_changed == ()
    assert not user.apply(plan).failed
    assert (recorded(user), answers(user)) == ((name,), {name: 100})


# ---- kills ----


@pytest.mark.parametrize("then", ["again", "back", "stopped", "destroyed", "removed"])
def test_a_move_killed_at_any_point_leaves_nothing_wherever_it_goes(then: str) -> None:
    """The routes may be at either place: whatever is wished next, none of them stays."""
    number = 0
    while True:
        user = User(world(), SERVED)
        user.apply()
        user.edit("digits", "Service", pool="there")
        if not crash(user, number, user.apply):
            break
        number += 1
        if then in ("again", "back"):
            pool = "there" if then == "again" else "here"
            user.edit("digits", "Service", pool=pool)
            assert is_settled(user, pool=pool), number
            continue
        if then == "stopped":
            hold(user)
        elif then == "removed":
            user.documents = user.documents[:-1]
            assert not user.apply().failed
        else:
            assert not user.destroy().failed
        assert (there_is(user), user.world.violations) == (({}, set()), []), number
    assert number > 8


def test_a_first_service_killed_and_moved_leaves_nothing_behind() -> None:
    """No address is recorded yet, but it may be held."""
    number = 0
    while True:
        user = User(world(), SERVED[:-1])
        user.apply()
        user.documents = SERVED
        if not crash(user, number, user.apply):
            break
        user.edit("digits", "Service", pool="there")
        assert is_settled(user, pool="there"), number
        number += 1
    assert number > 3


def test_a_removal_killed_at_any_point_is_no_drift_and_goes_either_way() -> None:
    """Declared again it serves again; else it is gone."""
    number = 0
    while True:
        user = User(world(), SERVED)
        user.apply()
        user.documents = SERVED[:-1]
        if not crash(user, number, user.apply):
            break
        assert drifts(user) == [], number
        user.documents = SERVED
        assert is_settled(user), number
        number += 1
    assert number > 3


def test_a_stop_killed_and_started_again_is_no_drift(user: User) -> None:
    """What it had ended by then is started by the next apply."""
    assert crash(user, 1, lambda: hold(user))
    assert answers(user) == {"": 100}
    start(ADDRESS, backend=user.backend, clock=user.world.clock, settings=ApplySettings())
    assert drifts(user) == []
    assert is_settled(user)


# ---- addresses ----


def both(user: User) -> tuple[int, int]:
    """The ports at which the two services answer, each with its own replicas alone."""
    ports = []
    for address in (ADDRESS, OTHER):
        (name,) = recorded(user, address)
        ports.append(next(port for port in range(8080, 8090) if answers(user, port) == {name: 100}))
    assert user.world.violations == []
    assert len(user.world.serving.routes) == 2
    first, second = ports
    return first, second


@pytest.mark.parametrize("parallelism", [1, 8])
def test_an_address_goes_from_one_service_to_another_in_one_apply(user: User, parallelism: int) -> None:
    """Who gives it up comes first: to another port, or away."""
    user.documents = (*user.documents, SECOND)
    user.apply()
    user.edit("digits", "Service", port=8081)
    user.edit("second", "Service", port=8082)
    assert not user.apply(parallelism=parallelism).failed
    assert both(user) == (8081, 8082)
    user.documents = (*SERVED[:-1], {**SERVICE, "name": "renamed", "port": 8081})
    assert not user.apply(parallelism=parallelism).failed
    (name,) = recorded(user, Address("service", "renamed"))
    assert answers(user, 8081) == {name: 100}
    assert user.plan().empty


@pytest.mark.parametrize("parallelism", [1, 8])
def test_two_services_exchange_their_addresses(user: User, parallelism: int) -> None:
    """One of them has to let go first."""
    user.documents = (*user.documents, SECOND)
    user.apply()
    user.edit("digits", "Service", port=8081)
    user.edit("second", "Service", port=8080)
    assert not user.apply(parallelism=parallelism).failed
    assert both(user) == (8081, 8080)
    assert user.plan().empty


def test_an_exchange_that_fails_gives_both_their_addresses_back(user: User) -> None:
    """Nobody is left without one."""
    user.documents = (*user.documents, SECOND)
    user.apply()
    user.edit("digits", "Service", port=8081)
    user.edit("second", "Service", port=8080)
    before = len(user.world.points)
    user.world.faults = {before + 3: Fault.ERROR}  # one has let go; then the other got it, and the reply was lost
    assert user.apply().failed
    assert both(user) == (8080, 8081)
    assert not user.apply().failed
    assert both(user) == (8081, 8080)


@pytest.mark.parametrize("reverted", [False, True])
def test_an_exchange_killed_at_any_point_goes_on_or_back(reverted: bool) -> None:
    """Where the one that was at work listens is not recorded yet: both addresses are taken to be held by it."""
    number = 0
    while True:
        user = User(world(), (*SERVED, SECOND))
        user.apply()
        user.edit("digits", "Service", port=8081)
        user.edit("second", "Service", port=8080)
        if not crash(user, number, lambda user=user: user.apply(parallelism=1)):
            break
        wished = (8080, 8081) if reverted else (8081, 8080)
        user.edit("digits", "Service", port=wished[0])
        user.edit("second", "Service", port=wished[1])
        assert not user.apply(parallelism=1).failed, number
        assert both(user) == wished
        assert user.plan().empty
        number += 1
    assert number > 4
