"""What a config.json says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MODEL_TYPES: Mapping[str, str] = {
    "tensorflow": "TensorFlow",
    "mxnet": "MXNet",
    "pyspark": "Spark_MLlib",
    "pytorch": "PyTorch",
    "scikit-learn": "Scikit_Learn",
    "xgboost": "XGBoost",
    "caffe": "Caffe",
    "image": "Image",
    "automodel": "AutoModel",
}
"""{engine: the word for it in `model_type`}. Caffe is in no list of the source, but its packages have a config.json."""

METRICS = ("f1", "recall", "precision", "accuracy")
DECIMALS = 17
RESTRAINTS = ("EXACT", "ATLEAST", "ATMOST")
JSON = "application/json"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Message:
    """What a request or a response is: its content type, and the JSON Schema of its data ({}: anything)."""

    content_type: str = JSON
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return media_type(self.content_type)


def media_type(content_type: str) -> str:
    """Return a content type without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Api:
    """One thing that can be asked of the model. Two may differ in nothing but the request's content type."""

    request: Message = Message()
    response: Message = Message()
    protocol: str = "http"
    url: str = "/"
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package that inference needs; `restraint` (EXACT, ATLEAST, ATMOST) if and only if there is a version."""

    name: str
    version: str | None = None
    restraint: str | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """Packages by one installer, of which there is one: pip."""

    packages: tuple[Package, ...]
    installer: str = "pip"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A whole config.json. `metrics` {f1, recall, precision, accuracy: exact number}; `extra`: keys that this format
    does not name, kept as they are.
    """

    model_algorithm: str
    model_type: str
    apis: tuple[Api, ...]
    runtime: str | None = None
    swr_location: str | None = None
    metrics: Mapping[str, Decimal] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def metric(value: float | Decimal) -> Decimal:
    """Return a figure as it is written: exact, or rounded to 17 decimals where it has more."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMALS:
        return Decimal(f"{number:.{DECIMALS}f}")
    return number
