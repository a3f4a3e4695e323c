"""What is recorded of a resource in one store and in another."""

from __future__ import annotations

from specforge.core.address import Address
from specforge.core.state import Newcomers, Resource, Version
from specforge.core.values import Frozen, Place

HERE, THERE, AWAY = Place("folder", "here"), Place("folder", "there"), Place("folder", "away")
OLD = Version("V001", "i", 1, "o", Frozen(), "{}")
NEW = Version("V001", "j", 1, "p", Frozen(), "{}")


def test_each_store_has_its_own_versions() -> None:
    """Names may be the same; what is current is so in one store only."""
    moved = Resource(
        Address("training", "digits"),
        "artifact",
        "{}",
        place=HERE,
        current="V001",
        versions=(OLD,),
        below_accept=("too low",),
        newcomers=Newcomers(THERE, (NEW,)),
    )
    assert moved.stores() == (HERE, THERE)
    at_home = moved.at(Place("folder", "here", Frozen(note="other settings")))
    assert (at_home.current_version, at_home.below_accept, at_home.newcomers) == (OLD, ("too low",), None)
    assert at_home.place == Place("folder", "here", Frozen(note="other settings"))
    there = moved.at(THERE)
    assert (there.place, there.versions, there.current, there.below_accept) == (THERE, (NEW,), None, ())
    assert moved.at(AWAY).versions == ()


def test_what_lies_nowhere_has_no_store() -> None:
    """An algorithm, for instance."""
    assert Resource(Address("algorithm", "svc"), "definition", "{}").stores() == ()
