"""Where requests go now, as the Envoy that runs really does it; no effect, and nothing is started for it."""

from __future__ import annotations

import os

from specforge.core.queries import Presence, Seen, unreachable
from specforge.core.values import Frozen
from specforge.executors.gateway.admin import Admin, SilentError
from specforge.executors.gateway.folder import RouteFolder
from specforge.executors.local.pool import Pool
from specforge.runtimes.job import process


def look_at_routes(pool: Pool, route: str) -> Seen:
    """Answer a LookAtRoutes; raises OSError where the pool cannot be read."""
    folder = RouteFolder(pool, route)
    if not folder.exists():
        return Seen(Presence.ABSENT)
    admin = Admin(folder.path)
    pid = admin.pid()
    if pid is None:
        return _dead(pool, folder)
    try:
        addresses, weights = admin.listeners(), admin.weights()
    except SilentError as error:
        if admin.pid() != pid:
            return _dead(pool, folder)  # it ended between the two looks
        return unreachable(f"the gateway of `{route}` (process {pid}) does not answer: {error}")
    started = _started(pid)
    in_use = [each.address for each in addresses if each.error is None]
    if not in_use:
        why = next((f": {each.error}" for each in addresses if each.error), "")
        problem = f"its gateway (process {pid}) runs, and listens nowhere{why}"
        return Seen(Presence.ABSENT, since=started, problem=problem)
    facts = {
        "listen": ", ".join(str(each) for each in in_use),
        "weights": Frozen(weights),
        "edited": folder.edited(),
        "pid": pid,
        "started": started,
    }
    return Seen(Presence.PRESENT, facts=Frozen(facts), since=started)


def _dead(pool: Pool, folder: RouteFolder) -> Seen:
    from specforge.executors.replicas import programs
    from specforge.executors.replicas.supervisord import Supervisor

    kept = programs.look_at_program(pool, folder.program)
    if kept is None:
        since = Supervisor(pool.folder).last_seen()
        return Seen(Presence.ABSENT, since=since, problem="nobody keeps its gateway up")
    words = {"starting": "is about to be started again", "failed": "ends again and again", "stopped": "was stopped"}
    return Seen(Presence.ABSENT, since=kept.ended, problem=f"its gateway {words.get(kept.state, 'starts')}")


def _started(pid: int) -> float | None:
    """Return when the process began, in unix seconds."""
    ticks = process.start_time(pid)
    if ticks is None:
        return None
    with open("/proc/stat") as file:
        booted = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")
