"""`spec lock`: pin the software that jobs run with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specforge.cli.boundary import OK
from specforge.cli.output import Output
from specforge.cli.session import Session
from specforge.core.values import Frozen


def lock(session: Session, output: Output, engine: str | None, *, upgrade: bool) -> int:
    """Write the missing entries of specforge.lock; with `upgrade` all that are used, or the one named."""
    made = lock_project(session, output, engine, upgrade=upgrade)
    if output.as_json:
        output.data({"changed": sorted(made), "engines": {name: _summary(entry) for name, entry in made.items()}})
    elif not made:
        output.text("Nothing to lock: every engine that is used has its entry.")
    return OK


def lock_project(session: Session, output: Output, engine: str | None, *, upgrade: bool) -> dict[str, Any]:
    """Resolve and write what is asked for; returns the entries that changed."""
    from specforge.engine.locking import resolve
    from specforge.loading.lockfile import read_lock, write_lock

    entries: dict[str, Frozen] = dict(read_lock(session.root))
    made: dict[str, Any] = {}
    for name in [engine] if engine else used_engines(session, entries):
        if name in entries and not upgrade:
            continue
        output.note(f"resolving {name} …")
        entry = resolve(name, upgrade, entries.get(name))
        if entry == entries.get(name):
            output.note(f"{name}: already the newest")
            continue
        entries[name] = made[name] = entry
        output.note(f"{name}: Python {entry['python']}, {len(entry['packages'])} packages")
    if made:
        write_lock(session.root, entries)
        output.note("wrote specforge.lock; it belongs into git")
    return made


def used_engines(session: Session, entries: Mapping[str, Any]) -> list[str]:
    """Return the engines that declared resources name in a field `framework`, those in which their packages are
    served if a service is declared, and those locked already.
    """
    from specforge.runtimes import FRAMEWORKS, server_of
    from specforge.schemas.kind import Lifecycle

    resources = session.project.resources
    declared = {getattr(each.spec, "framework", None) for each in resources.values()}
    names = {name for name in declared if isinstance(name, str)}
    kinds = session.kinds.by_prefix
    if any(kinds[address.kind].lifecycle is Lifecycle.SERVICE for address in resources):
        names |= {server_of(name) for name in names & set(FRAMEWORKS)}
    return sorted(names | set(entries))


def _summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"python": entry["python"], "packages": {each["name"]: each["version"] for each in entry["packages"]}}
