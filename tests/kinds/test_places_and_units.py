"""Store and Pool documents with the drivers that are installed; amounts as people write them."""

from __future__ import annotations

from typing import Annotated

import pytest
from asked import with_steps
from pydantic import BaseModel, TypeAdapter, ValidationError

from specforge.core.address import Address
from specforge.core.steps import EnsurePlace
from specforge.core.values import EMPTY, Place, frozen
from specforge.schemas import pool, store
from specforge.schemas.base import Change, Spec, field_rules
from specforge.schemas.kind import PlaceType, Subject
from specforge.schemas.units import Duration, Memory, memory_bytes, seconds


class Drawer(Spec):
    """A drawer of a desk.

    More about drawers.
    """

    depth: Annotated[int, Change.REPLACE] = 1

    def place(self, name: str) -> Place:
        return Place("drawer", name, frozen({"depth": self.depth}))


class Shelf(Drawer):
    """A shelf."""

    def place(self, name: str) -> Place:
        return Place("shelf", name)


PLACES = {
    "drawer": PlaceType("drawer", "store", Drawer, "nowhere:X"),
    "shelf": PlaceType("shelf", "store", Shelf, "nowhere:X"),
    "desk": PlaceType("desk", "pool", Drawer, "nowhere:X"),
}


def test_each_driver_is_a_key_of_its_family():
    """A Store has the keys of store drivers, a Pool those of pool drivers."""
    fields = set(store.spec_for(PLACES).model_fields)
    assert fields == {"name", "description", "drawer", "shelf"}
    assert set(pool.spec_for(PLACES).model_fields) == {"name", "description", "desk"}
    assert store.spec_for(PLACES).model_fields["drawer"].description == "A drawer of a desk."


def test_the_same_drivers_give_the_same_class():
    """Spec classes are compared and cached by identity."""
    assert store.spec_for(PLACES) is store.spec_for(dict(reversed(PLACES.items())))
    assert issubclass(store.spec_for(PLACES), BaseModel)


def test_change_rules_come_from_the_driver():
    """What a driver says of its settings holds; what it leaves open is an update."""
    rules = {rule.path: rule.change for rule in field_rules(store.spec_for(PLACES))}
    assert rules["drawer", "depth"] is Change.REPLACE
    assert rules["drawer",] is Change.UPDATE


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "no driver is given; give exactly one of: `drawer`, `shelf`"),
        ({"drawer": {}, "shelf": {}}, "`drawer` and `shelf` cannot both be given; give exactly one of"),
        ({"drawer": {"depth": "deep"}}, "valid integer"),
        ({"cupboard": {}}, "Extra inputs are not permitted"),
    ],
)
def test_exactly_one_driver_is_given(document, words):
    """The error names the drivers that are installed."""
    with pytest.raises(ValidationError, match=words):
        store.spec_for(PLACES).model_validate({"name": "mine", **document})


def test_without_drivers_nothing_can_be_declared():
    """An installation without drivers says so."""
    with pytest.raises(ValidationError, match="none are installed"):
        pool.spec_for({}).model_validate({"name": "mine"})


def test_a_place_is_prepared_as_its_settings_say():
    """The place is known to others at once; making it is the work."""
    spec = store.spec_for(PLACES).model_validate({"name": "mine", "drawer": {"depth": 3}})
    subject = Subject(Address("store", "mine"), spec, "project")
    desire = store.KIND.desire(subject)
    place = Place("drawer", "mine", frozen({"depth": 3}))
    assert desire.outputs == {"place": place}
    part = with_steps(store.KIND, subject)
    assert part.recipe == {"driver": "drawer", "id": "mine", "settings": {"depth": 3}}
    assert part.steps == (EnsurePlace(place, place.settings),)
    assert Place("shelf", "mine", EMPTY) == store.spec_for(PLACES).model_validate(
        {"name": "mine", "shelf": {}}
    ).shelf.place("mine")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("512MiB", 512 * 2**20), ("4GiB", 4 * 2**30), ("1.5 GB", 1_500_000_000), ("10kB", 10_000), ("7B", 7)],
)
def test_amounts_of_memory(text, amount):
    """Binary and decimal units, with or without a space."""
    assert memory_bytes(text) == amount


@pytest.mark.parametrize(("text", "amount"), [("500ms", 0.5), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("1d", 86400)])
def test_lengths_of_time(text, amount):
    """From milliseconds to days."""
    assert seconds(text) == amount


@pytest.mark.parametrize("text", ["", "GiB", "4 gib", "-1GiB", "0", "4GiB of it", "1e3"])
def test_what_is_no_memory(text):
    """The error shows how to write it."""
    with pytest.raises(ValueError, match="write it like `512MiB`"):
        memory_bytes(text)
    with pytest.raises(ValidationError, match="is not an amount of memory"):
        TypeAdapter(Memory).validate_python(text)


@pytest.mark.parametrize("text", ["", "10", "0s", "-1s", "1 week", "{x}"])
def test_what_is_no_time(text):
    """A bare number is refused: nobody knows of what."""
    with pytest.raises(ValueError, match="write it like `90s`"):
        seconds(text)
    with pytest.raises(ValidationError, match="is not a length of time"):
        TypeAdapter(Duration).validate_python(text)
