"""What runs inside a job or a replica: loaders of packages, one module per ML engine, and the model server.

Standard library, the engine and (the server) what is in the engine's server toolchain: it travels as a zip into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    "scikit-learn": (
        "scikit-learn==1.9.1",
        "joblib==1.6.0",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pillow==13.0.0",
    ),
}
"""{engine: what its toolchain holds}: the engines that jobs can be written for."""

_SERVER = (
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "multipart==2.0.1",
    "fastjsonschema==2.22.3",
    "orjson==3.13.0",
)


def server_of(engine: str) -> str:
    """Return the name of the toolchain in which packages of this engine are served: the engine's and the server's."""
    return f"{engine}-server"


ENGINES: Mapping[str, tuple[str, ...]] = {
    **FRAMEWORKS,
    **{server_of(engine): (*requirements, *_SERVER) for engine, requirements in FRAMEWORKS.items()},
}
"""{toolchain: the requirements that `spec lock` resolves into its lock entry}; Python 3.11 or newer."""

LOADERS: Mapping[str, str] = {
    "scikit-learn": "specforge.runtimes.scikit_learn",
    "xgboost": "specforge.runtimes.xgboost",
}
"""{engine: the module with `load_model(file) -> Model` and `SUFFIXES`, the names of its model files}."""


class PackageError(ValueError):
    """A package cannot be loaded or does not fit its input; the text is for the user."""


class InputError(PackageError):
    """What was sent does not fit the model; the text is for the caller."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one caller sent: files and fields of a form, or a JSON value with its text."""

    files: Mapping[str, Mapping[str, BinaryIO]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one sample: its label, and (label, score) best first where the model gives scores."""

    label: str
    scores: tuple[tuple[str, float], ...] = ()


class Predictor(Protocol):
    """A loaded package."""

    batches: bool
    """Whether `answer` gains by being given several requests at once."""

    def predict(self, pictures: Sequence[Path]) -> list[Prediction]:
        """Return one prediction per picture, in order; raises PackageError."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        """Return for each request what its caller gets, or the exception that its answer ended with."""
        ...


def load(engine: str, model: Path) -> Predictor:
    """Load the package whose `model` folder this is, with its engine's loader; raises PackageError."""
    if engine not in LOADERS:
        raise PackageError(f"no loader for the engine `{engine}`; there is one for: {', '.join(sorted(LOADERS))}")
    from specforge.runtimes.package import load_package

    return load_package(engine, model)
