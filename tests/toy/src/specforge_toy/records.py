"""What lies in a box: objects by their digest, builds of identities, claims of version names, references."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from specforge.core.values import Frozen, VersionSeries, frozen
from specforge.formats.tree import Entry, parse

SCHEMA = """
create table objects (sha256 text primary key, content blob not null);
create table builds (identity text, number integer, output text, trees text, facts text, status text,
  primary key (identity, number));
create table claims (project text, kind text, name text, version text, identity text, number integer,
  primary key (project, kind, name, version));
create table exports (project text, kind text, name text, version text, path text, content blob,
  primary key (project, kind, name, version, path));
create table refs (identity text, number integer, lineage text, address text, project text,
  primary key (identity, number, lineage, address));
"""


@dataclass(frozen=True)
class Build:
    """One build of an identity; status `current`, `lost` (it counts no more) or `gone` (its data were taken away)."""

    identity: str
    number: int
    output: str
    trees: Frozen
    facts: Frozen
    status: str

    @property
    def digest(self) -> str:
        """The output's digest."""
        return str(self.trees[self.output])


class Records:
    """The tables of one box, within one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sql = connection.execute

    # ---- builds ----

    def builds(self, identity: str) -> list[Build]:
        """Return all builds of an identity, oldest first."""
        rows = self.sql("select * from builds where identity = ? order by number", (identity,))
        return [Build(i, n, output, frozen(json.loads(t)), frozen(json.loads(f)), s) for i, n, output, t, f, s in rows]

    def build(self, identity: str, number: int) -> Build | None:
        """Return one build."""
        return next((each for each in self.builds(identity) if each.number == number), None)

    def current(self, identity: str) -> Build | None:
        """Return the build that counts."""
        return next((each for each in reversed(self.builds(identity)) if each.status == "current"), None)

    def commit(self, identity: str, output: str, trees: Frozen, facts: Any, replaces: int | None) -> Build:
        """Make these trees the current build: an old one that had the same trees, else the next one."""
        known = self.builds(identity)
        equal = [
            each for each in known if each.trees == trees and (each.status != "current" or each.number == replaces)
        ]
        self.sql("update builds set status = 'lost' where identity = ? and status = 'current'", (identity,))
        number = equal[-1].number if equal else max((each.number for each in known), default=0) + 1
        if equal:
            self.sql("update builds set status = 'current' where identity = ? and number = ?", (identity, number))
        else:
            row = (identity, number, output, json.dumps(trees), json.dumps(facts))
            self.sql("insert into builds values (?, ?, ?, ?, ?, 'current')", row)
        made = self.build(identity, number)
        assert made is not None
        return made

    def drop(self, build: Build) -> None:
        """Take a build's data away, except for objects that other builds have too."""
        self.sql("update builds set status = 'gone' where identity = ? and number = ?", (build.identity, build.number))
        kept: set[str] = set()
        rows = self.sql("select distinct identity from builds where status != 'gone'").fetchall()
        for other in (each for (identity,) in rows for each in self.builds(identity) if each.status != "gone"):
            for digest in other.trees.values():
                kept |= {digest, *(each.sha256 for each in self.listing(digest) or ())}
        for (sha256,) in self.sql("select sha256 from objects").fetchall():
            if sha256 not in kept:
                self.sql("delete from objects where sha256 = ?", (sha256,))

    def living(self) -> int:
        """Return how many builds have data."""
        return int(self.sql("select count(*) from builds where status != 'gone'").fetchone()[0])

    # ---- objects ----

    def put(self, sha256: str, content: bytes) -> None:
        """Keep an object; a damaged one is healed."""
        self.sql("insert or replace into objects values (?, ?)", (sha256, content))

    def content(self, sha256: str) -> bytes | None:
        """Return an object, or None."""
        row = self.sql("select content from objects where sha256 = ?", (sha256,)).fetchone()
        return None if row is None else bytes(row[0])

    def listing(self, digest: str) -> tuple[Entry, ...] | None:
        """Return what a tree consists of, or None if that is not known any more."""
        text = self.content(digest)
        return parse(text) if text is not None and hashlib.sha256(text).hexdigest() == digest else None

    def missing(self, build: Build, *, hashed: bool) -> list[str]:
        """Return what a build lacks, as `TREE/path`; `TREE/` where its listing is gone."""
        found = []
        for name, digest in sorted(build.trees.items()):
            listing = self.listing(digest)
            if listing is None:
                found.append(f"{name}/")
            for each in listing or ():
                content = self.content(each.sha256)
                whole = content is not None and len(content) == each.size
                if whole and hashed:
                    whole = hashlib.sha256(content or b"").hexdigest() == each.sha256
                if not whole:
                    found.append(f"{name}/{each.path}")
        return found

    # ---- version names ----

    def claims(self, series: VersionSeries) -> dict[str, tuple[str, int]]:
        """Return {version: (identity, build)} of a series."""
        rows = self.sql(
            "select version, identity, number from claims where project = ? and kind = ? and name = ?", _key(series)
        )
        return {version: (identity, number) for version, identity, number in rows}

    def claim(self, series: VersionSeries, version: str, build: Build) -> None:
        """Give a free name to a build."""
        row = (*_key(series), version, build.identity, build.number)
        self.sql("insert into claims values (?, ?, ?, ?, ?, ?)", row)

    def name_of(self, series: VersionSeries, build: Build) -> str | None:
        """Return the lowest name that the build has in a series, or None."""
        mine = (build.identity, build.number)
        names = [version for version, target in self.claims(series).items() if target == mine]
        return min(names, key=lambda name: (number_of(series, name) or 1 << 60, name), default=None)

    def next_name(self, series: VersionSeries) -> str:
        """Return the name that would be allocated."""
        return series.version(max((number_of(series, each) or 0 for each in self.claims(series)), default=0) + 1)

    def export(self, series: VersionSeries, version: str, files: Iterable[tuple[str, bytes]]) -> None:
        """Keep files beside a version for people."""
        for path, content in files:
            self.sql(
                "insert or replace into exports values (?, ?, ?, ?, ?, ?)", (*_key(series), version, path, content)
            )

    # ---- references ----

    def refer(self, build: Build, lineage: str, address: str, project: str) -> None:
        """Note that a resource of a lineage needs the build."""
        row = (build.identity, build.number, lineage, address, project)
        self.sql("insert or ignore into refs values (?, ?, ?, ?, ?)", row)

    def release(self, identity: str, number: int, lineage: str, address: str) -> None:
        """Note that it does not need it any more."""
        self.sql(
            "delete from refs where identity = ? and number = ? and lineage = ? and address = ?",
            (identity, number, lineage, address),
        )

    def holders(self, identity: str, number: int) -> list[tuple[str, str, str]]:
        """Return (lineage, address, project) of everybody who needs the build."""
        rows = self.sql(
            "select lineage, address, project from refs where identity = ? and number = ? order by 1, 2",
            (identity, number),
        )
        return list(rows)


def number_of(series: VersionSeries, version: str) -> int | None:
    """Return the number in a name of the series' pattern, None for a name given by hand."""
    for digits in re.findall(r"[0-9]+", version)[::-1]:
        if series.version(int(digits)) == version:
            return int(digits)
    return None


def _key(series: VersionSeries) -> tuple[str, str, str]:
    return series.project, series.kind, series.name
