"""What an Algorithm document says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from specforge.schemas.base import Change, Declared, Description, Spec

ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=64)]
Number = Annotated[int | float, Field(allow_inf_nan=False)]
Value = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str
"""A value of a parameter as YAML gives it; its declared type is checked where the declaration is known."""

Framework = Literal["scikit-learn"]  # the keys of specforge.runtimes.ENGINES; a test compares them


class Parameter(Spec):
    """What a parameter may be. A job gives it to the boot file as `--NAME=VALUE`."""

    type: Literal["int", "float", "str", "bool"]
    """Type of the value; an integer is accepted for `float`."""

    default: Value | None = None
    """Value where a job gives none; without a default and without a value the boot file gets no such option."""

    required: bool = False
    """Whether every job must give a value; then a default makes no sense."""

    min: Number | None = None
    """Smallest value allowed (numbers only)."""

    max: Number | None = None
    """Largest value allowed (numbers only)."""

    choices: list[Value] | None = None
    """The only values allowed."""

    description: Description = ""
    """What the parameter does, for people."""


class AlgorithmSpec(Declared):
    """How something is trained: code, the engine it runs with, the parameters it takes."""

    framework: Annotated[Framework, Change.UPDATE]
    """The ML engine; its locked software (`specforge.lock`) is the toolchain of every job."""

    code: Annotated[str, StringConstraints(min_length=1), Change.UPDATE]
    """Folder with the code, relative to the project; a job runs in a copy of it."""

    boot: Annotated[str, StringConstraints(min_length=1), Change.UPDATE]
    """The file in `code` that a job starts."""

    parameters: Annotated[dict[ParameterName, Parameter], Change.IGNORE] = Field(default_factory=dict)
    """The parameters the boot file takes, by name. Only the values a job ends up with are part of its identity."""
