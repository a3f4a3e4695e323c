"""What would keep routes from being set, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from specforge.core.diagnostics import Diagnostic
from specforge.core.steps import SetRoutes
from specforge.executors.gateway import failures, ports
from specforge.executors.gateway.admin import Admin, SilentError
from specforge.executors.gateway.envoy import find_envoy
from specforge.executors.gateway.folder import RouteFolder
from specforge.executors.local.pool import Pool


def preflight(pool: Pool, step: SetRoutes) -> Iterator[Diagnostic]:
    """Give the diagnostics; a port that this very route has, or is about to free, is free."""
    if not step.weights or step.listen is None:
        return
    if find_envoy() is None:
        yield failures.no_gateway()
    wanted = step.listen
    why = ports.refusal(wanted)
    if why is None:
        return
    admin = Admin(RouteFolder(pool, step.route).path)
    try:
        ours = [each.address for each in admin.listeners() if each.error is None]
    except SilentError:
        ours = []
    if not any(each == wanted or ports.collide(each, wanted) for each in ours):
        yield failures.no_listening(wanted, why)
