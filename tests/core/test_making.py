"""Frozen dataclasses with a quicker `__init__` are what they were."""

from __future__ import annotations

import dataclasses
import inspect
import pickle

import pytest

from specforge.core.making import KeepsHash, hashed_once, made_quickly


@dataclasses.dataclass(frozen=True, slots=True)
class Usual:
    """A class with every sort of field."""

    first: int
    second: str = "two"
    third: list[int] = dataclasses.field(default_factory=list)


@made_quickly
@dataclasses.dataclass(frozen=True, slots=True)
class Quick:
    """The same fields."""

    first: int
    second: str = "two"
    third: list[int] = dataclasses.field(default_factory=list)


def test_it_takes_the_same_arguments():
    """By place, by name, with defaults; every value has its own list."""
    for given, named in (((1,), {}), ((1, "x", [3]), {}), ((), {"first": 1, "third": [4]})):
        assert dataclasses.astuple(Quick(*given, **named)) == dataclasses.astuple(Usual(*given, **named))
    assert Quick(1).third is not Quick(1).third
    kinds = [[(each.name, each.kind) for each in inspect.signature(cls).parameters.values()] for cls in (Usual, Quick)]
    assert kinds[0] == kinds[1]


def test_it_is_still_a_frozen_dataclass():
    """It cannot be changed; it is compared, replaced and pickled as ever."""
    made = Quick(1, "x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.first = 2
    assert dataclasses.replace(made, second="y") == Quick(1, "y")
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_wrong_argument_is_named():
    """The message says which class was made wrongly."""
    with pytest.raises(TypeError, match=r"^Quick\.__init__\(\) missing 1 required positional argument: 'first'$"):
        Quick()


class Counted:
    """Something that counts how often its hash is computed."""

    def __init__(self):
        self.count = 0

    def __hash__(self):
        self.count += 1
        return 7


@hashed_once
@made_quickly
@dataclasses.dataclass(frozen=True, slots=True)
class Kept(KeepsHash):
    """A class whose hash is kept."""

    first: object


def test_a_hash_is_computed_once():
    """Equal values have equal hashes; a copy computes its own; the kept hash is no part of the value."""
    inside = Counted()
    made = Kept(inside)
    assert hash(made) == hash(made) == hash(Kept(inside))
    assert inside.count == 2
    assert [each.name for each in dataclasses.fields(made)] == ["first"]
    other = dataclasses.replace(made, first="x")
    assert hash(other) == hash(Kept("x"))
    assert other != made
