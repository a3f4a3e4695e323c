"""Performs steps and answers queries at boxes. Every step is one transaction, so that a kill leaves all or nothing."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtPlace,
    Presence,
    Query,
    Seen,
    unreachable,
)
from specforge.core.steps import EnsurePlace, Publish, Release, Step, Unpublish
from specforge.core.values import EMPTY, Frozen, Key, Place, Tree, VersionSeries
from specforge.executors.base import LogLine, Result, StepContext, Surroundings
from specforge.formats import tree as trees
from specforge.formats.tree import Entry
from specforge_toy.records import SCHEMA, Build, Records

ABSENT = Seen(Presence.ABSENT)


class DownError(Exception):
    """The box cannot be reached; says why."""


def fail(code: str, summary: str, detail: str, *, refusal: bool = False) -> ExecutionError:
    """Return an error for people."""
    return ExecutionError(Diagnostic(code, summary, detail), refusal=refusal)


class BoxExecutor:
    """The executor of the driver `toy`."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._root = surroundings.root
        self._reader = surroundings.reader

    # ---- the protocol ----

    def observe(self, place: Place, queries: Sequence[Query], deadline: float | None) -> Mapping[Query, Seen]:
        """Answer a batch; a box that is down, or a deadline that is over, makes every answer unreachable."""
        try:
            if deadline is not None and deadline <= 0:
                raise DownError("there was no time to ask")
            with self._open(place) as box:
                return {query: _answer(box, query) for query in queries}
        except (DownError, OSError, sqlite3.Error, ValueError) as error:
            return dict.fromkeys(queries, unreachable(str(error)))

    def preflight(self, place: Place, steps: Sequence[Step], deadline: float | None) -> Sequence[Diagnostic]:
        """Find nothing: what can go wrong shows when it is done, without harm."""
        return ()

    def perform(self, step: Step, context: StepContext) -> Result:
        """Make it so, in one transaction."""
        try:
            if isinstance(step, EnsurePlace):
                return Result(self._ensure(step))
            if isinstance(step, Publish):
                return Result(self._publish(step, context))
            if isinstance(step, Release | Unpublish):
                with self._open(step.store, write=True) as box:
                    return Result(EMPTY if box is None else _let_go(box, step, context.key))
        except DownError as error:
            raise fail("SF403", "Place unreachable", str(error)) from error
        except (OSError, sqlite3.Error) as error:
            raise fail("SF425", "Store cannot be used", f"the box: {error}") from error
        raise fail("SF409", "The place cannot do this", f"a box does not know the step `{type(step).__name__}`")

    def cancel(self, place: Place, key: str, grace: float) -> None:
        """Do nothing: a box runs nothing."""

    def logs(self, place: Place, key: str, since: float | None, follow: bool) -> Iterator[LogLine]:
        """Give nothing: a box runs nothing."""
        return iter(())

    # ---- the ability to give files ----

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List a published tree."""
        with self._open(tree.place) as box:
            found = None if box is None else box.listing(str(tree.digest))
        if found is None:
            raise fail("SF428", "Published data damaged", f"there is no tree {tree.digest} in {tree.place}")
        return found

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open one of its files."""
        with self._open(tree.place) as box:
            content = None if box is None else box.content(entry.sha256)
        if content is None:
            raise fail("SF428", "Published data damaged", f"`{entry.path}` is missing in {tree.place}")
        return io.BytesIO(content)

    # ---- the box ----

    @contextmanager
    def _open(self, place: Place, *, write: bool = False) -> Iterator[Records | None]:
        """Give the records of a box, None if there is none; `write`: within one transaction, all or nothing."""
        if (self._root / place.settings.get("switch", ".specforge/box.down")).exists():
            raise DownError(f"the box {place.id} is switched off")
        file = self._root / place.id
        if not file.exists():
            yield None
            return
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)
        try:
            connection.execute("begin immediate" if write else "begin")
            yield Records(connection)
            connection.execute("commit")
        finally:
            connection.close()

    def _ensure(self, step: EnsurePlace) -> Frozen:
        file = self._root / step.place.id
        with self._open(step.place) as box:
            kept = 0 if box is None else box.living()
        if step.wanted is None:
            if not kept:
                file.unlink(missing_ok=True)
            return Frozen(kept=kept)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _new_box(file)
        return EMPTY

    def _publish(self, step: Publish, context: StepContext) -> Frozen:
        if context.cancel.cancelled:
            raise Cancelled(Diagnostic("SF429", "Cancelled", "stopped on request before anything was published"))
        identity = str(step.identity)
        with self._open(step.store) as box:
            if box is None:
                raise fail("SF420", "Not a place for this", f"there is no box {step.store.id}; apply the Store first")
            known = box.current(identity)
        contents = {}
        if known is None or known.number == step.replaces:
            contents = self._contents(step)
        with self._open(step.store, write=True) as box:
            if box is None:
                raise fail("SF420", "Not a place for this", f"the box {step.store.id} is gone")
            build = box.current(identity)
            if build is None or build.number == step.replaces:
                build = _commit(box, step, contents)
            version = None if step.series is None else _claim(box, step, step.series, build)
            project = step.series.project if step.series is not None else ""
            box.refer(build, context.key.lineage, str(context.key.address), project)
            found = {"identity": identity, "build": build.number, "digest": build.digest}
            return Frozen({**found, "trees": build.trees, "version": version, "facts": build.facts})

    def _contents(self, step: Publish) -> dict[str, dict[Entry, bytes]]:
        """Read the trees and check them against their digests."""
        if step.output not in step.trees:
            raise fail(
                "SF420", "Not a place for this", "nothing is published under this identity, and no tree is given"
            )
        contents: dict[str, dict[Entry, bytes]] = {}
        for name, tree in step.trees.items():
            reader = self._reader(tree.place)
            contents[name] = {}
            for entry in reader.entries(tree):
                with reader.open(tree, entry) as stream:
                    content = stream.read()
                if hashlib.sha256(content).hexdigest() != entry.sha256:
                    raise fail("SF423", "Files changed", f"`{entry.path}` changed while it was read")
                contents[name][entry] = content
            if tree.digest is not None and trees.digest(contents[name]) != tree.digest:
                raise fail("SF423", "Files changed", f"the tree `{name}` changed since the plan")
        for path in step.exports:
            if path not in {entry.path for entry in contents[step.output]}:
                raise fail("SF423", "Files changed", f"there is no `{path}` to show beside the version")
        return contents


def _new_box(file: Path) -> None:
    """Make an empty box; of two who do so at once, one finds it made."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=30)
    try:
        connection.execute("begin immediate")
        if not connection.execute("select 1 from sqlite_master").fetchone():
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
        connection.execute("commit")
    finally:
        connection.close()


def _answer(box: Records | None, query: Query) -> Seen:
    if isinstance(query, LookAtPlace):
        return ABSENT if box is None else Seen(Presence.PRESENT)
    if isinstance(query, FindIdentity):
        return _find(box, query)
    if box is None:
        return ABSENT
    if isinstance(query, FindVersion):
        target = box.claims(query.series).get(query.version)
        build = None if target is None else box.build(*target)
        if build is None or build.status != "current":
            return ABSENT
        facts = {"identity": build.identity, "build": build.number, "trees": build.trees, "facts": build.facts}
        return Seen(Presence.PRESENT, build.digest, Frozen({**facts, "version": query.version}))
    if isinstance(query, LookAtArtifact):
        build = box.build(query.identity, query.build)
        if build is None or build.status == "gone":
            return ABSENT
        missing = box.missing(build, hashed=query.depth == "hashed")
        if missing:
            facts = {"missing": len(missing), "missing_paths": tuple(missing[:20])}
            return Seen(Presence.ABSENT, facts=Frozen(facts))
        return Seen(Presence.PRESENT, build.digest)
    return unreachable(f"a box cannot answer `{type(query).__name__}`")


def _find(box: Records | None, query: FindIdentity) -> Seen:
    series = query.series
    build = None if box is None else box.current(query.identity)
    facts: dict[str, object] = {}
    if series is not None:
        claims = {} if box is None else box.claims(series)
        taken = claims.get(query.pinned or "")
        facts["next"] = series.version(1) if box is None else box.next_name(series)
        facts["claimed"] = Frozen({} if taken is None else {query.pinned: taken[0]})
    if box is None or build is None:
        return Seen(Presence.ABSENT, facts=Frozen(facts))
    facts |= {"build": build.number, "trees": build.trees, "facts": build.facts}
    version = None if series is None else box.name_of(series, build)
    if version is not None:
        facts["version"] = version
    return Seen(Presence.PRESENT, build.digest, Frozen(facts))


def _commit(box: Records, step: Publish, contents: Mapping[str, Mapping[Entry, bytes]]) -> Build:
    digests = {}
    for name, files in contents.items():
        listing = trees.listing(files)
        digests[name] = hashlib.sha256(listing).hexdigest()
        box.put(digests[name], listing)
        for entry, content in files.items():
            box.put(entry.sha256, content)
    return box.commit(str(step.identity), step.output, Frozen(digests), step.facts, step.replaces)


def _claim(box: Records, step: Publish, series: VersionSeries, build: Build) -> str:
    mine = (build.identity, build.number)
    taken = None if step.version is None else box.claims(series).get(step.version)
    if taken is not None and taken != mine:
        detail = f"this version holds something else: `{step.version}` was published as {taken[0][:12]}"
        raise fail("SF422", "Version name taken", detail, refusal=True)
    # A name that is given and not taken is still to be claimed.
    version = box.name_of(series, build) if step.version is None else taken and step.version
    if version is None:
        version = step.version or box.next_name(series)
        box.claim(series, version, build)
    shown = {each.path: each.sha256 for each in box.listing(build.digest) or ()}
    files = (
        (str(to).replace("{version}", version), box.content(shown[path]))
        for path, to in step.exports.items()
        if path in shown
    )
    box.export(series, version, [(name, content) for name, content in files if content is not None])
    return version


def _let_go(box: Records, step: Release | Unpublish, key: Key) -> Frozen:
    if isinstance(step, Release):
        box.release(step.identity, step.build, key.lineage, str(key.address))
        return EMPTY
    holders = box.holders(step.identity, step.build)
    others = [
        f"{address} of project `{project}` (state {who})" for who, address, project in holders if who != key.lineage
    ]
    if others:
        detail = f"{step.identity[:12]}, build {step.build}, is still used by {', '.join(others)}"
        raise fail("SF424", "Still in use", detail, refusal=True)
    if holders:
        return Frozen(kept=tuple(address for _, address, _ in holders))
    build = box.build(step.identity, step.build)
    if build is not None and build.status != "gone":
        box.drop(build)
    return EMPTY
