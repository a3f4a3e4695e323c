"""The fake pool keeps the contract of routes, as far as a world without requests in flight can."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from itertools import count

import pytest

from specforge.core.address import Address
from specforge.core.serving import Listen
from specforge.core.steps import EnsureReplicas, SetRoutes
from specforge.core.values import Frozen, Key, Place, Run
from specforge.executors.base import StepContext
from specforge.executors.fake import FakeExecutor, FakeWorld
from specforge.testing.gateway import RouteContract

CONTEXT = StepContext(Key("lineage", Address("service", "digits"), "a" * 64, 1, "routes"))


class FakeBench:
    """Who answers in a fake world."""

    def __init__(self, world, place):
        self.world, self.place = world, place
        self.ports, self.chance = count(8000), random.Random(7)

    def perform(self, step):
        FakeExecutor(self.world).perform(step, CONTEXT)

    def replicas(self, group):
        self.perform(EnsureReplicas(self.place, group, Run(("serve",)), 1))

    def request(self, listen):
        shares = self.world.serving.requests(listen)
        return self.chance.choices([*shares], [*shares.values()])[0] or 0

    def address(self):
        return Listen("127.0.0.1", next(self.ports))

    def held(self, listen):
        pytest.skip("no request is in flight in a fake world")

    @contextmanager
    def taken(self, listen):
        self.replicas("service.somebody-else")
        self.perform(SetRoutes(self.place, "taken", listen, Frozen({"service.somebody-else": 100})))
        yield
        self.perform(SetRoutes(self.place, "taken", None, Frozen()))

    def edit(self, route):
        self.world.serving.edit_route(route, {"service.digits-old": 100})
        return "routes"

    def kill(self, route):
        self.world.serving.kill_gateway(route)
        self.world.now += 1


class TestFakeRoutes(RouteContract):
    """The contract, in memory."""

    def make(self, folder):
        if not hasattr(self, "fake"):
            self.fake = FakeWorld()
            self.fake.now = time.time()
        return FakeExecutor(self.fake), Place("fake-pool", "here", Frozen(slots=2))

    @contextmanager
    def world(self, folder, place):
        yield FakeBench(self.fake, place)

    def test_preflight_knows_taken_ports(self, routes):
        """The fake place finds it when the step is performed."""
        pytest.skip("a fake place looks at nothing before")
