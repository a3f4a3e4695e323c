"""Making the routes be as a step wants them, without losing a request. Begun again from anywhere, it converges.

Envoy takes one file after the other, so the order matters: the groups that will answer are known to it and healthy
before the routes name them, and the groups that are left stay known until their last request is answered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn

from specforge.core.errors import ExecutionError
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen
from specforge.executors.base import Result, StepContext, StepEvent
from specforge.executors.gateway import config, failures, ports
from specforge.executors.gateway.admin import SilentError
from specforge.executors.gateway.config import BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, Upstream
from specforge.executors.gateway.envoy import Envoy
from specforge.executors.gateway.folder import FILES, LOG, RouteFolder
from specforge.executors.local.pool import Pool
from specforge.executors.replicas.supervisord import NoAnswer, Refused

_TAKE_OVER = 15.0
_GO_BACK = 5.0
_NUDGE = 1.0
_LOOK = 0.2
# A request that is tried again at another replica waits 20 ms at most; in between it is in flight to nobody.
_BETWEEN_LOOKS = 0.05


def set_routes(pool: Pool, step: SetRoutes, context: StepContext) -> Result:
    """Perform the step; raises ExecutionError, with the routes as they were, and Cancelled when asked to stop."""
    folder = RouteFolder(pool, step.route)
    performer = _Performer(pool, folder, step, context)
    with _in_words(folder, context):
        if not step.weights and not folder.leaves_traces():
            performer.envoy.end()  # a kill may have left it behind
            return Result()
        with folder.fence(context.cancel) as held:
            if not held:
                raise failures.cancelled(step.route, context.key.address)
            return performer.perform()


@contextmanager
def _in_words(folder: RouteFolder, context: StepContext) -> Iterator[None]:
    """Have what goes wrong be an ExecutionError."""
    route, address = folder.route, context.key.address
    try:
        yield
    except (NoAnswer, Refused) as error:
        raise failures.not_kept_up(route, str(error), address) from error
    except SilentError as error:
        raise failures.not_taken(route, f"what it was told ({error})", folder.path / LOG, address) from error
    except OSError as error:
        raise failures.no_room(route, error, address) from error


def take_out(pool: Pool, group: str, numbers: Collection[int], context: StepContext) -> None:
    """Lead no new request to these replicas of the group, whatever route it belongs to; returns when none will come.

    What they were asked before is theirs to answer. Raises ExecutionError, Cancelled when asked to stop.
    """
    try:
        routes = sorted(each for each in os.listdir(pool.folder / "routes") if not each.startswith("."))
    except FileNotFoundError:
        return
    for route in routes:
        folder = RouteFolder(pool, route)
        # What a step would say of these routes is not known here, and not needed: they stay as they are.
        nothing = SetRoutes(pool.place, route, None, Frozen())
        with _in_words(folder, context), folder.fence(context.cancel) as held:
            if not held:
                raise failures.cancelled(route, context.key.address)
            _Performer(pool, folder, nothing, context).take_out(group, numbers)


class _Performer:
    """One performance, behind the fence."""

    def __init__(self, pool: Pool, folder: RouteFolder, step: SetRoutes, context: StepContext) -> None:
        self.envoy = Envoy(pool, folder)
        self._admin = self.envoy.admin
        self._folder = folder
        self._step = step
        self._context = context
        self._weights = {str(group): int(weight) for group, weight in step.weights.items() if weight}
        self._both: bytes | None = None
        self._hears_stop = True

    def perform(self) -> Result:
        """Give the address up, start Envoy, or let the one that runs change over."""
        listen = self._step.listen
        if not self._weights or listen is None:
            self._give_up()
            return Result()
        wanted = self._contents(listen)
        before = {name: self._folder.read(name) for name in FILES}
        served = self.envoy.serves()
        try:
            if served:
                self._change(listen, wanted)
            else:
                self._start(listen, wanted)
        except (ExecutionError, SilentError, OSError):
            self._back_to(before, served=served)
            raise
        self._folder.settle(wanted, self._weights)
        self._folder.keep_links(self._weights)
        return Result(Frozen({"address": listen.url}))

    def take_out(self, group: str, numbers: Collection[int]) -> None:
        """Lead no new request to these replicas of the group; its others, if there are any, get them."""
        if not self.envoy.is_up():
            return
        known = self._admin.health()
        going = set(self._folder.upstream(group, numbers).sockets)
        staying = {socket: well for socket, well in known.get(group, {}).items() if socket not in going}
        if any(staying.values()):
            upstreams = [Upstream(each, tuple(staying if each == group else known[each])) for each in known]
            self._put(CLUSTERS, config.clusters(upstreams))

    def _contents(self, address: Listen) -> dict[str, bytes]:
        upstreams = [self._folder.upstream(group) for group in self._weights]
        for each in upstreams:
            if not each.sockets:
                raise failures.nobody_answers(self._step.route, each.group, 0, self._context.key.address)
        return {
            BOOTSTRAP: config.bootstrap(),
            CLUSTERS: config.clusters(upstreams),
            ROUTES: config.routes(self._weights, self._step.timeout),
            LISTENERS: config.listeners([address]),
        }

    # ---- from nothing ----

    def _start(self, address: Listen, wanted: Mapping[str, bytes]) -> None:
        """Begin with everything as it is wanted."""
        if self.envoy.is_up():
            self._quiet_down()  # it runs, but nobody would start it again
        self.envoy.end()
        self._say("the gateway starts")
        self._refuse_taken(address)
        self._folder.path.mkdir(parents=True, exist_ok=True)
        for group in self._weights:
            self._folder.link(group)
        for name in FILES:
            if self._folder.read(name) != wanted[name]:
                self._folder.write(name, wanted[name])
        self.envoy.start()
        self._until(self.envoy.is_up, "its files")
        self._until_used(CLUSTERS, wanted[CLUSTERS])
        self._until_healthy()
        self._until_listening(address, wanted[LISTENERS])
        self._until_used(ROUTES, wanted[ROUTES])

    # ---- under load ----

    def _change(self, address: Listen, wanted: Mapping[str, bytes]) -> None:
        """Change over from what Envoy does now, whoever told it."""
        known = [*self._admin.health()]
        left = [each for each in known if each not in self._weights]
        for group in self._weights:
            self._folder.link(group)
        if self._folder.read(BOOTSTRAP) != wanted[BOOTSTRAP]:
            self._folder.write(BOOTSTRAP, wanted[BOOTSTRAP])  # for the next start; this process has read it
        self._both = config.clusters([self._folder.upstream(each) for each in (*self._weights, *left)])
        self._put(CLUSTERS, self._both)
        self._until_healthy()
        self._also_listen(address)
        self._put(ROUTES, wanted[ROUTES])
        self._put(LISTENERS, wanted[LISTENERS])
        self._drained(left, self._step.drain)
        self._put(CLUSTERS, wanted[CLUSTERS])

    def _also_listen(self, address: Listen) -> None:
        """Listen on the new address as well; the old one goes on until requests there have somewhere to go."""
        now = [each.address for each in self._admin.listeners() if each.error is None]
        if address in now:
            return
        in_the_way = [each for each in now if ports.collide(each, address)]
        if in_the_way:
            # The machine allows only one of them at a time: there is a moment without either.
            kept = [each for each in now if each not in in_the_way]
            self._put(LISTENERS, config.listeners(kept))
            self._wait(lambda: ports.refusal(address) is None, 2.0)
            now = kept
        self._refuse_taken(address)
        content = config.listeners([*now, address])
        self._folder.write(LISTENERS, content)
        self._until_listening(address, content)

    def _drained(self, groups: list[str], seconds: float) -> None:
        """Wait until the groups have no request in flight, or their time has passed."""
        if groups:
            self._say("waiting for the last requests to the old replicas")
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            flying = self._admin.in_flight()
            busy = any(flying.get(config.statistics_name(each)) for each in groups)
            quiet = 0 if busy else quiet + 1
            return quiet > 1

        if groups:
            self._wait(is_quiet, seconds, pause=_BETWEEN_LOOKS)

    # ---- the end ----

    def _give_up(self) -> None:
        """Listen no longer, answer what is in flight, end, and leave nothing."""
        if self.envoy.is_up():
            self._quiet_down()
        self.envoy.end()
        self._folder.remove()

    def _quiet_down(self) -> None:
        self._say("waiting for the last requests")
        self._put(LISTENERS, config.listeners([]))
        self._wait(lambda: self._admin.requests() == 0, self._step.drain, pause=_BETWEEN_LOOKS)

    def _back_to(self, before: Mapping[str, bytes | None], *, served: bool) -> None:
        """Have everything as it was: whoever is told of the failure may end the new replicas at once."""
        if not served:
            self.envoy.end()
        if not any(before.values()):
            self._folder.remove()
            return
        self._hears_stop = False
        back = [(ROUTES, before[ROUTES]), (LISTENERS, before[LISTENERS]), (CLUSTERS, before[CLUSTERS])]
        for name, content in [(CLUSTERS, self._both), *back, (BOOTSTRAP, before[BOOTSTRAP])]:
            if content is not None and self._folder.read(name) != content:
                self._folder.write(name, content)
                if served and name != BOOTSTRAP:
                    # What was before may have been nonsense that somebody wrote.
                    with suppress(ExecutionError, ValueError, KeyError, TypeError):
                        self._wait(partial(self._is_used, name, config.version_of(content)), _GO_BACK)
        if served:
            with suppress(ExecutionError, SilentError):
                groups = [each for each in self._weights if each not in self._admin.weights()]
                self._drained(groups, min(self._step.drain, _GO_BACK))

    # ---- telling Envoy, and waiting for it ----

    def _put(self, name: str, content: bytes) -> None:
        """Have Envoy use this content of a file; nothing happens if it does already."""
        if self._folder.read(name) != content or self.envoy.version(name) != config.version_of(content):
            self._folder.write(name, content)
            self._until_used(name, content)

    def _until_used(self, name: str, content: bytes) -> None:
        self._until(partial(self._is_used, name, config.version_of(content)), f"`{name}`", again=(name, content))

    def _is_used(self, name: str, version: str) -> bool:
        return self.envoy.version(name) == version

    def _until_healthy(self) -> None:
        def all_answer() -> bool:
            health = self._admin.health()
            return all(any(health.get(each, {}).values()) for each in self._weights)

        if not self._wait(all_answer, _TAKE_OVER):
            health = self._admin.health()
            group = next(each for each in self._weights if not any(health.get(each, {}).values()))
            count = len(self._folder.upstream(group).sockets)
            raise failures.nobody_answers(self._step.route, group, count, self._context.key.address)

    def _until_listening(self, address: Listen, content: bytes) -> None:
        version = config.version_of(content)

        def listens() -> bool:
            for each in self._admin.listeners():
                if each.address == address and each.error is not None:
                    raise self._not_listening(address, each.error)
            return self.envoy.version(LISTENERS) == version and ports.answers(address)

        self._until(listens, f"the address {address}")

    def _refuse_taken(self, address: Listen) -> None:
        if (why := ports.refusal(address)) is not None:
            raise failures.cannot_listen(address, why, self._context.key.address)

    def _not_listening(self, address: Listen, error: str) -> ExecutionError:
        return failures.cannot_listen(address, ports.refusal(address) or error, self._context.key.address)

    def _until(self, condition: Callable[[], bool], what: str, again: tuple[str, bytes] | None = None) -> None:
        if not self._wait(condition, _TAKE_OVER, again=again):
            self._too_late(what)

    def _wait(
        self,
        condition: Callable[[], bool],
        seconds: float,
        *,
        pause: float = 0.01,
        again: tuple[str, bytes] | None = None,
    ) -> bool:
        """Wait until the condition holds; return whether it does. Raises when Envoy ends, or a stop is asked for."""
        began = nudged = looked = time.monotonic()
        while True:
            try:
                if condition():
                    return True
            except (SilentError, OSError):
                pass  # it is not there yet, or just being started again
            now = time.monotonic()
            if now - began >= seconds:
                return False
            if now - looked >= _LOOK:
                looked = now
                if self.envoy.has_failed():
                    raise self._failed()
            if again is not None and now - nudged >= _NUDGE:
                self._folder.write(*again)  # a queue of the kernel may have overflown: tell it once more
                nudged = now
            if not self._hears_stop:
                time.sleep(pause)
            elif self._context.cancel.wait(pause):
                raise failures.cancelled(self._step.route, self._context.key.address)

    def _failed(self) -> ExecutionError:
        return failures.not_started(self._step.route, self._folder.path / LOG, self._context.key.address)

    def _too_late(self, what: str) -> NoReturn:
        raise failures.not_taken(self._step.route, what, self._folder.path / LOG, self._context.key.address)

    def _say(self, text: str) -> None:
        self._context.emit(StepEvent("state", text))
