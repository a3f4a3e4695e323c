"""What runs inside a job: one module per ML engine, which loads a package and predicts with it.

Standard library and the engine only: it travels as a zip into the engine's toolchain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ENGINES: Mapping[str, tuple[str, ...]] = {
    "scikit-learn": (
        "scikit-learn==1.9.1",
        "joblib==1.6.0",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pillow==13.0.0",
    ),
}
"""{engine: the requirements that `spec lock` resolves into the engine's toolchain}; Python 3.11 or newer."""


class PackageError(ValueError):
    """A package cannot be loaded or does not fit its input; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one sample: its label, and (label, score) best first where the model gives scores."""

    label: str
    scores: tuple[tuple[str, float], ...] = ()


class Predictor(Protocol):
    """A loaded package."""

    def predict(self, pictures: Sequence[Path]) -> list[Prediction]:
        """Return one prediction per picture, in order; raises PackageError."""
        ...


def load(engine: str, model: Path) -> Predictor:
    """Load the package whose `model` folder this is, with its engine's loader; raises PackageError."""
    from importlib import import_module

    if engine not in ENGINES:
        raise PackageError(f"no loader for the engine `{engine}`; there is one for: {', '.join(sorted(ENGINES))}")
    loaded: Predictor = import_module(f"specforge.runtimes.{engine.replace('-', '_')}").load(model)
    return loaded
