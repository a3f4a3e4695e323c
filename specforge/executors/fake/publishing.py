"""Publish, find and release in a fake store, effect by effect in the order in which a real store writes."""

from __future__ import annotations

from typing import Any

from specforge.core.queries import FindIdentity, FindVersion, LookAtArtifact, Presence, Seen
from specforge.core.steps import EnsurePlace, Publish, Release, Unpublish
from specforge.core.values import EMPTY, Frozen, Key, frozen
from specforge.executors.fake.faults import failed
from specforge.executors.fake.files import digest_of
from specforge.executors.fake.stores import Build, FakeStoreData, Reference, series_key
from specforge.executors.fake.world import FakeWorld

_SHOWN = 20


def publish(world: FakeWorld, step: Publish, key: Key) -> Frozen:
    """Perform a Publish; see `specforge.core.steps.Publish`."""
    if str(step.store) not in world.made_places:
        raise failed(f"there is no store at {step.store}", hint="apply the Store first")
    store, identity = world.store(step.store), str(step.identity)
    _refuse_taken(step, store, (identity, None))
    build = store.current(identity)
    if build is None or build.number == step.replaces:
        build = _write(world, step, store, identity)
    version = _claim(world, step, store, identity, build)
    holder = store.references.setdefault((identity, build.number), {}).setdefault(key.lineage, Reference())
    if str(key.address) not in holder.addresses:
        with world.effect("publish reference", step.store):
            holder.addresses.add(str(key.address))
            holder.project = step.series.project if step.series else holder.project
    outputs = {
        "identity": identity,
        "build": build.number,
        "digest": build.digest,
        "trees": build.trees,
        "version": version,
        "facts": build.facts,
    }
    return Frozen(outputs)


def _write(world: FakeWorld, step: Publish, store: FakeStoreData, identity: str) -> Build:
    if step.output not in step.trees:
        raise failed(f"nothing is published under {identity[:12]}, and no tree `{step.output}` is given")
    contents = {name: world.files(tree) for name, tree in step.trees.items()}
    for name, tree in step.trees.items():
        if tree.digest is not None and tree.digest != digest_of(contents[name]):
            raise failed(f"the tree `{name}` changed since the plan", hint="plan again")
    for path in step.exports:
        if path not in contents[step.output]:
            raise failed(f"there is no `{path}` in the tree `{step.output}` to show beside the version")
    with world.effect("publish objects", step.store):
        trees = Frozen({name: store.put_tree(files) for name, files in contents.items()})
    with world.effect("publish commit", step.store):
        current = store.current(identity)
        if current is None or current.number == step.replaces:
            return store.commit(identity, trees, step.output, frozen(step.facts), step.replaces)
        return current  # somebody else committed meanwhile: the first one wins


def _claim(world: FakeWorld, step: Publish, store: FakeStoreData, identity: str, build: Build) -> str | None:
    series = step.series
    if series is None:
        return None
    mine = (identity, build.number)
    _refuse_taken(step, store, mine)
    name = _name(step, store, mine)
    if name is None:
        with world.effect("publish claim", step.store):
            # Somebody else may have claimed meanwhile.
            name = _name(step, store, mine) or step.version or store.next_version(series)
            store.claim(series, name, *mine)
    if step.exports and (series_key(series), name) not in store.exports:
        with world.effect("publish exports", step.store):
            files = store.files(build.digest) or {}
            shown = {
                str(to).replace("{version}", name): files[path] for path, to in step.exports.items() if path in files
            }
            store.exports[(series_key(series), name)] = shown
    return name


def _name(step: Publish, store: FakeStoreData, mine: tuple[str, int]) -> str | None:
    """Return the name that the build has, or None if one has to be claimed."""
    assert step.series is not None
    if step.version is None:
        return store.version_of(step.series, *mine)
    taken = store.claims.get(series_key(step.series), {}).get(step.version)
    return step.version if taken == mine else None


def _refuse_taken(step: Publish, store: FakeStoreData, mine: tuple[str, int | None]) -> None:
    """Raise ExecutionError if the name that is asked for was given to something else."""
    if step.series is None or step.version is None:
        return
    taken = store.claims.get(series_key(step.series), {}).get(step.version)
    if taken is not None and (taken[0] != mine[0] or mine[1] not in (None, taken[1])):
        raise failed(f"`{step.version}` was published as {taken[0][:12]}", hint="give another version")


def release(world: FakeWorld, step: Release, key: Key) -> Frozen:
    """Take this resource's reference away; with its last one the lineage's goes."""
    holders = world.store(step.store).references.get((step.identity, step.build), {})
    mine = holders.get(key.lineage)
    if mine is not None and str(key.address) in mine.addresses:
        with world.effect("release", step.store):
            mine.addresses.discard(str(key.address))
            if not mine.addresses:
                del holders[key.lineage]
    return EMPTY


def unpublish(world: FakeWorld, step: Unpublish, key: Key) -> Frozen:
    """Take a build's data away; what another resource of this lineage needs is `kept`, another lineage's refuses."""
    store = world.store(step.store)
    build = store.builds.get(step.identity, {}).get(step.build)
    every = store.references.get((step.identity, step.build), {})
    holders = {lineage: who for lineage, who in sorted(every.items()) if who.addresses}
    others = [
        f"{', '.join(sorted(who.addresses))} of project `{who.project}` (state {lineage})"
        for lineage, who in holders.items()
        if lineage != key.lineage
    ]
    if others:
        raise failed(f"build {step.build} of {step.identity[:12]} is still used by {'; '.join(others)}", refusal=True)
    if key.lineage in holders:
        return Frozen(kept=tuple(sorted(holders[key.lineage].addresses)))
    if build is not None and not build.gone:
        with world.effect("unpublish", step.store):
            store.drop(step.identity, step.build)
    return EMPTY


def ensure_place(world: FakeWorld, step: EnsurePlace, key: Key) -> Frozen:
    """Make a place be as wanted, or take it away once no lineage uses it; a store that holds data stays, too."""
    users = world.users.setdefault(str(step.place), set())
    if step.wanted is not None:
        users.add(key.lineage)
    else:
        users.discard(key.lineage)
        if users:
            return EMPTY
    if step.wanted is None and any(job.running for (at, _), job in world.jobs.items() if at == str(step.place)):
        raise failed(f"jobs run at {step.place}", hint="wait for them, or cancel them")
    if step.wanted is None and world.serving.kept_at(step.place):
        raise failed(f"replicas or gateways run at {step.place}", hint="delete the services there first")
    places, name = world.made_places, str(step.place)
    kept = len(world.store(step.place).living())
    if places.get(name) != step.wanted and not (step.wanted is None and kept):
        with world.effect("place", step.place):
            if step.wanted is None:
                places.pop(name, None)
            else:
                places[name] = step.wanted
    return Frozen(kept=kept) if step.wanted is None else EMPTY


def find_identity(store: FakeStoreData, query: FindIdentity) -> Seen:
    """Answer FindIdentity."""
    facts: dict[str, Any] = {}
    if query.series is not None:
        taken = store.claims.get(series_key(query.series), {}).get(query.pinned or "")
        facts["next"] = store.next_version(query.series)
        facts["claimed"] = {query.pinned: taken[0]} if taken else {}
    build = store.current(query.identity)
    if build is None:
        return Seen(Presence.ABSENT, facts=frozen(facts))
    facts |= _build_facts(build)
    if query.series is not None:
        version = store.version_of(query.series, query.identity, build.number)
        facts |= {} if version is None else {"version": version}
    return Seen(Presence.PRESENT, build.digest, frozen(facts))


def find_version(store: FakeStoreData, query: FindVersion) -> Seen:
    """Answer FindVersion."""
    claim = store.claims.get(series_key(query.series), {}).get(query.version)
    if claim is None:
        return Seen(Presence.ABSENT)
    identity, number = claim
    build = store.builds[identity][number]
    about = {"identity": identity, "build": number}
    if build.lost:
        return Seen(Presence.ABSENT, facts=Frozen(about), problem=f"`{query.version}` was published, and is lost")
    return Seen(Presence.PRESENT, build.digest, frozen({**_build_facts(build), **about, "version": query.version}))


def _build_facts(build: Build) -> dict[str, Any]:
    return {"build": build.number, "trees": build.trees, "facts": build.facts}


def look_at_artifact(store: FakeStoreData, query: LookAtArtifact) -> Seen:
    """Answer LookAtArtifact."""
    build = store.builds.get(query.identity, {}).get(query.build)
    if build is None or build.gone:
        what = "there is no such build" if build is None else "the build was deleted"
        return Seen(Presence.ABSENT, facts=Frozen(missing=0, missing_paths=()), problem=what)
    missing = store.missing(build, hashed=query.depth == "hashed")
    if missing:
        return Seen(Presence.ABSENT, facts=Frozen(missing=len(missing), missing_paths=tuple(missing[:_SHOWN])))
    return Seen(Presence.PRESENT, build.digest)
