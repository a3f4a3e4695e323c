"""Frozen dataclasses that are made fast behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

from specforge.core.dataclass import dataclass
from specforge.core.values import Place, Tree


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A point."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Plain:
    """The same, of the standard library."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()


def test_a_value_is_made_compared_hashed_and_shown() -> None:
    """By position and by name, with defaults."""
    assert Point(1) == Point(x=1, y=2) != Point(1, 3)
    assert hash(Point(1)) == hash(Point(1, 2)) == hash(Plain(1))
    assert repr(Point(1, names=("a",))) == "Point(x=1, y=2, names=('a',))"
    assert Point(1) < Point(2)
    assert type(Point(1)) is Point
    assert not hasattr(Point(1), "__dict__")


def test_a_value_is_frozen_once_it_is_made() -> None:
    """Setting, adding and deleting are refused as ever."""
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        point.z = 3  # type: ignore[attr-defined]


def test_wrong_arguments_are_told_as_ever() -> None:
    """By the name of the class."""
    for arguments, named in [((), {}), ((1, 2, (), 4), {}), ((1,), {"z": 1}), ((1,), {"x": 1})]:
        with pytest.raises(TypeError, match=r"Point\.__init__"):
            Point(*arguments, **named)


def test_the_standard_library_knows_the_fields() -> None:
    """replace, fields, asdict, signature, copy and pickle."""
    assert dataclasses.replace(Point(1), y=5) == Point(1, 5)
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "names"]
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 2, "names": ()}
    assert list(inspect.signature(Point).parameters) == ["x", "y", "names"]
    assert copy.deepcopy(Point(1)) == Point(1)
    assert pickle.loads(pickle.dumps(Point(1, names=("a",)))) == Point(1, names=("a",))
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_a_kept_hash_is_no_part_of_the_value() -> None:
    """A place keeps its hash; copies and pickles are equal and find their own."""
    place = Place("folder", "a")
    assert hash(place) == hash(Place("folder", "a"))
    again = pickle.loads(pickle.dumps(place))
    assert again == place
    assert hash(again) == hash(place)
    assert Tree(place, "x") == Tree(again, "x")


def test_a_value_class_has_no_subclasses() -> None:
    """They would turn into their base."""
    with pytest.raises(TypeError, match="no subclasses"):

        class Sub(Point):
            pass


def test_other_classes_are_left_to_the_standard_library() -> None:
    """Default factories, hooks, no fields, not frozen."""

    @dataclass(frozen=True, slots=True)
    class Made:
        items: list[int] = dataclasses.field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Checked:
        x: int

        def __post_init__(self) -> None:
            assert self.x

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(slots=True)
    class Open:
        x: int

    @dataclass
    class Bare:
        x: int = 0

    assert Made().items == []
    with pytest.raises(AssertionError):
        Checked(0)
    assert Empty() == Empty()
    changed = Open(1)
    changed.x = 2
    assert (changed.x, Bare().x) == (2, 0)
