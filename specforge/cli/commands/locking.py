"""`spec lock`: pin the software that jobs run with and models are served with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from specforge.cli.boundary import OK
from specforge.cli.output import Output
from specforge.cli.session import Session
from specforge.core.values import Frozen

if TYPE_CHECKING:
    from specforge.schemas.model.dependencies import Need


def lock(session: Session, output: Output, engine: str | None, *, upgrade: bool) -> int:
    """Write what specforge.lock lacks; with `upgrade` all that is used, or the one entry named, anew."""
    made = lock_project(session, output, engine, upgrade=upgrade)
    if output.as_json:
        output.data({"changed": sorted(made), "engines": {name: _summary(entry) for name, entry in made.items()}})
    elif not made:
        output.text("Nothing to lock: every engine that is used has its entry.")
    return OK


def lock_project(session: Session, output: Output, engine: str | None, *, upgrade: bool) -> dict[str, Any]:
    """Resolve and write what is asked for; returns the entries that changed."""
    from specforge.engine.locking import is_enough, resolve
    from specforge.loading.lockfile import read_lock, write_lock

    entries: dict[str, Frozen] = dict(read_lock(session.root))
    made: dict[str, Any] = {}
    for name in [engine] if engine else used_engines(session, entries):
        before, needs = entries.get(name), _needs_of(session, name)
        if before is not None and not upgrade and is_enough(before, needs):
            continue
        output.note(f"resolving {name} …")
        entry = resolve(name, upgrade, before, needs)
        if entry == before:
            output.note(f"{name}: already the newest")
            continue
        entries[name] = made[name] = entry
        output.note(f"{name}: Python {entry['python']}, {len(entry['packages'])} packages")
        if before is not None and not upgrade:
            _tell_what_was_added(output, name, before, entry, needs)
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


def _needs_of(session: Session, toolchain: str) -> tuple[Need, ...]:
    """Return what declared Models need of a toolchain; only of one that serves, so that no other needs the project."""
    from specforge.runtimes import FRAMEWORKS, server_of
    from specforge.schemas.model.dependencies import needs_of

    if toolchain not in map(server_of, FRAMEWORKS):
        return ()
    specs = {address: each.spec for address, each in session.project.resources.items()}
    return needs_of(specs).get(toolchain, ())


def _tell_what_was_added(output: Output, name: str, before: Frozen, entry: Frozen, needs: Sequence[Need]) -> None:
    from specforge.formats.config_json.versions import normal_name

    old, new = ({(each["name"], each["version"]) for each in one["packages"]} for one in (before, entry))
    for package, version in sorted(new - old):
        whom = sorted({model for each in needs if normal_name(each.package.name) == package for model in each.models})
        output.note(f"{name}: + {package} {version}" + (f" ({', '.join(whom)})" if whom else ""))
    for package, version in sorted(old - new):
        output.note(f"{name}: - {package} {version}")
    output.note(f"{name}: the other {len(old & new)} stay as they were")


def _summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"python": entry["python"], "packages": {each["name"]: each["version"] for each in entry["packages"]}}
