"""Looking at groups of replicas: all that a plan asks about at one pool, with one question to supervisor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from specforge.core.queries import LookAtReplicas, Presence, Query, Seen, unreachable
from specforge.core.values import frozen
from specforge.executors.local.pool import Pool
from specforge.executors.replicas import programs
from specforge.executors.replicas.group import Group
from specforge.executors.replicas.probe import Probe, ask
from specforge.executors.replicas.programs import Kept, program_id
from specforge.executors.replicas.supervisord import PATIENCE, NoAnswer, Supervisor

_PROBE_SECONDS = 2.0


def look(pool: Pool, queries: Iterable[LookAtReplicas], seconds: float | None) -> Mapping[Query, Seen]:
    """Answer these queries about one pool within `seconds`, without any effect; never raises."""
    found = {query: Group(pool, query.group) for query in queries}
    left = PATIENCE if seconds is None else max(0.1, seconds)
    try:
        if pool.folder.exists():
            os.listdir(pool.folder)  # raises where nothing can be told: that is no evidence
        kept = programs.look_at_programs(pool, min(left, PATIENCE))
        requests = {query: group.request() for query, group in found.items()}
        alive = {query: group for query, group in found.items() if kept and _is_kept(group, requests[query], kept)}
        probes = {query: _probes(alive[query], requests[query], kept or {}) for query in alive}
        told = ask([probe for each in probes.values() for probe in each.values()], min(left, _PROBE_SECONDS))
        return {
            query: _present(alive[query], requests[query], kept or {}, probes[query], told)
            if query in alive
            else _absent(group, requests[query])
            for query, group in found.items()
        }
    except (NoAnswer, OSError, ValueError) as error:
        return dict.fromkeys(found, unreachable(f"the replicas of the pool cannot be looked at: {error}"))


def _numbers(group: Group, request: Mapping[str, Any] | None) -> list[int]:
    """Return the numbers that are wanted; of a group whose files were removed, those that were begun."""
    return group.numbers() if request is None else list(range(1, int(request["count"]) + 1))


def _is_kept(group: Group, request: Mapping[str, Any] | None, kept: Mapping[str, Kept]) -> bool:
    return any(program_id(group.program(number)) in kept for number in _numbers(group, request))


def _probes(group: Group, request: Mapping[str, Any] | None, kept: Mapping[str, Kept]) -> dict[int, Probe]:
    path = "/health" if request is None else str(request["ready"]["path"])
    return {
        number: Probe(group.folder, group.socket(number), path)
        for number in _numbers(group, request)
        if (found := kept.get(program_id(group.program(number)))) is not None and found.state == "running"
    }


def _present(
    group: Group,
    request: Mapping[str, Any] | None,
    kept: Mapping[str, Kept],
    probes: Mapping[int, Probe],
    told: Mapping[Probe, str],
) -> Seen:
    within = float(request["ready"]["within"]) if request else 0.0
    replicas, ends = [], []
    for number in _numbers(group, request):
        found = kept.get(program_id(group.program(number)))
        why = told[probes[number]] if number in probes else ""
        shown = _replica(group, number, found, why, within)
        replicas.append(shown)
        if shown["state"] != "ready" and found is not None and found.ended is not None:
            ends.append(found.ended)
    ready = sum(each["state"] == "ready" for each in replicas)
    facts = {"wanted": len(replicas), "ready": ready, "replicas": replicas}
    problem = None if request else "the files of the group were removed"
    return Seen(Presence.PRESENT, facts=frozen(facts), since=max(ends, default=None), problem=problem)


def _replica(group: Group, number: int, kept: Kept | None, why: str, within: float) -> dict[str, Any]:
    if kept is None:
        shown: dict[str, Any] = {"state": "stopped", "pid": None, "started": None, "exits": 0}
        return {"number": number, **shown, "problem": "nobody keeps it up"}
    if kept.state == "running":
        late = kept.restless or (kept.started is not None and kept.started < time.time() - within)
        state = "ready" if not why else "failed" if late else "starting"
    else:
        state = kept.state
    words = [why] if why else []
    if state != "ready" and kept.exits and (how := programs.last_ending(group.pool, group.program(number))):
        words.append(f"it ended: {how}")
    shown = {"state": state, "pid": kept.pid, "started": kept.started, "exits": kept.exits}
    return {"number": number, **shown, "problem": "; ".join(words)}


def _absent(group: Group, request: Mapping[str, Any] | None) -> Seen:
    """Nobody keeps up such a group; processes that outlived their supervisor are told of."""
    left = [] if request is None else [card for n in group.numbers() if (card := _left_over(group, n)) is not None]
    facts = {"wanted": 0, "ready": 0, "replicas": left}
    some = f"{len(left)} of its processes run" + ("s" if len(left) == 1 else "")
    problem = f"{some}, and nobody would start them again" if left else None
    since = group.last_sign() if request is None else Supervisor(group.pool.folder).last_seen() or group.last_sign()
    return Seen(Presence.ABSENT, facts=frozen(facts), since=since, problem=problem)


def _left_over(group: Group, number: int) -> dict[str, Any] | None:
    card = programs.left_over(group.pool, group.program(number))
    if card is None:
        return None
    shown = {"state": "stopped", "pid": card["pid"], "started": card["starts"][-1], "exits": card["count"] - 1}
    return {"number": number, **shown, "problem": "nobody keeps it up"}
