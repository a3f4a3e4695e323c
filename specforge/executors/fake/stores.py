"""A store in memory: objects by digest, builds of identities, claims of version names, references."""

from __future__ import annotations

import hashlib
from dataclasses import field, replace

from specforge.core.making import dataclass
from specforge.core.values import EMPTY, Frozen, VersionSeries
from specforge.executors.fake.files import Files, entries_of
from specforge.executors.storage.records import next_version, number_of
from specforge.formats import tree
from specforge.formats.tree import Entry

SeriesKey = tuple[str, str, str]


@dataclass(frozen=True)
class Build:
    """What was published as build `number` of an identity. `lost`: it does not count any more; `gone`: unpublished."""

    number: int
    trees: Frozen
    output: str
    facts: Frozen = EMPTY
    lost: bool = False
    gone: bool = False

    @property
    def digest(self) -> str:
        """The output's digest."""
        return str(self.trees[self.output])


@dataclass
class Reference:
    """Which resources of a lineage need a build, and of which project they are."""

    project: str = ""
    addresses: set[str] = field(default_factory=set)


@dataclass
class FakeStoreData:
    """The content of one store. Tests may read all of it, and change `objects` to damage it."""

    objects: dict[str, bytes] = field(default_factory=dict)
    listings: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    builds: dict[str, dict[int, Build]] = field(default_factory=dict)
    claims: dict[SeriesKey, dict[str, tuple[str, int]]] = field(default_factory=dict)
    references: dict[tuple[str, int], dict[str, Reference]] = field(default_factory=dict)
    exports: dict[tuple[SeriesKey, str], Files] = field(default_factory=dict)
    first: dict[tuple[str, int], Build] = field(default_factory=dict)
    first_claims: dict[tuple[SeriesKey, str], tuple[str, int]] = field(default_factory=dict)

    # ---- objects and trees ----

    def put_tree(self, files: Files) -> str:
        """Copy the files in by their digests; return the tree's digest."""
        entries = entries_of(files)
        self.objects.update((hashlib.sha256(content).hexdigest(), content) for content in files.values())
        digest = tree.digest(entries)
        self.listings[digest] = entries
        return digest

    def files(self, digest: str) -> Files | None:
        """Return the files of a published tree, or None if it or an object of it is not there whole."""
        entries = self.listings.get(digest)
        if entries is None or any(not self.has(each, hashed=True) for each in entries):
            return None
        return {each.path: self.objects[each.sha256] for each in entries}

    def has(self, entry: Entry, *, hashed: bool) -> bool:
        """Return whether the entry's object is there with its size; `hashed`: and with its content."""
        content = self.objects.get(entry.sha256)
        if content is None or len(content) != entry.size:
            return False
        return not hashed or hashlib.sha256(content).hexdigest() == entry.sha256

    def missing(self, build: Build, *, hashed: bool) -> list[str]:
        """Return what a build lacks, as `TREE/path`; `TREE/` where nothing of the tree is known any more."""
        found: dict[str, str] = {}
        for name, digest in sorted(build.trees.items()):
            listing = self.listings.get(digest)
            if listing is None:
                found[digest] = f"{name}/"
            for each in listing or ():
                if not self.has(each, hashed=hashed):
                    found.setdefault(each.sha256, f"{name}/{each.path}")
        return sorted(found.values())

    # ---- builds ----

    def current(self, identity: str) -> Build | None:
        """Return the newest build of the identity that counts."""
        builds = self.builds.get(identity, {})
        return next((builds[number] for number in sorted(builds, reverse=True) if not builds[number].lost), None)

    def commit(self, identity: str, trees: Frozen, output: str, facts: Frozen, replaces: int | None) -> Build:
        """Make the trees the current build: a lost or replaced one, if it had the same trees, else a new one."""
        builds = self.builds.setdefault(identity, {})
        equal = [n for n, each in builds.items() if each.trees == trees and (each.lost or n == replaces)]
        number = max(equal, default=max(builds, default=0) + 1)
        for other, each in builds.items():
            builds[other] = replace(each, lost=True)
        made = builds.get(number) or Build(number, trees, output, facts)
        builds[number] = replace(made, lost=False, gone=False)
        self.first.setdefault((identity, number), builds[number])
        return builds[number]

    def drop(self, identity: str, number: int) -> None:
        """Take a build's data away, but for what other builds use; its record stays."""
        builds = self.builds[identity]
        builds[number] = replace(builds[number], lost=True, gone=True)
        kept = {digest for build in self.living() for digest in build.trees.values()}
        self.listings = {digest: entries for digest, entries in self.listings.items() if digest in kept}
        used = {entry.sha256 for entries in self.listings.values() for entry in entries}
        self.objects = {digest: content for digest, content in self.objects.items() if digest in used}
        for key, claimed in self.claims.items():
            for version in [name for name, target in claimed.items() if target == (identity, number)]:
                self.exports.pop((key, version), None)

    def living(self) -> list[Build]:
        """Return every build whose data must stay: those that count, and lost ones that somebody refers to."""
        return [
            build
            for identity, builds in self.builds.items()
            for build in builds.values()
            if not build.gone and (not build.lost or self.needed(identity, build.number))
        ]

    def needed(self, identity: str, number: int) -> bool:
        """Return whether any lineage refers to the build."""
        return any(each.addresses for each in self.references.get((identity, number), {}).values())

    def lose(self, identity: str) -> None:
        """Let the objects of an identity's current build vanish; the store does not know it yet."""
        build = self.current(identity)
        for digest in build.trees.values() if build else ():
            for entry in self.listings.get(digest, ()):
                self.objects.pop(entry.sha256, None)

    # ---- version names ----

    def next_version(self, series: VersionSeries) -> str:
        """Return the version name that would be allocated."""
        return next_version(series, tuple(self.claims.get(series_key(series), {})))

    def version_of(self, series: VersionSeries, identity: str, build: int) -> str | None:
        """Return the series' first name for a build, or None."""
        claimed = self.claims.get(series_key(series), {})
        mine = [name for name, target in claimed.items() if target == (identity, build)]
        return min(mine, key=lambda name: (number_of(series, name) or float("inf"), name), default=None)

    def claim(self, series: VersionSeries, version: str, identity: str, build: int) -> None:
        """Give a free version name to a build."""
        self.claims.setdefault(series_key(series), {})[version] = (identity, build)
        self.first_claims.setdefault((series_key(series), version), (identity, build))

    # ---- what must never happen ----

    def problems(self) -> list[str]:
        """Return what is wrong: builds or claims that are not what they were when they were made."""
        found = []
        for (identity, number), was in self.first.items():
            now = self.builds.get(identity, {}).get(number)
            if now is None or replace(now, lost=False, gone=False) != was:
                found.append(f"build {number} of {identity[:12]} is not what was published")
        for (key, version), target in self.first_claims.items():
            now_at = self.claims.get(key, {}).get(version)
            if now_at != target or target not in self.first:
                found.append(f"{'/'.join(key)}/{version} does not lead to what it was given to")
        return found


def series_key(series: VersionSeries) -> SeriesKey:
    """Return what a series is found by."""
    return (series.project, series.kind, series.name)
