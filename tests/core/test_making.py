"""Cheap frozen dataclasses are what the standard ones are."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

from specforge.core.making import KeepsHash, dataclass, hashed_once


@dataclasses.dataclass(frozen=True, slots=True)
class Usual:
    """A class with every sort of field."""

    first: int
    second: str = "two"
    third: list[int] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, slots=True)
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
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'first'"):
        made.first = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'first'"):
        del made.first
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.other = 2
    assert dataclasses.replace(made, second="y") == Quick(1, "y")
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert made != Usual(1, "x")
    assert made != Quick(1, "z")
    assert made.__eq__(3) is NotImplemented
    assert repr(made) == repr(Usual(1, "x")).replace("Usual", "Quick")
    assert not hasattr(made, "__dict__")


@dataclass(frozen=True, slots=True)
class Hashable:
    """A class whose fields can be hashed."""

    first: int
    second: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """A class without fields."""


@dataclass(frozen=True, slots=True, order=True)
class Ordered:
    """A class whose values have an order, and a method of its own in place of a shared one."""

    first: int
    doubled: int = 0

    def __post_init__(self):
        object.__setattr__(self, "doubled", 2 * self.first)

    def __repr__(self):
        return f"<{self.first}>"


@dataclass(slots=True)
class Changeable:
    """A class that is not frozen."""

    first: int


def test_equal_values_have_equal_hashes():
    """With several fields, and with none."""
    assert hash(Hashable(1, (2,))) == hash(Hashable(1, (2,))) != hash(Hashable(1))
    assert (Nothing(), hash(Nothing()), repr(Nothing())) == (Nothing(), hash(Nothing()), "Nothing()")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Quick(1))


def test_what_a_class_has_of_its_own_stays():
    """Its own methods, and what follows its making; the order is that of the fields."""
    assert (repr(Ordered(3)), Ordered(3).doubled) == ("<3>", 6)
    assert sorted([Ordered(3), Ordered(1)]) == [Ordered(1), Ordered(3)]
    assert hash(Ordered(1)) == hash(Ordered(1))


def test_what_is_not_frozen_is_left_to_the_standard_decorator():
    """It can be changed."""
    made = Changeable(1)
    made.first = 2
    assert made == Changeable(2)


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
@dataclass(frozen=True, slots=True)
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
