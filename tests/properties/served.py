"""Services in a story: how their documents are edited, what befalls them, and what must be true of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes import ALGORITHM, DATASET, KINDS, MODEL, POOL, SERVICE, STORE, TRAINING, User, program, world
from stories import nothing_goes_on

from specforge.core.address import Address
from specforge.core.errors import PlanError
from specforge.core.serving import Listen
from specforge.core.state import Resource
from specforge.core.values import Place
from specforge.engine.handover import addresses_held
from specforge.engine.holding import start, stop
from specforge.engine.planning import look_for_drift
from specforge.engine.session import ApplySettings
from specforge.executors.fake import FakeExecutors, FakeWorld
from specforge.planner.plan import Plan

NAMES = ("digits", "second")
FREE = (8080, 8082, 8083)
DOCUMENTS = (
    STORE,
    POOL,
    {"kind": "Pool", "name": "there", "fake-pool": {"slots": 1}},
    DATASET,
    ALGORITHM,
    {**TRAINING, "evaluate": None},
    MODEL,
)


class Watched(FakeWorld):
    """A world in which traffic is looked at after every effect. `awaited`: who has to answer, at one of which ports."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: dict[Address, set[int]] = {}

    @contextmanager
    def effect(self, name: str, place: Place) -> Iterator[None]:
        """Let it happen, and look."""
        with super().effect(name, place):
            yield
            for address, ports in self.awaited.items():
                if not any(self.answered(address, port) for port in ports):
                    self.violations.append(f"{address} did not answer at {sorted(ports)} after `{name}` at {place}")

    def answered(self, address: Address, port: int) -> bool:
        """Return whether every request to this port is answered by replicas of this service."""
        return all(name.startswith(f"{address}-") for name in self.serving.requests(Listen("127.0.0.1", port)))


@dataclass
class Services:
    """Two services of one user: the documents that are declared now are at their places in `declared`."""

    user: User
    world: Watched
    declared: list[dict[str, Any] | None] = field(default_factory=list)

    # ---- edits ----

    def _declare(self) -> None:
        self.user.documents = (
            *(each for each in self.user.documents if each["kind"] != "Service"),
            *(each for each in self.declared if each is not None),
        )

    def ports(self) -> set[int]:
        """The ports that are declared."""
        return {each["port"] for each in self.declared if each is not None}

    def edit(self, which: int, **fields: Any) -> None:
        """Change fields of one service, if it is declared."""
        document = self.declared[which % 2]
        if document is not None:
            others = {"serves": ("model", "replicas"), "model": ("serves",), "replicas": ("serves",)}
            left_out = {each for name in fields for each in others.get(name, ())}
            kept = {name: value for name, value in document.items() if name not in left_out}
            served = {} if "serves" in fields or "serves" in kept else {"model": "digits"}
            self.declared[which % 2] = {**kept, **served, **fields}
            self._declare()

    def move_to(self, which: int, port: int) -> None:
        """Another port, unless the other service is to have it."""
        if port not in self.ports():
            self.edit(which, port=port)

    def swap(self) -> None:
        """Exchange the ports of both."""
        first, second = self.declared
        if first is not None and second is not None:
            self.edit(0, port=second["port"])
            self.edit(1, port=first["port"])

    def remove(self, which: int) -> None:
        """Take the document of one away."""
        self.declared[which % 2] = None
        self._declare()

    def declare(self, which: int) -> None:
        """Declare one anew, at the first port that is free: maybe one that the other leaves at the same time."""
        port = next(each for each in (8080, 8081, 8082) if each not in self.ports())
        self.declared[which % 2] = {**SERVICE, "name": NAMES[which % 2], "port": port}
        self._declare()

    def rename(self, which: int) -> None:
        """Give one another name, and leave all else as it is."""
        document = self.declared[which % 2]
        if document is not None:
            name, other = NAMES[which % 2], f"{NAMES[which % 2]}-too"
            self.edit(which, name=other if document["name"] == name else name)

    # ---- what befalls them, holds ----

    def recorded(self) -> dict[Address, Resource]:
        """What is recorded of services."""
        return {address: each for address, each in self.user.state.resources.items() if address.kind == "service"}

    def one(self, which: int) -> Address:
        """One that is recorded or could be."""
        known = sorted({*self.recorded(), *(Address("service", each["name"]) for each in self.declared if each)})
        return known[which % len(known)] if known else Address("service", "digits")

    def befall(self, what: str, whom: int) -> None:
        """Let something befall the world."""
        serving = self.world.serving
        groups = sorted((at, each) for at, each in serving.groups if serving.groups[at, each].replicas)
        if what == "lose":
            built = [r.current_version for r in self.user.state.resources.values() if r.current_version]
            if built:
                self.world.lose(built[whom % len(built)].identity)
        elif what in ("gateway", "routes") and serving.routes:
            _, route = sorted(serving.routes)[whom % len(serving.routes)]
            if what == "gateway":
                serving.kill_gateway(route)
            else:
                weights = dict(serving.routes[sorted(serving.routes)[whom % len(serving.routes)]].weights)
                serving.edit_route(route, {name: 1 + weight for name, weight in weights.items()})
        elif what in ("group", "replica", "restart") and groups:
            at, name = groups[whom % len(groups)]
            numbers = sorted(serving.groups[at, name].replicas)
            if what == "group":
                serving.kill_group(name)
            elif what == "replica":
                serving.stop_replica(name, numbers[whom % len(numbers)])
            else:
                serving.kill_replica(serving.groups[at, name].replicas[numbers[0]].pid)

    def stop(self, address: Address) -> None:
        """Stop one; when that came to its end, nothing of it runs."""
        if address not in self.recorded():
            return
        stop(
            address,
            backend=self.user.backend,
            executors=FakeExecutors(self.world),
            sink=self.user.events.append,
            clock=self.world.clock,
            settings=ApplySettings(who="ada", command="spec stop"),
        )
        assert self._running(address) == []

    def start(self, address: Address) -> None:
        """Take the hold of one away."""
        if address in self.recorded():
            start(address, backend=self.user.backend, clock=self.world.clock, settings=ApplySettings(who="ada"))

    def _running(self, address: Address) -> list[str]:
        serving = self.world.serving
        groups = [name for (_, name), each in serving.groups.items() if each.replicas]
        return [name for name in (*groups, *serving.listening()) if name.startswith(f"{address}-")]

    # ---- traffic ----

    @contextmanager
    def watched(self, plan: Plan) -> Iterator[None]:
        """See to it that what answers goes on answering, and what is not to be changed is left alone."""
        left_alone = self._pids({each.address for each in plan.pending})
        self.world.awaited = dict(self._awaited(plan))
        try:
            yield
        finally:
            self.world.awaited = {}
            assert left_alone.items() <= self._pids(set()).items()

    def _pids(self, changed: set[Address]) -> dict[tuple[str, str], list[int]]:
        serving = self.world.serving
        groups = {at: [each.pid for each in group.replicas.values()] for at, group in serving.groups.items()}
        groups |= {at: [route.pid] for at, route in serving.routes.items()}
        return {at: pids for at, pids in groups.items() if not any(at[1].startswith(f"{each}-") for each in changed)}

    def _awaited(self, plan: Plan) -> Iterator[tuple[Address, set[int]]]:
        changes = {each.address: each for each in plan.pending}
        held = {a: {each.port for each in addresses_held(r.outputs)} for a, r in self.recorded().items()}
        for address, record in self.recorded().items():
            change, port = changes.get(address), _port(record)
            if record.held is not None or port is None or not self.world.answered(address, port):
                continue
            if change is None:
                yield address, {port}
                continue
            if change.serving is None or change.place is None:
                continue  # it is taken away
            if not all(change.place.is_at(each) for each in (record.place, *(g.place for g in record.groups))):
                continue  # it is moved
            wished = change.serving.listen.port
            wishes = {a: c.serving.listen.port for a, c in changes.items() if c.serving and a != address}
            takers = [each for each, its in wishes.items() if its in held[address]]
            if any(wished in held.get(each, ()) for each in takers):
                continue  # two exchange their ports: one of them has to give its own up first
            yield address, {port, wished}

    # ---- what must be true ----

    def record_is_true(self) -> None:
        """All that runs is recorded."""
        serving = self.world.serving
        recorded = self.recorded().values()
        groups = {(str(g.place), g.name) for each in recorded for g in each.groups}
        assert {at for at, group in serving.groups.items() if group.replicas} <= groups
        routes = {each.outputs.get("route") for each in recorded}
        assert {name for _, name in serving.routes} <= routes

    def drift(self) -> list[str]:
        """What drifted, and what cannot be reached."""
        report = look_for_drift(self.user.state, "default", KINDS, FakeExecutors(self.world), self.world.clock())
        return [*(f"{each.address}: {each.what}" for each in report.drift), *map(str, report.unreachable)]

    def converge(self) -> None:
        """Without faults, a few applies leave an empty plan and no drift, and the next one starts nothing."""
        for address, record in self.recorded().items():
            if record.held is not None:
                self.stop(address)  # a stop that failed goes on when it is called again
        for _ in range(8):
            try:
                plan = self.user.plan()
                with self.watched(plan):
                    failed = self.user.apply(plan).failed
            except PlanError:
                failed = True
            if failed:  # a version is asked for that was never published, or whose data are lost for good
                assert any(each is not None and "serves" in each for each in self.declared)
                for which in range(2):
                    self.edit(which, model="digits")
            elif plan.empty:
                break
        nothing_goes_on(self.user)
        assert self.drift() == []
        started = dict(self.world.serving.starts)
        self.user.apply()
        assert dict(self.world.serving.starts) == started

    def are_as_wished(self) -> None:
        """Exactly the wished replicas run, exactly the wished routes lead to them."""
        serving, records = self.world.serving, self.recorded()
        documents = {Address("service", each["name"]): each for each in self.declared if each is not None}
        assert set(records) == set(documents)
        groups: dict[tuple[str, str], int] = {}
        routes: dict[tuple[str, str], tuple[int, dict[str, int]]] = {}
        for address, document in documents.items():
            record = records[address]
            if record.held is not None:
                assert record.groups == ()
                continue
            wished = document.get("serves") or [{"replicas": document.get("replicas", 1), "weight": 100}]
            assert sum(each.count for each in record.groups) == sum(each.get("replicas", 1) for each in wished)
            assert sum(each.weight for each in record.groups) == 100
            assert all(each.place.id.endswith(document.get("pool", "here")) for each in record.groups)
            groups |= {(str(each.place), each.name): each.count for each in record.groups}
            weights = {each.name: each.weight for each in record.groups}
            routes[str(record.place), record.outputs["route"]] = (document["port"], weights)
        there = {
            at: sum(each.stopped is None for each in group.replicas.values()) for at, group in serving.groups.items()
        }
        assert there == groups
        found = {at: (each.listen.port, dict(each.weights)) for at, each in serving.routes.items()}
        assert found == routes
        assert not any(each.killed or each.edited for each in serving.routes.values())


def _port(record: Resource) -> int | None:
    listen = record.outputs.get("listen")
    return None if listen is None else int(str(listen).rpartition(":")[2])


def services_of() -> Services:
    """Two services, declared and not applied."""
    made = Watched()
    made.program = program
    made.project.update(world().project)
    services = Services(User(made, DOCUMENTS), made, [None, None])
    services.declare(0)
    services.declare(1)
    return services
