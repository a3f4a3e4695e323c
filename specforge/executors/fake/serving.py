"""Replicas and routes of a fake world: groups that get ready or do not, gateways, and what may befall them.

Whether a request would be answered is asked with `requests`; what the engine must never do is written to the world's
`violations`: to end replicas that still get requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from itertools import count as count_from
from typing import TYPE_CHECKING, Literal

from specforge.core.errors import Cancelled
from specforge.core.making import dataclass
from specforge.core.queries import LookAtReplicas, LookAtRoutes, Presence, Seen
from specforge.core.serving import Listen
from specforge.core.steps import EnsureReplicas, SetRoutes
from specforge.core.values import EMPTY, Frozen, Place, Run, frozen
from specforge.executors.base import LogLine, StepContext, StepEvent
from specforge.executors.fake.faults import failed
from specforge.executors.fake.files import Files
from specforge.executors.fake.jobs import shown

if TYPE_CHECKING:
    from specforge.executors.fake.world import FakeWorld

_POLL = 0.005


@dataclass
class FakeReplica:
    """One replica: it runs, unless somebody stopped it by hand. Times in seconds of the world."""

    pid: int
    started: float
    exits: int = 0
    stopped: float | None = None


@dataclass
class FakeGroup:
    """Replicas by their numbers. `killed`: when all of them died, and nobody has started them since."""

    run: Run
    wanted: int
    inputs: Mapping[str, Files] = field(default_factory=dict)
    replicas: dict[int, FakeReplica] = field(default_factory=dict)
    killed: float | None = None


@dataclass
class FakeRoute:
    """A gateway: where it listens and who answers. `killed`: when it died."""

    listen: Listen
    weights: Frozen
    pid: int
    started: float
    edited: tuple[str, ...] = ()
    killed: float | None = None


def says_started(run: Run) -> tuple[str, ...]:  # noqa: ARG001
    """Print one line, whatever is run."""
    return ("started",)


class FakeServing:
    """The services of a world. Names of groups and routes are their names at their place; places do not share any.

    Tests set, by a group's name or a word of its argv: `unready` never get ready, `crashing` end while they start,
    `loading` are not ready until `finish`. `prints`: what a replica prints when it is started. `starts`: {group: how
    many replicas were started}.
    """

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self._pids = count_from(1000)
        self.groups: dict[tuple[str, str], FakeGroup] = {}
        self.routes: dict[tuple[str, str], FakeRoute] = {}
        self.unready: set[str] = set()
        self.crashing: set[str] = set()
        self.loading: set[str] = set()
        self.prints: Callable[[Run], tuple[str, ...]] = says_started
        self.starts: Counter[str] = Counter()
        self._printed: dict[tuple[str, str], list[tuple[int, LogLine]]] = {}

    # ---- what befalls them ----

    def finish(self) -> None:
        """Let every group get ready that is loading."""
        with self._world.lock:
            self.loading.clear()
            self._world.changed.notify_all()

    def kill_replica(self, pid: int) -> None:
        """Kill one replica; it is started again at once."""
        with self._world.lock:
            for group in self.groups.values():
                for replica in group.replicas.values():
                    if replica.pid == pid:
                        replica.pid, replica.started = next(self._pids), self._world.now
                        replica.exits += 1

    def kill_group(self, name: str) -> None:
        """Kill all replicas of a group and whatever keeps them up."""
        with self._world.lock:
            for (_, own), group in self.groups.items():
                if own == name:
                    group.killed = self._world.now
                    group.replicas.clear()

    def stop_replica(self, name: str, number: int) -> None:
        """Stop one replica, as somebody does by hand: it stays stopped."""
        with self._world.lock:
            for (_, own), group in self.groups.items():
                if own == name:
                    group.replicas[number].stopped = self._world.now

    def kill_gateway(self, route: str) -> None:
        """Kill the gateway of these routes."""
        with self._world.lock:
            for (_, own), found in self.routes.items():
                if own == route:
                    found.killed = self._world.now

    def edit_route(self, route: str, weights: Mapping[str, int]) -> None:
        """Change the routes by hand, behind our back."""
        with self._world.lock:
            for (_, own), found in self.routes.items():
                if own == route:
                    found.weights, found.edited = Frozen(weights), ("routes",)

    # ---- what is so now ----

    def requests(self, listen: Listen) -> dict[str, int]:
        """Return who answers requests to this address now: {group: percent}; `""` is the share that nobody answers."""
        with self._world.lock:
            answered: Counter[str] = Counter()
            for (place, _), route in self.routes.items():
                if route.listen == listen and route.killed is None:
                    for name, weight in route.weights.items():
                        answered[name if self._ready((place, name)) else ""] += weight
            return {name: share for name, share in answered.items() if share} or {"": 100}

    def running(self) -> dict[str, int]:
        """Return how many replicas run, ready or not: {group: number}."""
        with self._world.lock:
            return {name: len(group.replicas) for (_, name), group in self.groups.items() if group.replicas}

    def listening(self) -> dict[str, Listen]:
        """Return where gateways listen: {route: address}."""
        with self._world.lock:
            return {name: route.listen for (_, name), route in self.routes.items() if route.killed is None}

    def kept_at(self, place: Place) -> bool:
        """Return whether any replica or gateway runs at this place."""
        groups = any(at == str(place) and group.replicas for (at, _), group in self.groups.items())
        return groups or any(at == str(place) and not route.killed for (at, _), route in self.routes.items())

    # ---- replicas ----

    def ensure(self, step: EnsureReplicas, context: StepContext) -> Frozen:
        """Perform the step; raises ExecutionError, Cancelled."""
        world, at = self._world, (str(step.place), step.group)
        if step.run is None or step.count == 0:
            if at in self.groups:
                with world.effect("replicas end", step.place):
                    self._end(at, 0)
                    self.groups.pop(at, None)
            return Frozen(replicas=())
        inputs = {each.name: shown(world.verified(each.tree), each.usages) for each in step.inputs}
        if len(self._up(at, step.count)) < step.count or self.groups[at].wanted < step.count:
            with world.effect("replicas start", step.place):
                self._start(at, step, step.run, inputs)
        self._wait(at, step, context)
        if self.groups[at].wanted > step.count or len(self.groups[at].replicas) > step.count:
            with world.effect("replicas end", step.place):
                self._end(at, step.count)
        return Frozen(replicas=frozen([self._shown(at, number) for number in range(1, step.count + 1)]))

    def _up(self, at: tuple[str, str], most: int) -> list[int]:
        group = self.groups.get(at)
        numbers = range(1, most + 1)
        return [each for each in numbers if group and each in group.replicas and group.replicas[each].stopped is None]

    def _start(self, at: tuple[str, str], step: EnsureReplicas, run: Run, inputs: Mapping[str, Files]) -> None:
        group = self.groups.setdefault(at, FakeGroup(run, step.count))
        group.wanted, group.inputs, group.killed = max(group.wanted, step.count), inputs, None
        up = self._up(at, step.count)
        for number in range(1, step.count + 1):
            if number not in up:
                group.replicas[number] = FakeReplica(next(self._pids), self._world.now)
                self.starts[at[1]] += 1
                lines = self._printed.setdefault(at, [])
                lines += [(number, LogLine(self._world.now, text)) for text in self.prints(run)]

    def _wait(self, at: tuple[str, str], step: EnsureReplicas, context: StepContext) -> None:
        """Wait until they are ready; raises ExecutionError if they will not be."""
        group = self.groups[at]
        while self._is(self.loading, at):
            context.emit(StepEvent("state", f"0 of {step.count} ready"))
            if context.cancel.wait(_POLL):
                raise Cancelled(failed("stopped before the replicas were ready").diagnostics)
        log = "\n".join(line.text for _, line in self._printed.get(at, [])[-10:])
        hint = f"`spec logs {context.key.address}` shows what they printed"
        if self._is(self.crashing, at):
            why = "replica 1 ended twice: it ended with exit code 3"
            with self._world.lock:
                group.replicas.clear()
            raise failed(why, hint=hint, ended=True, log=log)
        if self._is(self.unready, at):
            raise failed(f"0 of {step.count} were ready in time", hint=hint, ended=True, log=log)
        context.emit(StepEvent("state", f"{step.count} of {step.count} ready"))

    def _end(self, at: tuple[str, str], keep: int) -> None:
        """End the replicas above this number; ending the last one that is asked is a violation."""
        group = self.groups.get(at)
        if group is None:
            return
        asked = [name for (_, name), route in self.routes.items() if route.killed is None and route.weights.get(at[1])]
        if keep == 0 and asked and self._ready(at):
            self._world.violations.append(f"the replicas of `{at[1]}` were ended while `{asked[0]}` led there")
        group.wanted = keep
        for number in [each for each in group.replicas if each > keep]:
            del group.replicas[number]

    def _is(self, words: Collection[str], at: tuple[str, str]) -> bool:
        return not {at[1], *self.groups[at].run.argv}.isdisjoint(words)

    def _ready(self, at: tuple[str, str]) -> int:
        """Return how many replicas of a group answer."""
        if at not in self.groups or any(self._is(each, at) for each in (self.unready, self.crashing, self.loading)):
            return 0
        return sum(each.stopped is None for each in self.groups[at].replicas.values())

    def _shown(self, at: tuple[str, str], number: int) -> dict[str, object]:
        replica = self.groups[at].replicas[number]
        return {"number": number, "pid": replica.pid, "started": replica.started}

    def look_at_replicas(self, query: LookAtReplicas) -> Seen:
        """Answer LookAtReplicas."""
        at = (str(query.place), query.group)
        group = self.groups.get(at)
        if group is None or group.killed is not None:
            return Seen(Presence.ABSENT, since=None if group is None else group.killed)
        ready = self._ready(at)
        state: Literal["ready", "failed"] = "ready" if ready else "failed"
        replicas = [
            {
                **self._shown(at, number),
                "state": state if each.stopped is None else "stopped",
                "exits": each.exits,
                "problem": "" if ready else "it does not answer",
            }
            for number, each in sorted(group.replicas.items())
        ]
        facts = {"wanted": group.wanted, "ready": ready, "replicas": replicas}
        since = max((each.stopped for each in group.replicas.values() if each.stopped is not None), default=None)
        return Seen(Presence.PRESENT, facts=frozen(facts), since=since)

    def logs(self, place: Place, group: str, since: float | None) -> Iterator[LogLine]:
        """Give what the group's replicas printed, with their numbers if there are several."""
        with self._world.lock:
            lines = list(self._printed.get((str(place), group), ()))
        many = len({number for number, _ in lines}) > 1
        for number, line in lines:
            if since is None or line.at is None or line.at >= since:
                yield LogLine(line.at, f"{number} | {line.text}") if many else line

    # ---- routes ----

    def set_routes(self, step: SetRoutes) -> Frozen:
        """Perform the step; raises ExecutionError, with the routes as they were."""
        world, at = self._world, (str(step.place), step.route)
        weights = Frozen({name: weight for name, weight in step.weights.items() if weight})
        known = self.routes.get(at)
        if not weights or step.listen is None:
            if known is not None:
                with world.effect("routes", step.place):
                    self.routes.pop(at, None)
            return EMPTY
        self._check(step, step.listen, weights)
        whole = known is not None and known.killed is None and not known.edited
        if not whole or known is None or (known.listen, known.weights) != (step.listen, weights):
            with world.effect("routes", step.place):
                self._set(at, step.listen, weights)
        return Frozen(address=step.listen.url)

    def _check(self, step: SetRoutes, listen: Listen, weights: Frozen) -> None:
        with self._world.lock:
            ours = (str(step.place), step.route)
            others = [(at, each) for at, each in self.routes.items() if at != ours and each.killed is None]
            taken = [at[1] for at, each in others if each.listen.clashes(listen)]
            if taken:
                raise failed(f"{step.listen} is taken by `{taken[0]}`", hint="choose another port")
            for name in weights:
                if not self._ready((str(step.place), name)):
                    raise failed(f"no replica of `{name}` would answer", hint="look at `spec logs`")

    def _set(self, at: tuple[str, str], listen: Listen, weights: Frozen) -> None:
        known = self.routes.get(at)
        if known is None or known.killed is not None:
            self.routes[at] = FakeRoute(listen, weights, next(self._pids), self._world.now)
            return
        known.listen, known.weights, known.edited = listen, weights, ()

    def look_at_routes(self, query: LookAtRoutes) -> Seen:
        """Answer LookAtRoutes."""
        route = self.routes.get((str(query.place), query.route))
        if route is None or route.killed is not None:
            return Seen(Presence.ABSENT, since=None if route is None else route.killed)
        facts = {
            "listen": str(route.listen),
            "weights": route.weights,
            "edited": route.edited,
            "pid": route.pid,
            "started": route.started,
        }
        return Seen(Presence.PRESENT, facts=frozen(facts), since=route.started)
