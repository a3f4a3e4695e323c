"""Frozen JSON-like values, places, trees, runs and the holes that an apply fills.

Nothing here performs anything: a `Place` says where, a `Tree` says which bytes, a `Run` says what to start. A hole
(`OutputRef`, `StepRef`) stands where a value is known only after something else was made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Any, NoReturn, TypeVar

from specforge.core.address import Address
from specforge.core.making import KeepsHash, dataclass, hashed_once

T = TypeVar("T")


class Frozen(dict[str, Any]):
    """A hashable, read-only mapping of JSON values; lists in it are tuples, mappings in it are `Frozen`.

    It derives from `dict` so that `json` encodes it without a detour. Build it with `frozen(value)`.
    """

    __slots__ = ("_hash",)
    _hash: int

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            self._hash = hash(frozenset(self.items()))
            return self._hash

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a Frozen mapping cannot be changed; build a new one")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def with_(self, **changes: Any) -> Frozen:
        """Return a copy in which the named keys have new values."""
        return Frozen({**self, **{key: frozen(value) for key, value in changes.items()}})

    def __reduce__(self) -> tuple[type[Frozen], tuple[dict[str, Any]]]:
        return (Frozen, (dict(self),))


EMPTY = Frozen()

_SCALARS = frozenset({str, int, float, bool, type(None)})


def frozen(value: Any) -> Any:
    """Return `value` with every mapping made `Frozen` and every list made a tuple, all the way down."""
    kind = type(value)
    if kind in _SCALARS or kind is Frozen:
        return value
    if kind is dict or isinstance(value, Mapping):
        return Frozen({str(key): frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple([frozen(item) for item in value])
    return value


@dataclass(frozen=True, slots=True)
class OutputRef:
    """A hole: output `key` of the resource at `address`, known once that resource has been applied."""

    address: Address
    key: str


@dataclass(frozen=True, slots=True)
class StepRef:
    """A hole: output `key` of an earlier step (by its name) of the same part of the same change.

    The step name `""` means the part itself; its only key is `identity`.
    """

    step: str
    key: str


IDENTITY = StepRef("", "identity")
"""The hole for the identity of the part that a step belongs to; filled by the engine, which computes it."""

Hole = OutputRef | StepRef


_LEAVES = _SCALARS | {Address}


_FIELDS: dict[type, tuple[str, ...]] = {}


def _field_names(kind: type) -> tuple[str, ...]:
    """Return the fields of a class of ours, in which holes can be; none for any other class."""
    names = _FIELDS.get(kind)
    if names is None:
        ours = dataclasses.is_dataclass(kind)
        names = _FIELDS[kind] = tuple(each.name for each in dataclasses.fields(kind)) if ours else ()
    return names


def map_holes(value: Any, fill: Callable[[Hole], Any]) -> Any:
    """Return `value` with every hole in it replaced by `fill(hole)`; untouched parts are shared, not copied."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is OutputRef or kind is StepRef:
        return fill(value)
    if kind is tuple:
        items = [map_holes(item, fill) for item in value]
        return value if all(map(is_, items, value)) else tuple(items)
    mapping = kind is Frozen
    parts = value.items() if mapping else [(name, getattr(value, name)) for name in _field_names(kind)]
    changes = {}
    for key, before in parts:
        if type(before) not in _LEAVES:
            after = map_holes(before, fill)
            if after is not before:
                changes[key] = after
    if not changes:
        return value
    return Frozen({**value, **changes}) if mapping else dataclasses.replace(value, **changes)


def _inside(value: Any) -> Iterable[Any]:
    """Return what a value that is no leaf and no hole is made of."""
    kind = type(value)
    if kind is Frozen:
        return value.values()  # type: ignore[no-any-return]
    return value if kind is tuple else [getattr(value, name) for name in _field_names(kind)]


def has_holes(value: Any) -> bool:
    """Return whether there is any hole in `value`."""
    if type(value) is OutputRef or type(value) is StepRef:
        return True
    return any(map(has_holes, [item for item in _inside(value) if type(item) not in _LEAVES]))


def holes_in(value: Any) -> tuple[Hole, ...]:
    """Return every hole in `value`, in the order they occur, each once."""
    found: dict[Hole, None] = {}
    _collect(value, found)
    return tuple(found)


def _collect(value: Any, found: dict[Hole, None]) -> None:
    if type(value) is OutputRef or type(value) is StepRef:
        found[value] = None
        return
    for item in _inside(value):
        if type(item) not in _LEAVES:
            _collect(item, found)


@hashed_once
@dataclass(frozen=True, slots=True)
class Place(KeepsHash):
    """Somewhere that executors work: the output of a Store or a Pool.

    `driver` names the executor ("folder", "local", …); `id` tells two places of one driver apart and is relative to
    the project's root wherever the user wrote it so (a moved project keeps its places); `settings` are the driver's.
    """

    driver: str
    id: str
    settings: Frozen = EMPTY

    def __str__(self) -> str:
        return f"{self.driver}:{self.id}"

    def is_at(self, other: Place | None) -> bool:
        """Whether both are one and the same place, maybe with other settings: what lies or runs in one is in both."""
        return other is not None and (self.driver, self.id) == (other.driver, other.id)

    @property
    def called(self) -> str:
        """What messages call it."""
        return "the project's folder" if (self.driver, self.id) == ("folder", ".") else str(self)


PROJECT = Place("folder", ".")
"""The user's own project folder: sources and code are read there, nothing is written."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of files with a content digest (`specforge.formats.tree`).

    With `path`, the files lie in that folder of `place`; with `path=None` the tree is published in a store and found
    there by its digest. `digest` may be a hole, or None while nobody has computed it.
    """

    place: Place
    path: str | None
    digest: str | Hole | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use: `cpu` cores (may be a fraction), `memory` in bytes. None: the pool's share of a slot."""

    cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is read when it is needed: the variable `env` of the command, or the file `file` of the project.

    Only the reference is in specs, plans and records; identities have a print of the value.
    """

    env: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"the variable `{self.env}`" if self.env is not None else f"the file `{self.file}`"


@dataclass(frozen=True, slots=True)
class Run:
    """The body of a job: what to start and with what.

    In `argv` the word `@python` is the toolchain's interpreter (without a toolchain: the one that runs specforge),
    `@procedures` the zip of specforge.procedures (`@python @procedures NAME …`), and `@in/NAME`, `@out`, `@out/NAME`,
    `@code` (also after a `=`) are the job's folders, `@socket` the Unix socket that a replica listens on; the executor
    puts the real paths in. A word may be a hole; the mapping that fills it becomes its canonical JSON.
    `toolchain` is the engine's entry of specforge.lock, or None. Of `variables` some may be a `SecretRef`.
    """

    argv: tuple[str, ...]
    toolchain: Frozen | None = None
    variables: Frozen = EMPTY
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        words: tuple[Any, ...] = self.argv
        if Frozen in map(type, words):
            from specforge.core.digest import canonical_json

            filled = [canonical_json(word) if type(word) is Frozen else word for word in words]
            object.__setattr__(self, "argv", tuple(filled))


@dataclass(frozen=True, slots=True)
class Key:
    """The run key: names one effect so that whoever performs it again finds it. Computable without the intent.

    `attempt` counts from 1: one more than the runs of this identity that this lineage has recorded as ended.
    """

    lineage: str
    address: Address
    identity: str
    attempt: int
    step: str

    @property
    def id(self) -> str:
        """A name for folders, containers and submissions: readable, and unique by a hash of the whole key."""
        from specforge.core.digest import digest_of

        whole = digest_of([self.lineage, str(self.address), self.identity, self.attempt, self.step])
        return f"{self.address}-{self.step}-{self.attempt}-{whole[:16]}"


@dataclass(frozen=True, slots=True)
class VersionSeries:
    """The row of version names of one resource in a store: V001, V002, … per project, kind and name.

    `pattern` is a format string with one number: `V{:03d}`, or `0.0.{}`.
    """

    project: str
    kind: str
    name: str
    pattern: str

    def version(self, number: int) -> str:
        """Return the name of the version with this number, counted from 1."""
        return self.pattern.format(number)


@dataclass(frozen=True, slots=True)
class Select:
    """Which files of a folder count.

    `suffixes` (lower case, with the dot; empty: all files); `executable=False` leaves the executable bit out of the
    digest (data); the rules for what is never read (`.git`, `__pycache__`, …, `.specignore`) hold always.
    """

    suffixes: tuple[str, ...] = ()
    executable: bool = True


def unique(values: Iterable[T]) -> tuple[T, ...]:
    """Return the values in order of first occurrence, each once."""
    return tuple(dict.fromkeys(values))


@dataclass(frozen=True, slots=True)
class JobInput:
    """A folder that a job reads: mounted or fetched under the name, read-only.

    `usages`: of a tree with a manifest, show only the samples with one of these usages; None: everything as it is.
    A sample without usage counts as `TRAIN`.
    """

    name: str
    tree: Tree
    usages: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class JobOutput:
    """A tree that a job leaves: folder `path` below its output folder (`.`: all of it), without `exclude`.

    `@log` as path is the job's log. A missing `required` output fails the job with `missing_hint`. `expected` names a
    file below the output folder with the listing (specforge.formats.tree) that the tree must have, executable bits
    aside: what a job verified and linked may change until it is collected, and then the job fails.
    """

    name: str
    path: str
    exclude: tuple[str, ...] = ()
    required: bool = False
    missing_hint: str = ""
    expected: str = ""
