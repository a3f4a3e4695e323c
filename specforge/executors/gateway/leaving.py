"""Replicas that are about to end get no more requests, while the others of their group go on."""

from __future__ import annotations

import os
from collections.abc import Collection

from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen
from specforge.executors.base import StepContext
from specforge.executors.gateway.folder import RouteFolder
from specforge.executors.gateway.routes import RoutePerformer
from specforge.executors.local.pool import Pool


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
        with folder.fence(context.cancel) as held:
            if held:
                RoutePerformer(pool, folder, nothing, context).take_out(group, numbers)
