"""Store format 1: where things lie, and reading them.

    format                          {"format": 1}
    objects/ab/SHA256               files, and tree listings (specforge.formats.tree) by their digest
    identities/ID/N                 build N of an identity: the commit. `N.lost` beside it: it does not count any more
    versions/PROJECT/KIND/NAME/V/   `claim` {identity, build, version}, and exported files for people
    references/ID/N/LINEAGE         who needs it: {project, addresses {address: since}}
    locks/, drafts/                    of writers at work

Nothing here writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from specforge.core.making import dataclass
from specforge.core.values import EMPTY, Frozen, VersionSeries, frozen
from specforge.executors.storage.failures import damaged, no_store, unknown_format
from specforge.formats.hashing import hash_file
from specforge.formats.tree import Entry, parse

FORMAT = 1
OURS = ("objects", "identities", "versions", "references", "locks", "drafts")
_ODD = re.compile(r"[/%\0]|^\.")


@dataclass(frozen=True, slots=True)
class Build:
    """What was published as build `number` of an identity: `trees` {name: digest}, `output` names the main one."""

    identity: str
    number: int
    trees: Frozen
    output: str
    facts: Frozen = EMPTY

    @property
    def digest(self) -> str:
        """The output's digest."""
        return str(self.trees[self.output])


@dataclass(frozen=True, slots=True)
class Builds:
    """All builds of an identity, by number; `lost` {number: why} do not count."""

    numbers: tuple[int, ...] = ()
    lost: Mapping[int, str] = field(default_factory=dict)

    @property
    def current(self) -> int | None:
        """The build that counts."""
        return max((each for each in self.numbers if each not in self.lost), default=None)


@dataclass(frozen=True, slots=True)
class Claim:
    """A version name and what it stands for."""

    version: str
    identity: str
    build: int


class Records:
    """A store's folder, for reading. `name` is how the user calls it, for messages."""

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.name = name

    # ---- where things lie ----

    def object(self, sha256: str) -> str:
        """Where the content with this digest lies."""
        return f"{self.root}/objects/{sha256[:2]}/{sha256}"

    def identity(self, identity: str) -> str:
        """The folder of an identity's builds."""
        return f"{self.root}/identities/{component(identity)}"

    def series(self, series: VersionSeries) -> str:
        """The folder of a series' versions."""
        return "/".join([self.root, "versions", *map(component, (series.project, series.kind, series.name))])

    def references(self, identity: str, build: int) -> str:
        """The folder of the references to a build."""
        return f"{self.root}/references/{component(identity)}/{build}"

    # ---- what they say ----

    def there(self) -> bool:
        """Return whether this is a store; raises ExecutionError if its format is not ours, OSError if unreadable."""
        try:
            text = Path(self.root, "format").read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            number = json.loads(text)["format"]
        except (ValueError, KeyError, TypeError):
            raise unknown_format(self.name, "a damaged file `format`") from None
        if number != FORMAT:
            raise unknown_format(self.name, f"format {number}")
        return True

    def need(self) -> None:
        """Raise ExecutionError unless this is a store."""
        if not self.there():
            raise no_store(self.name)

    def builds(self, identity: str) -> Builds:
        """Return which builds of the identity there are."""
        try:
            names = os.listdir(self.identity(identity))
        except FileNotFoundError:
            return Builds()
        lost = {}
        for each in names:
            if each.endswith(".lost"):
                lost[int(each[:-5])] = str(self._json(f"{self.identity(identity)}/{each}").get("why", ""))
        return Builds(tuple(sorted(int(each) for each in names if each.isdigit())), lost)

    def build(self, identity: str, number: int) -> Build:
        """Read a build's record; raises FileNotFoundError if it was never published."""
        body = self._json(f"{self.identity(identity)}/{number}", "trees", "output")
        return Build(identity, number, frozen(body["trees"]), body["output"], frozen(body.get("facts", {})))

    def current(self, identity: str) -> Build | None:
        """Return the build that counts."""
        number = self.builds(identity).current
        return None if number is None else self.build(identity, number)

    def identities(self) -> Iterator[str]:
        """Give every identity that was ever published."""
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(os.listdir(f"{self.root}/identities"))

    def claim(self, series: VersionSeries, version: str) -> Claim | None:
        """Return what the version name stands for, None if it is free."""
        return self._claim(f"{self.series(series)}/{component(version)}")

    def claims(self, series: VersionSeries) -> tuple[Claim, ...]:
        """Return the series' versions, in order."""
        folder = self.series(series)
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return ()
        found = [claim for each in names if (claim := self._claim(f"{folder}/{each}")) is not None]
        return tuple(sorted(found, key=lambda each: (number_of(series, each.version) or float("inf"), each.version)))

    def references_to(self, identity: str, build: int) -> dict[str, dict[str, Any]]:
        """Return who refers to a build: {lineage: {project, addresses}}."""
        folder = self.references(identity, build)
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return {}
        return {each: self._json(f"{folder}/{each}") for each in names}

    def listing(self, digest: str) -> tuple[Entry, ...]:
        """Return the entries of a published tree; raises ExecutionError if its listing is missing or damaged."""
        try:
            text = Path(self.object(digest)).read_bytes()
        except FileNotFoundError:
            raise damaged(f"the store `{self.name}`", f"tree {digest[:12]}") from None
        if hashlib.sha256(text).hexdigest() != digest:
            raise damaged(f"the store `{self.name}`", f"tree {digest[:12]}")
        return parse(text)

    def holds(self, sha256: str, size: int) -> bool:
        """Return whether the object is there with its size."""
        try:
            return os.stat(self.object(sha256)).st_size == size
        except FileNotFoundError:
            return False

    def holds_truly(self, sha256: str, size: int) -> bool:
        """Read the object and return whether it is what its name says."""
        try:
            return hash_file(self.object(sha256), size).sha256 == sha256
        except FileNotFoundError:
            return False

    def _json(self, path: str, *fields: str) -> dict[str, Any]:
        """Read a record; raises ExecutionError if it is damaged or lacks one of the fields."""
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError:
            body = None
        if not isinstance(body, dict) or any(each not in body for each in fields):
            raise damaged(f"the store `{self.name}`", os.path.relpath(path, self.root))
        return body

    def _claim(self, folder: str) -> Claim | None:
        try:
            body = self._json(f"{folder}/claim", "version", "identity", "build")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Claim(str(body["version"]), str(body["identity"]), int(body["build"]))


def component(name: str) -> str:
    """Return the name as one component of a path that leads nowhere else; ordinary names stay as they are."""
    return _ODD.sub(lambda found: f"%{ord(found.group()):02X}", name) or "%"


def number_of(series: VersionSeries, version: str) -> int | None:
    """Return the number of a version that follows the series' pattern, None for a name given by hand."""
    front, _, back = series.pattern.partition("{")
    back = back.partition("}")[2]
    digits = version[len(front) : len(version) - len(back)]
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if series.version(int(digits)) == version else None


def next_version(series: VersionSeries, taken: Iterable[str]) -> str:
    """Return the name that would be allocated: one after the highest number, so that no name comes twice."""
    return series.version(max((number_of(series, each) or 0 for each in taken), default=0) + 1)
