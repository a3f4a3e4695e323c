"""The contract of an executor that sets routes: derive a test class, say how an executor is made, run pytest.

class TestMine(RouteContract):
    def make(self, folder):
        return MyExecutor(...), Place("mine", "here", Frozen())

    def world(self, folder, place):
        return MyWorld(...)  # a Bench: who answers, and what goes wrong

`make` is called several times in one test, with the same folder: executors at one place, as two processes have them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from specforge.core.address import Address
from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.queries import LookAtRoutes, Presence, Seen
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen, Key, Place
from specforge.executors.base import CancelToken, Executor, StepContext

PATIENCE = 30.0
"""How long the suite waits for something that must happen, in seconds."""

OLD, NEW = "service.digits-old", "service.digits-new"
ROUTE = "service.digits-route"


class Bench(Protocol):
    """The world around a gateway, as the suite needs it: who answers, and what goes wrong."""

    def replicas(self, group: str) -> None:
        """Have a replica in this group that answers every request with the group's name."""
        ...

    def request(self, listen: Listen) -> str | int:
        """Send one request; return the group that answered, else the status; 0: nobody listens."""
        ...

    def address(self) -> Listen:
        """Return an address that nobody listens on."""
        ...

    def held(self, listen: Listen) -> AbstractContextManager[Callable[[], str | int]]:
        """Have a request that is not answered until the function is called, which gives who answered it."""
        ...

    def taken(self, listen: Listen) -> AbstractContextManager[None]:
        """Have somebody else listen on this address for a while."""
        ...

    def edit(self, route: str) -> str:
        """Change by hand what the place keeps for this route; return the name that LookAtRoutes is to give."""
        ...

    def kill(self, route: str) -> None:
        """Kill the gateway of this route, as the kernel does when memory is short."""
        ...


class RouteContract:
    """What every executor that sets routes must do; see the module for how to use it."""

    def make(self, folder: Path) -> tuple[Executor, Place]:
        """Return a new executor and its place, which keeps everything in `folder`; override."""
        raise NotImplementedError

    @contextmanager
    def world(self, folder: Path, place: Place) -> Iterator[Bench]:
        """Give the world around that place, and clean up after it; override."""
        raise NotImplementedError(folder, place)
        yield

    @pytest.fixture
    def routes(self, tmp_path: Path) -> Iterator[Routes]:
        """Give a place with two groups, and take the routes away afterwards."""
        folder = tmp_path / "project"
        folder.mkdir()
        one, place = self.make(folder)
        two, _ = self.make(folder)
        with self.world(folder, place) as bench:
            for group in (OLD, NEW):
                bench.replicas(group)
            routes = Routes(one, two, place, bench, bench.address())
            try:
                yield routes
            finally:
                routes.set({}, drain=0.0)

    # ---- requests ----

    def test_requests_reach_the_group(self, routes: Routes) -> None:
        """The step gives the address, and from then on the group answers there."""
        assert routes.set({OLD: 100}) == {"address": routes.listen.url}
        assert routes.ask(20) == {OLD: 20}

    def test_weights_hold(self, routes: Routes) -> None:
        """Of some thousand requests each group gets its share within two points."""
        routes.set({OLD: 90, NEW: 10})
        answers = routes.ask(5000)
        assert set(answers) == {OLD, NEW}
        assert 0.08 < answers[NEW] / 5000 < 0.12

    def test_a_group_of_weight_nothing_gets_nothing(self, routes: Routes) -> None:
        """Weight 0 is no share."""
        routes.set({OLD: 100, NEW: 0})
        assert routes.ask(200) == {OLD: 200}
        assert routes.seen().facts["weights"] == {OLD: 100}

    def test_no_request_is_lost_under_changes(self, routes: Routes) -> None:
        """While weights and groups change under load, every request is answered by a group."""
        routes.set({OLD: 100})
        with routes.load(clients=4) as answers:
            for weights in ({OLD: 50, NEW: 50}, {NEW: 100}, {OLD: 100}, {OLD: 1, NEW: 99}, {NEW: 100}) * 2:
                enough = sum(answers.values()) + 100
                routes.set(weights)
                routes.until(partial(_have_come, answers, enough), "requests")
        assert set(answers) == {OLD, NEW}

    def test_the_old_group_gets_nothing_afterwards(self, routes: Routes) -> None:
        """When the step has returned, no request begun from then on is answered by a group that was left."""
        for old, new in ((OLD, NEW), (NEW, OLD)) * 5:
            routes.set({old: 100})
            assert routes.bench.request(routes.listen) == old
            routes.set({new: 100})
            assert routes.ask(20) == {new: 20}

    def test_waits_for_requests_in_flight(self, routes: Routes) -> None:
        """The step returns only when the group that was left has answered what it was asked."""
        routes.set({OLD: 100})
        with routes.bench.held(routes.listen) as answer, ThreadPoolExecutor(1) as pool:
            change = pool.submit(routes.set, {NEW: 100})
            routes.until(lambda: routes.bench.request(routes.listen) == NEW, "the new group to answer")
            assert not change.done()
            assert answer() == OLD
            change.result(PATIENCE)

    def test_waits_no_longer_than_asked(self, routes: Routes) -> None:
        """A request that goes on longer than `drain` seconds holds nothing up."""
        routes.set({OLD: 100})
        with routes.bench.held(routes.listen):
            routes.set({NEW: 100}, drain=0.1)
            assert routes.ask(20) == {NEW: 20}

    # ---- the address ----

    def test_another_address_takes_over(self, routes: Routes) -> None:
        """Another port: requests are answered there, and the old one is given up."""
        routes.set({OLD: 100})
        before, routes.listen = routes.listen, routes.bench.address()
        assert routes.set({OLD: 100}) == {"address": routes.listen.url}
        assert routes.ask(5) == {OLD: 5}
        routes.until(lambda: routes.bench.request(before) == 0, "the old address to be given up")
        assert routes.seen().facts["listen"] == str(routes.listen)

    def test_a_taken_port_is_told(self, routes: Routes) -> None:
        """A port that somebody else has is an error that names it; nothing is left, and the step may be repeated."""
        with routes.bench.taken(routes.listen), pytest.raises(ExecutionError) as caught:
            routes.set({OLD: 100})
        assert str(routes.listen.port) in str(caught.value)
        assert caught.value.diagnostics[0].hint
        assert routes.seen().presence is Presence.ABSENT
        routes.set({OLD: 100})
        assert routes.ask(5) == {OLD: 5}

    def test_a_taken_port_leaves_the_old_address(self, routes: Routes) -> None:
        """When the new address cannot be had, the old one goes on as before."""
        routes.set({OLD: 100})
        before, routes.listen = routes.listen, routes.bench.address()
        with routes.bench.taken(routes.listen), pytest.raises(ExecutionError):
            routes.set({NEW: 100})
        routes.listen = before
        assert routes.ask(20) == {OLD: 20}
        seen = routes.seen()
        assert (seen.facts["listen"], seen.facts["weights"], seen.facts["edited"]) == (str(before), {OLD: 100}, ())

    def test_preflight_knows_taken_ports(self, routes: Routes) -> None:
        """Preflight finds a taken port before anything runs, and is silent about the route's own."""
        step = routes.step({OLD: 100})
        with routes.bench.taken(routes.listen):
            assert str(routes.listen.port) in routes.one.preflight(routes.place, [step], None)[0].detail
        assert not routes.one.preflight(routes.place, [step], None)
        routes.set({OLD: 100})
        assert not routes.two.preflight(routes.place, [step], None)

    def test_given_up(self, routes: Routes) -> None:
        """Without weights nobody listens any more; asking for it twice is fine, and the address is free."""
        routes.set({OLD: 100})
        assert routes.set({}) == {}
        assert routes.bench.request(routes.listen) == 0
        assert routes.seen() == Seen(Presence.ABSENT)
        routes.set({})
        with routes.bench.taken(routes.listen):
            pass

    def test_giving_up_answers_what_is_in_flight(self, routes: Routes) -> None:
        """A request that was begun is answered before the address is gone for good."""
        routes.set({OLD: 100})
        with routes.bench.held(routes.listen) as answer, ThreadPoolExecutor(1) as pool:
            change = pool.submit(routes.set, {})
            routes.until(lambda: routes.bench.request(routes.listen) == 0, "the address to be given up")
            assert not change.done()
            assert answer() == OLD
            change.result(PATIENCE)

    # ---- again, at once, cancelled ----

    def test_twice_is_once(self, routes: Routes) -> None:
        """The same step again changes nothing: the same process goes on."""
        routes.set({OLD: 90, NEW: 10})
        before = routes.seen()
        assert routes.set({OLD: 90, NEW: 10}, executor=routes.two) == {"address": routes.listen.url}
        assert routes.seen() == before

    def test_two_at_once(self, routes: Routes) -> None:
        """Two processes that set the routes at once follow each other."""
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(routes.set, {OLD: 100}, executor=each) for each in (routes.one, routes.two)]
            assert [each.result(PATIENCE) for each in both] == [{"address": routes.listen.url}] * 2
        assert routes.ask(5) == {OLD: 5}

    def test_a_stop_is_heard(self, routes: Routes) -> None:
        """Asked to stop while it waits, the step ends with the routes as they were; the next one converges."""
        routes.set({OLD: 100})
        token = CancelToken()
        with routes.bench.held(routes.listen), ThreadPoolExecutor(1) as pool:
            change = pool.submit(routes.set, {NEW: 100}, token=token)
            routes.until(lambda: routes.bench.request(routes.listen) == NEW, "the new group to answer")
            token.cancel()
            with pytest.raises(Cancelled):
                change.result(PATIENCE)
            assert routes.ask(20) == {OLD: 20}
        assert routes.seen().facts["edited"] == ()
        routes.set({NEW: 100})
        assert routes.ask(5) == {NEW: 5}

    # ---- what is seen, what goes wrong ----

    def test_what_is_seen(self, routes: Routes) -> None:
        """The answer says where and how requests go, and who leads them since when."""
        assert routes.seen() == Seen(Presence.ABSENT)
        routes.set({OLD: 90, NEW: 10})
        seen = routes.seen()
        assert seen.presence is Presence.PRESENT
        facts = {name: seen.facts[name] for name in ("listen", "weights", "edited")}
        assert facts == {"listen": str(routes.listen), "weights": {OLD: 90, NEW: 10}, "edited": ()}
        assert seen.facts["pid"] > 0
        assert abs(time.time() - seen.facts["started"]) < PATIENCE
        assert seen.since == seen.facts["started"]

    def test_edits_by_hand_are_found_and_repaired(self, routes: Routes) -> None:
        """What somebody changed by hand is named, and the step puts it right."""
        routes.set({OLD: 90, NEW: 10})
        name = routes.bench.edit(ROUTE)
        assert routes.seen().facts["edited"] == (name,)
        routes.set({OLD: 90, NEW: 10})
        seen = routes.seen()
        assert (seen.facts["edited"], seen.facts["weights"]) == ((), {OLD: 90, NEW: 10})
        assert set(routes.ask(200)) == {OLD, NEW}

    def test_a_killed_gateway_comes_back(self, routes: Routes) -> None:
        """Killed, it is gone for the time being at most; the step has it work again."""
        routes.set({OLD: 100})
        before = routes.seen()
        routes.bench.kill(ROUTE)
        routes.set({OLD: 100})
        assert routes.ask(5) == {OLD: 5}
        assert routes.seen().facts["started"] > before.facts["started"]

    def test_a_group_that_does_not_answer_gets_nothing(self, routes: Routes) -> None:
        """A group without replicas is refused, and requests go where they went."""
        routes.set({OLD: 100})
        with pytest.raises(ExecutionError, match=r"service\.digits-nobody"):
            routes.set({"service.digits-nobody": 100})
        assert routes.ask(20) == {OLD: 20}
        assert routes.seen().facts["weights"] == {OLD: 100}

    def test_routes_know_nothing_of_each_other(self, routes: Routes) -> None:
        """Another route at the same place has its own address, and does not go with the first."""
        routes.set({OLD: 100})
        listen = routes.bench.address()
        other = SetRoutes(routes.place, "service.other-route", listen, Frozen({NEW: 100}))
        gone = SetRoutes(routes.place, "service.other-route", None, Frozen(), drain=0.0)
        try:
            routes.one.perform(other, routes.context())
            assert (routes.bench.request(routes.listen), routes.bench.request(listen)) == (OLD, NEW)
            routes.set({})
            assert routes.bench.request(listen) == NEW
        finally:
            routes.one.perform(gone, routes.context())
        assert routes.bench.request(listen) == 0


def _have_come(answers: Counter[str | int], enough: int) -> bool:
    return sum(answers.values()) > enough


class Routes:
    """The routes under test, with what the suite does again and again."""

    def __init__(self, one: Executor, two: Executor, place: Place, bench: Bench, listen: Listen) -> None:
        self.one, self.two, self.place, self.bench, self.listen = one, two, place, bench, listen

    def step(self, weights: dict[str, int], drain: float = PATIENCE) -> SetRoutes:
        """Return the step that sets these weights."""
        return SetRoutes(self.place, ROUTE, self.listen if weights else None, Frozen(weights), drain=drain)

    def context(self, token: CancelToken | None = None) -> StepContext:
        """Return what the step is performed with."""
        key = Key("lineage", Address("service", "digits"), "a" * 64, 1, "routes")
        return StepContext(key, cancel=token or CancelToken())

    def set(
        self,
        weights: dict[str, int],
        drain: float = PATIENCE,
        executor: Executor | None = None,
        token: CancelToken | None = None,
    ) -> dict[str, Any]:
        """Set the routes and return the outputs."""
        return dict((executor or self.one).perform(self.step(weights, drain), self.context(token)).outputs)

    def seen(self) -> Seen:
        """Look at the routes, through the second executor."""
        query = LookAtRoutes(self.place, ROUTE)
        return self.two.observe(self.place, [query], 10)[query]

    def ask(self, times: int) -> Counter[str | int]:
        """Send so many requests; return who answered how many."""
        return Counter(self.bench.request(self.listen) for _ in range(times))

    @contextmanager
    def load(self, clients: int) -> Iterator[Counter[str | int]]:
        """Have clients send one request after the other; gives who answered how many."""
        stop, answers, lock = threading.Event(), Counter[str | int](), threading.Lock()

        def client() -> None:
            while not stop.is_set():
                answer = self.bench.request(self.listen)
                with lock:
                    answers[answer] += 1

        with ThreadPoolExecutor(clients) as pool:
            futures = [pool.submit(client) for _ in range(clients)]
            try:
                yield answers
            finally:
                stop.set()
            for each in futures:
                each.result(PATIENCE)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; fail after a while."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.005)
