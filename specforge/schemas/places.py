"""What Store and Pool share: a document with one key per installed driver, exactly one of them given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from specforge.core.steps import EnsurePlace, Step
from specforge.core.values import Frozen, Place
from specforge.schemas.base import Change, Declared
from specforge.schemas.kind import Desire, Part, PlaceType, Subject

Family = Literal["store", "pool"]


class PlaceSpec(Declared):
    """A Store or Pool: the fields every document has, and one key per driver, which `spec_for` adds."""

    @model_validator(mode="after")
    def _one_driver(self) -> Self:
        drivers = drivers_of(type(self))
        given = [driver for driver in drivers if getattr(self, driver) is not None]
        if len(given) != 1:
            known = ", ".join(f"`{driver}`" for driver in drivers) or "none are installed"
            problem = f"`{given[0]}` and `{given[1]}` cannot both be given" if given else "no driver is given"
            raise PydanticCustomError(
                "driver", "{problem}; give exactly one of: {known}", {"problem": problem, "known": known}
            )
        return self


def drivers_of(spec: type[Declared]) -> tuple[str, ...]:
    """Return the driver keys of a spec class that `spec_for` made, sorted."""
    return tuple(sorted(name for name in spec.model_fields if name not in Declared.model_fields))


def spec_for(document: str, family: Family, places: Mapping[str, PlaceType]) -> type[Declared]:
    """Return the spec class of `document` with one optional key per driver of the family; cached."""
    chosen = tuple(sorted((each.driver, each.settings) for each in places.values() if each.family == family))
    return _made(document, chosen)


@cache
def _made(document: str, drivers: tuple[tuple[str, type[BaseModel]], ...]) -> type[Declared]:
    keys: dict[str, Any] = {
        driver: (
            Annotated[settings | None, Change.UPDATE],
            Field(default=None, description=_first_sentence(settings)),
        )
        for driver, settings in drivers
    }
    return create_model(f"{document}Spec", __base__=PlaceSpec, __doc__=f"A {document}.", **keys)


def _first_sentence(settings: type[BaseModel]) -> str:
    return (settings.__doc__ or settings.__name__).strip().split("\n")[0]


def desire(subject: Subject) -> Desire:
    """Return the wish of a Store or Pool: its place, as its settings say."""
    spec, family = subject.spec, subject.address.kind
    driver = next(each for each in drivers_of(type(spec)) if getattr(spec, each) is not None)
    place: Place = getattr(spec, driver).place(spec.name)
    recipe = Frozen({"driver": place.driver, "id": place.id, "settings": place.settings})
    return Desire((Part("place", family, 1, recipe, "prepare"),), Frozen({"place": place}), place)


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:  # noqa: ARG001 - one signature for all kinds
    """Return the step that makes the place be as its settings say."""
    place: Place = desire(subject).outputs["place"]
    return (EnsurePlace(place, wanted=place.settings),)
