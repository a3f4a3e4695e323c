"""The answers of a store: what is published, and is it whole? Nothing here writes or raises for one question."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

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
from specforge.core.values import VersionSeries, frozen
from specforge.executors.storage.records import Build, Claim, Records, next_version
from specforge.executors.storage.scans import without_collector
from specforge.formats.folder import words
from specforge.formats.hashing import hash_files

SHOWN = 20
UNPUBLISHED = "unpublished"


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
        return _missing([], f"there is no build {query.build} of {query.identity[:12]} in `{records.name}`")
    if builds.lost.get(query.build) == UNPUBLISHED:
        return _missing([], f"build {query.build} of {query.identity[:12]} was deleted")
    build = records.build(query.identity, query.build)
    with without_collector():
        missing = damage(records, build, hashed=query.depth == "hashed")
    return _missing(missing, None) if missing else Seen(Presence.PRESENT, build.digest)


def _missing(paths: list[str], problem: str | None) -> Seen:
    facts = frozen({"missing": len(paths), "missing_paths": paths[:SHOWN]})
    return Seen(Presence.ABSENT, facts=facts, problem=problem)


def damage(records: Records, build: Build, *, hashed: bool) -> list[str]:
    """Return what a build lacks, as `TREE/path`; `TREE/` where the tree's listing itself is gone."""
    missing: list[str] = []
    wanted: dict[str, tuple[int, str]] = {}
    for name, digest in sorted(build.trees.items()):
        try:
            entries = records.listing(digest)
        except (ExecutionError, ValueError):
            missing.append(f"{name}/")
            continue
        for path, _, size, sha256 in entries:
            wanted.setdefault(sha256, (size, f"{name}/{path}"))
    gone = _wrong(records, wanted) if hashed else _gone(records, wanted)
    return missing + sorted(gone)


def _gone(records: Records, wanted: Mapping[str, tuple[int, str]]) -> list[str]:
    front, stat, gone = f"{records.root}/objects/", os.stat, []
    for sha256, (size, path) in wanted.items():
        try:
            if stat(f"{front}{sha256[:2]}/{sha256}").st_size != size:
                gone.append(path)
        except FileNotFoundError:
            gone.append(path)
    return gone


def _wrong(records: Records, wanted: Mapping[str, tuple[int, str]]) -> list[str]:
    read = hash_files([(records.object(sha256), size) for sha256, (size, _) in wanted.items()])
    wrong = []
    for (sha256, (_, path)), found in zip(wanted.items(), read, strict=True):
        if isinstance(found, OSError):
            if not isinstance(found, FileNotFoundError):
                raise found
            wrong.append(path)
        elif found.sha256 != sha256:
            wrong.append(path)
    return wrong
