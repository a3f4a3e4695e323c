"""The fake world keeps the contract of replicas, and tells what became of requests."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtPlace, LookAtReplicas, LookAtRoutes, Presence
from specforge.core.serving import Listen
from specforge.core.steps import EnsurePlace, EnsureReplicas, SetRoutes
from specforge.core.values import Frozen, Key, Place, Run
from specforge.executors.base import StepContext
from specforge.executors.fake import FakeExecutor, FakeWorld, Fault, SimulatedCrash
from specforge.testing.replicas import ReplicaContract
from specforge.testing.store_bench import SUITE

PLACE = Place("fake-pool", "here", Frozen(slots=2))
LISTEN = Listen("127.0.0.1", 8080)
CONTEXT = StepContext(Key("lineage", Address("service", "digits"), "a" * 64, 1, "replicas"))


class TestFakeReplicas(ReplicaContract):
    """The contract, in memory."""

    def make(self, folder, reader):
        if not hasattr(self, "world"):
            self.world = FakeWorld()
            self.world.outside = lambda place: reader(place) if place == SUITE else None
            serving = self.world.serving
            serving.unready, serving.crashing, serving.loading = {"never"}, {"crash"}, {"loading"}
            serving.prints = lambda run: run.argv[1:]
        return FakeExecutor(self.world), PLACE

    def replica(self, behaviour, *words):
        return Run((behaviour, *words))

    def call(self, bench, group, number, path):
        found = self.world.serving.groups[(str(PLACE), group)]
        assert number in found.replicas
        if path.startswith("/in/"):
            name, _, inside = path.removeprefix("/in/").partition("/")
            return 200, found.inputs[name][inside].decode()
        if path == "/slow":
            pytest.skip("requests to these replicas take no time")
        return 200, " ".join(found.run.argv[1:])

    def kill(self, bench, pid):
        self.world.serving.kill_replica(pid)

    def kill_keeper(self, bench):
        for _, name in list(self.world.serving.groups):
            self.world.serving.kill_group(name)

    def test_requests_in_flight_are_answered_first(self, bench):
        pytest.skip("requests to these replicas take no time")

    @contextmanager
    def out_of_reach(self, bench):
        self.world.unreachable.add(str(PLACE))
        yield
        self.world.heal()


@pytest.fixture
def world():
    """A world without services."""
    return FakeWorld()


def perform(world, *steps):
    return [FakeExecutor(world).perform(step, CONTEXT).outputs for step in steps][-1]


def look(world, query):
    return FakeExecutor(world).observe(PLACE, [query], 10)[query]


def group(name, count=1):
    return EnsureReplicas(PLACE, name, Run(("serve",)) if count else None, count)


def routes(weights, listen=LISTEN, route="digits"):
    return SetRoutes(PLACE, route, listen, Frozen(weights))


def test_requests_go_where_the_routes_lead(world):
    """Who answers follows weights, replicas and gateways; what nobody answers is told."""
    assert world.serving.requests(LISTEN) == {"": 100}
    outputs = perform(world, group("old"), group("new"), routes({"old": 90, "new": 10}))
    assert outputs["address"] == "http://127.0.0.1:8080"
    assert world.serving.requests(LISTEN) == {"old": 90, "new": 10}
    world.serving.kill_group("new")
    assert world.serving.requests(LISTEN) == {"old": 90, "": 10}
    world.serving.kill_gateway("digits")
    assert world.serving.requests(LISTEN) == {"": 100}


def test_what_befalls_them_is_seen(world):
    """A gateway that was killed is absent since then; an edited one says so; performing again repairs both."""
    perform(world, group("old"), routes({"old": 100}))
    pid = look(world, LookAtRoutes(PLACE, "digits")).facts["pid"]
    world.serving.edit_route("digits", {"none": 100})
    assert look(world, LookAtRoutes(PLACE, "digits")).facts["edited"] == ("routes",)
    assert world.serving.requests(LISTEN) == {"": 100}
    perform(world, routes({"old": 100}))
    seen = look(world, LookAtRoutes(PLACE, "digits"))
    assert (seen.facts["edited"], seen.facts["pid"], seen.facts["weights"]) == ((), pid, {"old": 100})
    world.serving.kill_gateway("digits")
    seen = look(world, LookAtRoutes(PLACE, "digits"))
    assert (seen.presence, seen.since) == (Presence.ABSENT, world.now)
    perform(world, routes({"old": 100}))
    assert look(world, LookAtRoutes(PLACE, "digits")).facts["pid"] != pid


def test_a_replica_stopped_by_hand_is_seen_and_started_again(world):
    """It is told as stopped, since when, and the step starts it again and leaves the others alone."""
    perform(world, group("old", 2))
    before = look(world, LookAtReplicas(PLACE, "old")).facts["replicas"]
    world.serving.stop_replica("old", 1)
    seen = look(world, LookAtReplicas(PLACE, "old"))
    assert (seen.facts["ready"], seen.since, seen.facts["replicas"][0]["state"]) == (1, world.now, "stopped")
    perform(world, group("old", 2))
    after = look(world, LookAtReplicas(PLACE, "old")).facts["replicas"]
    assert before[1] == after[1]
    assert before[0]["pid"] != after[0]["pid"]


def test_routes_to_nobody_are_refused(world):
    """Routes that would lead to no replica are not set; the ones before go on; so do they when a port is taken."""
    perform(world, group("old"), routes({"old": 100}))
    with pytest.raises(ExecutionError, match="no replica of `new`"):
        perform(world, routes({"new": 100}))
    with pytest.raises(ExecutionError, match="taken by `digits`"):
        perform(world, routes({"old": 100}, route="other"))
    assert world.serving.requests(LISTEN) == {"old": 100}
    assert world.serving.listening() == {"digits": LISTEN}


def test_ending_replicas_that_get_requests_is_a_violation(world):
    """The world tells of an engine that ends replicas before the routes lead elsewhere."""
    perform(world, group("old"), group("new"), routes({"old": 100}), routes({"new": 100}), group("old", 0))
    world.check()
    assert world.serving.running() == {"new": 1}
    perform(world, group("new", 0))
    with pytest.raises(AssertionError, match="`new` were ended while `digits` led there"):
        world.check()


def test_faults_strike_between_the_effects(world):
    """After a crash in any effect, performing again converges to the same, and starts nothing twice."""
    for when in ("before", "after"):
        for effect, steps in [("replicas start", [group("g", 2)]), ("routes", [group("g", 2), routes({"g": 100})])]:
            world.faults[(when, effect)] = Fault.CRASH
            with pytest.raises(SimulatedCrash):
                perform(world, *steps)
            perform(world, group("g", 2), routes({"g": 100}))
            assert world.serving.requests(LISTEN) == {"g": 100}
            assert world.serving.starts["g"] == 2
            perform(world, routes({}), group("g", 0))
            assert (world.serving.running(), world.serving.listening()) == ({}, {})
            world.serving.starts.clear()
    world.check()


def test_a_place_where_replicas_run_is_not_taken_away(world):
    """The place refuses, and goes when nothing runs there any more."""
    perform(world, EnsurePlace(PLACE, PLACE.settings), group("g"))
    with pytest.raises(ExecutionError, match="replicas or gateways run"):
        perform(world, EnsurePlace(PLACE, None))
    perform(world, group("g", 0), EnsurePlace(PLACE, None))
    assert look(world, LookAtPlace(PLACE)).presence is Presence.ABSENT
