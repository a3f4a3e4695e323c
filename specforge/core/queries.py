"""What may be asked of a place. Two kinds of questions, never one type.

A **reading** is of what the user owns; its answer is part of the wish. An **observation** is of what we made; it can
drift. The vocabulary is closed and small: extend it by a decision record only.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from specforge.core.making import KeepsHash, dataclass, hashed_once
from specforge.core.values import EMPTY, Frozen, Place, SecretRef, Select, Tree, VersionSeries

# ---- readings ----


@hashed_once
@dataclass(frozen=True, slots=True)
class ScanTree(KeepsHash):
    """Which files lie in folder `path` of `place`? Answer: digest = the tree's.

    facts: `files`, `bytes`; `folders` {first path component: number of files; 0 for an empty folder}; `problems`
    [{path, problem}] (links that lead outside, names that are not UTF-8, …); and against `since`, if given and
    different: `added`, `removed`, `changed` (numbers) and `added_paths`, `removed_paths`, `changed_paths` (first 20).
    A path that is a file is answered as a folder with this one file. ABSENT: there is neither.
    """

    place: Place
    path: str
    select: Select = Select()
    since: Tree | None = None


@dataclass(frozen=True, slots=True)
class SecretPrint:
    """Which value has this secret? Answer: digest = a slow print of it under `salt`, that tells values apart and does
    not tell them. ABSENT: there is none.
    """

    place: Place
    ref: SecretRef
    salt: str


Reading = ScanTree | SecretPrint


def is_single_file(seen: Seen) -> bool:
    """Return whether a ScanTree met a file where a folder was asked for."""
    return seen.presence is Presence.PRESENT and seen.facts.get("files") == 1 and seen.facts.get("folders") == {}


# ---- observations ----


@dataclass(frozen=True, slots=True)
class FindIdentity:
    """Is something published under this identity? PRESENT: digest = its output's digest.

    facts: `build` (number), `trees` {name: digest}, `facts` (what Publish was given), `version` (this series' name for
    it, if claimed). With a series, also when ABSENT: `next` (the version name that would be allocated) and `claimed`
    {version name: identity} for the series' `pinned` version, if it is taken. Builds marked lost do not count.
    """

    store: Place
    identity: str
    series: VersionSeries | None = None
    pinned: str | None = None


@dataclass(frozen=True, slots=True)
class FindVersion:
    """What is published under this version name? PRESENT: digest, facts as FindIdentity, and `identity`."""

    store: Place
    series: VersionSeries
    version: str


@hashed_once
@dataclass(frozen=True, slots=True)
class LookAtArtifact(KeepsHash):
    """Is build `build` of `identity` whole? ABSENT, facts: `missing` (number), `missing_paths` (first 20), and, where
    the place knows it, `changed`: how many of them are there with other content.

    depth "listed": every object is there with its size, and nothing shows that somebody wrote it after it was
    published; "hashed": every object is read and its digest compared.
    """

    store: Place
    identity: str
    build: int
    depth: Literal["listed", "hashed"] = "listed"


@dataclass(frozen=True, slots=True)
class LookAtJob:
    """What became of the job with this run key? ABSENT: it never started.

    facts: `state` "running" | "ended"; `started` (unix seconds), `exit` (number or None), `reason` (words).
    """

    place: Place
    key: str


@dataclass(frozen=True, slots=True)
class LookAtPlace:
    """Is the place there and usable? facts: what the driver knows (free bytes, slots, …)."""

    place: Place


@dataclass(frozen=True, slots=True)
class LookAtReplicas:
    """What runs in this group of replicas? ABSENT: nobody keeps such a group; `since`: when it ended, if known.

    facts: `wanted` (how many the place keeps up), `ready` (how many answer), `replicas` [{number, state "ready" |
    "starting" | "stopped" | "failed", pid, started, exits, problem}]; `since`: when the last one of those that are not
    ready ended.
    """

    place: Place
    group: str


@dataclass(frozen=True, slots=True)
class LookAtRoutes:
    """Where do requests go? ABSENT: nobody listens for these routes; `since`: when the gateway ended, if known.

    facts: `listen` ("host:port"), `weights` {group: percent}, `edited` (names of files that were changed by hand),
    `pid`, `started`.
    """

    place: Place
    route: str


Observation = FindIdentity | FindVersion | LookAtArtifact | LookAtJob | LookAtPlace | LookAtReplicas | LookAtRoutes
Query = Reading | Observation


def place_of(query: Query) -> Place:
    """Return the place that answers this query."""
    if isinstance(query, FindIdentity | FindVersion | LookAtArtifact):
        return query.store
    return query.place


class Presence(Enum):
    """Three-valued: unreachable is not absent, and never plans a create or a destroy."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to one query. ABSENT is said on positive evidence only.

    `since` is when what is seen began, in unix seconds, where the place knows it; `problem` is for people.
    """

    presence: Presence
    digest: str | None = None
    facts: Frozen = EMPTY
    since: float | None = None
    problem: str | None = None


def unreachable(problem: str) -> Seen:
    """Return the answer of a place that cannot be asked."""
    return Seen(Presence.UNREACHABLE, problem=problem)
