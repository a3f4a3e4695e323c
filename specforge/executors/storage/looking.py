"""The answers of a store: what is published, and is it whole? Nothing here writes or raises for one question."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from specforge.core.errors import ExecutionError
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtPlace,
    Presence,
    Seen,
    unreachable,
)
from specforge.core.values import Frozen, VersionSeries, frozen
from specforge.executors.storage.records import Build, Claim, Records, next_version
from specforge.executors.storage.scans import without_collector
from specforge.formats.folder import words
from specforge.formats.hashing import hash_files

SHOWN = 20
UNPUBLISHED = "unpublished"

_MOST_READ = 256 << 20
"""Bytes that are read, to be sure, for a look that only lists."""


def answer(records: Records, query: FindIdentity | FindVersion | LookAtArtifact | LookAtPlace) -> Seen:
    """Answer one question; whatever goes wrong is an answer too."""
    try:
        if isinstance(query, LookAtPlace):
            return _place(records)
        if isinstance(query, FindIdentity):
            return _find_identity(records, query)
        if isinstance(query, FindVersion):
            return _find_version(records, query)
        return _artifact(records, query)
    except OSError as error:
        return unreachable(f"`{records.name}` cannot be read: {words(error)}")
    except ExecutionError as error:
        return unreachable(error.diagnostics[0].detail)
    except (ValueError, KeyError, TypeError) as error:
        return unreachable(f"`{records.name}` holds a record that cannot be read: {error}")


def _place(records: Records) -> Seen:
    if not records.there():
        return Seen(Presence.ABSENT, problem=f"there is no store in `{records.name}`")
    space = os.statvfs(records.root)
    # Listing tells a store whose contents are forbidden from one that can be used.
    os.listdir(records.root)
    return Seen(Presence.PRESENT, facts=frozen({"free": space.f_bavail * space.f_frsize}))


def _find_identity(records: Records, query: FindIdentity) -> Seen:
    there = records.there()
    claims = records.claims(query.series) if there and query.series else ()
    facts: dict[str, Any] = _series_facts(query.series, query.pinned, claims) if query.series else {}
    build = records.current(query.identity) if there else None
    if build is None:
        return Seen(Presence.ABSENT, facts=frozen(facts))
    return Seen(Presence.PRESENT, build.digest, frozen({**facts, **_build_facts(build, claims)}))


def _series_facts(series: VersionSeries, pinned: str | None, claims: Iterable[Claim]) -> dict[str, Any]:
    identities = {each.version: each.identity for each in claims}
    claimed = {pinned: identities[pinned]} if pinned in identities else {}
    return {"next": next_version(series, tuple(identities)), "claimed": claimed}


def _build_facts(build: Build, claims: Iterable[Claim]) -> dict[str, Any]:
    facts = {"build": build.number, "trees": build.trees, "facts": build.facts}
    mine = (each.version for each in claims if (each.identity, each.build) == (build.identity, build.number))
    version = next(mine, None)
    return facts if version is None else {**facts, "version": version}


def _find_version(records: Records, query: FindVersion) -> Seen:
    claim = records.claim(query.series, query.version) if records.there() else None
    if claim is None:
        return Seen(Presence.ABSENT)
    about = {"identity": claim.identity, "build": claim.build}
    if claim.build in records.builds(claim.identity).lost:
        return Seen(Presence.ABSENT, facts=frozen(about), problem=f"`{query.version}` was published, and is lost")
    try:
        build = records.build(claim.identity, claim.build)
    except FileNotFoundError:
        # A power cut may keep the name and not the commit: whoever publishes this identity next makes it true.
        return Seen(Presence.ABSENT, facts=frozen(about))
    facts = {**_build_facts(build, ()), **about, "version": query.version}
    return Seen(Presence.PRESENT, build.digest, frozen(facts))


def _artifact(records: Records, query: LookAtArtifact) -> Seen:
    builds = records.builds(query.identity) if records.there() else None
    if builds is None or query.build not in builds.numbers:
        return _missing(f"there is no build {query.build} of {query.identity[:12]} in `{records.name}`")
    if builds.lost.get(query.build) == UNPUBLISHED:
        return _missing(f"build {query.build} of {query.identity[:12]} was deleted")
    build = records.build(query.identity, query.build)
    with without_collector():
        found = damage(records, build, hashed=query.depth == "hashed")
    return _damaged(found) if found.missing or found.changed else Seen(Presence.PRESENT, build.digest)


def _missing(problem: str) -> Seen:
    return Seen(Presence.ABSENT, facts=Frozen(missing=0, missing_paths=()), problem=problem)


class Damage(NamedTuple):
    """What is wrong with a build, as `TREE/path`: objects that are not there, and objects with other content."""

    missing: list[str]
    changed: list[str]


def _damaged(found: Damage) -> Seen:
    paths = [*found.missing, *found.changed]
    facts = {"missing": len(paths), "missing_paths": paths[:SHOWN]}
    if found.changed:
        facts["changed"] = len(found.changed)
    return Seen(Presence.ABSENT, facts=frozen(facts))


def damage(records: Records, build: Build, *, hashed: bool) -> Damage:
    """Return what a build lacks, or has no more as it was published; `TREE/` where a tree's listing itself is gone."""
    listings: list[str] = []
    wanted: dict[str, tuple[int, str]] = {}
    for name, digest in sorted(build.trees.items()):
        try:
            entries = records.listing(digest)
        except (ExecutionError, ValueError):
            listings.append(f"{name}/")
            continue
        for path, _, size, sha256 in entries:
            wanted.setdefault(sha256, (size, f"{name}/{path}"))
    if hashed:
        missing, changed = _read(records, wanted)
    else:
        missing, changed = _listed(
            records, wanted, os.stat(f"{records.identity(build.identity)}/{build.number}").st_mtime_ns
        )
    return Damage([*listings, *sorted(missing)], sorted(changed))


def _listed(records: Records, wanted: Mapping[str, tuple[int, str]], committed: int) -> Damage:
    """Look at sizes, and read what is younger than the build's commit: somebody wrote it by hand, or made it again.

    Where that is much, the whole store was copied and its times say nothing.
    """
    front, stat, found = f"{records.root}/objects/", os.stat, Damage([], [])
    young: dict[str, tuple[int, str]] = {}
    for sha256, (size, path) in wanted.items():
        try:
            about = stat(f"{front}{sha256[:2]}/{sha256}")
        except FileNotFoundError:
            found.missing.append(path)
            continue
        if about.st_size != size:
            found.changed.append(path)
        elif about.st_mtime_ns > committed:
            young[sha256] = (size, path)
    if young and sum(size for size, _ in young.values()) <= _MOST_READ:
        found.changed.extend(_read(records, young).changed)
    return found


def _read(records: Records, wanted: Mapping[str, tuple[int, str]]) -> Damage:
    read = hash_files([(records.object(sha256), size) for sha256, (size, _) in wanted.items()])
    result = Damage([], [])
    for (sha256, (_, path)), found in zip(wanted.items(), read, strict=True):
        if isinstance(found, FileNotFoundError):
            result.missing.append(path)
        elif isinstance(found, OSError):
            raise found
        elif found.sha256 != sha256:
            result.changed.append(path)
    return result
