"""What a TrainingJob document says."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from specforge.schemas.algorithm.spec import ParameterName, Value
from specforge.schemas.base import Change, Declared, Ref, Spec, VersionName
from specforge.schemas.units import Duration, Memory

Usage = Literal["TRAIN", "EVAL", "TEST"]
# A tuple, for a list as default is copied for every job; not strict, for documents give a list.
Usages = Annotated[tuple[Usage, ...], Field(min_length=1, strict=False)]
InputName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=32)]
Figure = Literal["accuracy", "f1", "precision", "recall"]  # those of specforge.procedures.evaluate; a test compares
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Bound = Annotated[float | None, Field(allow_inf_nan=False)]


class TrainingInput(Spec):
    """Data that a job reads. `NAME: digits` is short for `NAME: {dataset: digits}`."""

    dataset: Annotated[str, Ref(("dataset",), versioned=True)]
    """The Dataset; `NAME@VERSION` stays at that version."""

    usages: Usages = ("TRAIN",)
    """Which samples the job sees. A sample without usage counts as TRAIN."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"dataset": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that the short form is allowed too."""
        long = handler.resolve_ref_schema(handler(schema))
        short = {"type": "string", "description": "Name of the Dataset, perhaps with `@VERSION`."}
        return {"anyOf": [short, long]}


class Bounds(Spec):
    """What a figure must be; one of the two at least."""

    min: Bound = None
    """Smallest value accepted."""

    max: Bound = None
    """Largest value accepted."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.min is None and self.max is None:
            raise PydanticCustomError("bounds", "a condition needs `min` or `max`")
        return self


class Evaluation(Spec):
    """How the model is measured, and what it must reach to become current."""

    data: Annotated[str, Ref(("dataset",), versioned=True)]
    """The Dataset the model is measured on."""

    usages: Usages = ("EVAL",)
    """Which of its samples count."""

    accept: dict[Figure, Bounds] = Field(default_factory=dict)
    """Conditions on the figures: `accuracy`, `precision`, `recall`, `f1` (the last three averaged over labels)."""

    samples: Annotated[int | None, Field(ge=1)] = None
    """Measure only so many samples, chosen by their content; default: all."""


class Resources(Spec):
    """What the job may use of its pool."""

    cpu: Annotated[float | None, Field(gt=0)] = None
    """Cores; default: the pool's divided by its slots."""

    memory: Memory | None = None
    """Memory, like `512MiB`; default: the pool's divided by its slots."""


@cache
def _no_limits() -> Resources:
    """Return what most jobs say of it, one value for all."""
    return Resources()


class TrainingSpec(Declared):
    """A model made by an algorithm from data: every change of what decides its bytes publishes a new version."""

    algorithm: Annotated[str, Ref(("algorithm",)), Change.NEW_VERSION]
    """The Algorithm that is run."""

    inputs: Annotated[dict[InputName, TrainingInput], Field(min_length=1), Change.NEW_VERSION]
    """The data, by name: the boot file gets each folder as `--NAME_url`."""

    parameters: Annotated[dict[ParameterName, Value], Change.NEW_VERSION] = Field(default_factory=dict)
    """Values for the algorithm's parameters; those left out have their defaults."""

    from_model: Annotated[str | None, Ref(("training",), versioned=True), Change.NEW_VERSION] = None
    """An earlier TrainingJob whose model the boot file gets as `--from_model_url`."""

    variables: Annotated[dict[VariableName, str], Change.NEW_VERSION] = Field(default_factory=dict)
    """Environment variables of the job, beside the few that every job gets."""

    seed: Annotated[int | None, Field(ge=0), Change.NEW_VERSION] = None
    """Given to the boot file as `--seed=…`; another seed is another version. Default: no such option."""

    nodes: Annotated[Literal[1], Change.NEW_VERSION] = 1
    """Number of nodes; this release trains on one."""

    resources: Annotated[Resources, Change.UPDATE] = Field(default_factory=_no_limits)
    """What the job may use of its pool."""

    timeout: Annotated[Duration | None, Change.UPDATE] = None
    """How long the job may run, like `90s` or `2h`; default: for ever."""

    retries: Annotated[int, Field(ge=0, le=10), Change.UPDATE] = 0
    """How often a failed job is started again."""

    evaluate: Annotated[Evaluation | None, Change.UPDATE] = None
    """How the model is measured; without it a version becomes current unmeasured."""

    version: Annotated[VersionName | None, Change.UPDATE] = None
    """Name for the version; a published one of this name with other content is never overwritten. Default: V0001, …"""

    store: Annotated[str, Ref(("store",), default="store"), Change.UPDATE]
    """The Store that versions are published in."""

    pool: Annotated[str, Ref(("pool",), default="pool"), Change.UPDATE]
    """The Pool that trains and evaluates."""
