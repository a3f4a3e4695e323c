"""Values to JSON and back: every class, fields that come later, what is not known."""

from __future__ import annotations

import dataclasses
import json
import typing
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.state import Status
from specforge.core.values import Frozen, OutputRef, Place, Run, frozen
from specforge.planner.plan import plan_registry

CLASSES = sorted(plan_registry().items())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text().filter("$".__ne__), inner, max_size=3),
    max_leaves=5,
).map(frozen)
FROZEN = st.dictionaries(st.text(min_size=1).filter("$".__ne__), JSON, max_size=3).map(frozen)


def strategy(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's type: what our classes are annotated with, no more."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Frozen or origin in (dict, typing.get_origin(typing.Mapping[str, int])):
        return FROZEN
    if annotation is object:
        return JSON
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return st.lists(strategy(arguments[0]), max_size=2).map(tuple)
        return st.tuples(*map(strategy, arguments))
    if arguments:
        return st.one_of(*map(strategy, arguments))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if dataclasses.is_dataclass(annotation):
        return built(annotation)
    if annotation is float:
        return st.floats(allow_nan=False)
    return st.from_type(annotation)


def built(cls: type) -> st.SearchStrategy[Any]:
    """Return values of one of our classes."""
    hints = typing.get_type_hints(cls)
    return st.deferred(lambda: st.builds(cls, **{f.name: strategy(hints[f.name]) for f in dataclasses.fields(cls)}))


@pytest.mark.parametrize("cls", [cls for _, cls in CLASSES], ids=[name for name, _ in CLASSES])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_class_survives_the_round_trip(cls: type, data: st.DataObject) -> None:
    """Through real JSON text."""
    value = data.draw(strategy(cls))
    text = json.dumps(codec.encode(value))
    assert codec.decode(json.loads(text), plan_registry()) == value


def test_fields_at_their_default_are_left_out() -> None:
    """So that a field added later reads older files."""
    assert codec.encode(Run(("a",))) == {"$": "Run", "argv": ["a"]}
    assert codec.decode({"$": "Run", "argv": ["a"]}) == Run(("a",))


def test_a_default_of_another_type_is_kept() -> None:
    """0 is not False, 1.0 is not 1."""

    @dataclasses.dataclass(frozen=True)
    class Odd:
        flag: bool = False
        number: int = 1

    assert codec.encode(Odd(0, 1.0)) == {"$": "Odd", "flag": 0, "number": 1.0}  # type: ignore[arg-type]
    assert codec.encode(Odd()) == {"$": "Odd"}


def test_values_in_plain_structures_are_found() -> None:
    """Mappings come back Frozen, lists as tuples."""
    value = {"place": Place("folder", "a"), "list": [OutputRef(Address("a", "b"), "c"), Status.LOST, None, 1.5]}
    again = codec.decode(json.loads(json.dumps(codec.encode(value))))
    assert again == frozen(value)
    assert isinstance(again, Frozen)


def test_an_unknown_class_is_an_error() -> None:
    """Only registered classes are made; a plan of a later release says what is missing."""
    with pytest.raises(ValueError, match="does not know `Teapot`"):
        codec.decode({"$": "Teapot"})
    with pytest.raises(ValueError, match="does not know `Plan`"):
        codec.decode({"$": "Plan"})


def test_fields_that_do_not_fit_are_an_error() -> None:
    """Unknown and missing ones."""
    with pytest.raises(ValueError, match="`Address` does not fit"):
        codec.decode({"$": "Address", "kind": "a", "name": "b", "colour": "red"})
    with pytest.raises(ValueError, match="`Address` does not fit"):
        codec.decode({"$": "Address", "kind": "a"})
    with pytest.raises(ValueError, match="lots"):
        codec.decode({"$": "Status", "value": "lots"})


def test_the_registry_holds_what_a_module_defines() -> None:
    """Not what it imports, not functions, not Frozen itself."""
    from specforge.core import state

    found = codec.registry_of(state)
    assert {"Resource", "Version", "Status"} <= found.keys()
    assert not {"Address", "Frozen", "Place", "StateChange"} & found.keys()
    assert "Frozen" not in codec.CORE
