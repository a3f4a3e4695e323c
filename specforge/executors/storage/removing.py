"""Taking things away: references, a build's data, an empty store. Nothing that somebody still refers to goes."""

from __future__ import annotations

import contextlib
import json
import os

from specforge.core.errors import ExecutionError
from specforge.core.steps import Release, Unpublish
from specforge.core.values import EMPTY, Frozen
from specforge.executors.storage.failures import in_use
from specforge.executors.storage.looking import UNPUBLISHED
from specforge.executors.storage.records import OURS, Build, Records, component
from specforge.executors.storage.store import Store

WRITERS = {"locks", "drafts"}


def release(store: Store, step: Release) -> Frozen:
    """Take this resource's reference away; with its last one the lineage's goes."""
    if not store.records.there() or step.build not in store.records.builds(step.identity).numbers:
        return EMPTY
    key = store.context.key
    with store.shared(step.identity):
        file = f"{store.records.references(step.identity, step.build)}/{component(key.lineage)}"
        body = dict(store.records.references_to(step.identity, step.build).get(component(key.lineage), {}))
        addresses = {each: at for each, at in body.get("addresses", {}).items() if each != str(key.address)}
        if addresses == body.get("addresses", {}):
            return EMPTY
        if addresses:
            text = json.dumps({**body, "addresses": addresses}, ensure_ascii=False, sort_keys=True)
            store.replace(file, text.encode())
        else:
            store.remove(file)
        store.settle()
    return EMPTY


def unpublish(store: Store, step: Unpublish) -> Frozen:
    """Take a build's data away. Its record and its version names stay, so that no name comes to mean something else.

    Another resource of the same lineage that needs it keeps it (output `kept`); another lineage's reference refuses.
    """
    if not store.records.there() or step.build not in store.records.builds(step.identity).numbers:
        return EMPTY
    with store.alone():
        records = store.records
        references = records.references_to(step.identity, step.build)
        own = references.pop(component(store.context.key.lineage), None)
        if references:
            raise in_use(step.identity, step.build, _holders(references))
        if own is not None:
            return Frozen({"kept": tuple(sorted(own.get("addresses", {})))})
        build = records.build(step.identity, step.build)
        folder = records.identity(step.identity)
        # From here on nobody finds it; a kill in between leaves only objects that nobody needs.
        text = json.dumps({"why": UNPUBLISHED}).encode()
        store.replace(f"{folder}/{build.number}.lost", text)
        store.settle()
        _remove_objects(store, build)
        _remove_exports(store, build)
        store.settle()
    return EMPTY


def remove_store(store: Store) -> Frozen:
    """Take the store away if no published data are left in it; `kept` says how many builds are."""
    records = store.records
    ours = records.there()
    if ours:
        with store.alone():
            kept = len(_living(records))
            if kept:
                return Frozen({"kept": kept})
            for each in OURS:
                if each not in WRITERS:
                    store.disk.remove_folder(f"{records.root}/{each}")
            # Who waits for the lock looks for this file once it has it; so it goes before the locks do.
            store.disk.remove(f"{records.root}/format")
    with contextlib.suppress(FileNotFoundError):
        left = set(os.listdir(records.root)) - WRITERS
        if ours or not left:
            for each in WRITERS:
                store.disk.remove_folder(f"{records.root}/{each}")
        if not left:
            os.rmdir(records.root)
    return Frozen({"kept": 0})


def _holders(references: dict[str, dict[str, object]]) -> list[str]:
    names = []
    for lineage, body in sorted(references.items()):
        addresses = body.get("addresses")
        who = ", ".join(f"`{each}`" for each in sorted(addresses)) if isinstance(addresses, dict) else "somebody"
        project = f" of project `{body['project']}`" if body.get("project") else ""
        names.append(f"{who}{project} (state {lineage[:12]})")
    return names


def _living(records: Records) -> list[Build]:
    """Return every build whose data must stay: those that count, and lost ones that somebody refers to."""
    living = []
    for identity in records.identities():
        builds = records.builds(identity)
        for number in builds.numbers:
            needed = number not in builds.lost or records.references_to(identity, number)
            if needed and builds.lost.get(number) != UNPUBLISHED:
                living.append(records.build(identity, number))
    return living


def _objects(records: Records, build: Build) -> tuple[set[str], set[str]]:
    """Return the files and the listings of a build; of a damaged one, those that can still be known."""
    files: set[str] = set()
    for digest in build.trees.values():
        with contextlib.suppress(ExecutionError):
            files.update(each.sha256 for each in records.listing(digest))
    return files, set(map(str, build.trees.values()))


def _remove_objects(store: Store, build: Build) -> None:
    files, listings = _objects(store.records, build)
    used: set[str] = set()
    for each in _living(store.records):
        used.update(*_objects(store.records, each))
    # Listings last: a kill before leaves them, and with them the way to the files that are left.
    for sha256 in [*sorted(files - used - listings), *sorted(listings - used)]:
        store.remove(store.records.object(sha256))


def _remove_exports(store: Store, build: Build) -> None:
    for folder, _, names in os.walk(f"{store.records.root}/versions"):
        if "claim" not in names:
            continue
        with open(f"{folder}/claim", "rb") as file:
            claim = json.load(file)
        if (claim["identity"], claim["build"]) == (build.identity, build.number):
            for name in names:
                if name != "claim":
                    store.remove(f"{folder}/{name}")
