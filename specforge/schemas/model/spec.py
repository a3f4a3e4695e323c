"""What a Model document says."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from specforge.schemas.base import Change, Declared, Ref, Spec, VersionName
from specforge.schemas.units import Memory

# As the source systems have it: shorter than other names, and begins with a letter or a Chinese character.
MODEL_NAME_PATTERN = r"^[A-Za-z一-鿿][A-Za-z0-9_\-一-鿿]*$"
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME_PATTERN, max_length=48)]
Mode = Literal["object_detection", "image_processing", "predictive_analysis", "undefined"]  # a test compares with MODES
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.+-]*$", max_length=64)]
PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=64)]


def _version(text: str) -> str:
    from specforge.formats.config_json.versions import is_version  # few Models have dependencies

    if not is_version(text):
        raise PydanticCustomError(
            "version", "`{text}` is not the version of a Python package, such as `1.10` or `2.0rc1`", {"text": text}
        )
    return text


PackageVersion = Annotated[str, StringConstraints(max_length=64), AfterValidator(_version)]


class Message(Spec):
    """What a request or a response of a model is."""

    content_type: Annotated[Literal["application/json", "multipart/form-data"], Field(alias="Content-type")] = (
        "application/json"
    )
    """How the data are sent."""

    data: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of the data; without one, anything. In a multipart request a file has `type: file`."""


class Api(Spec):
    """One thing that the model can be asked, as in a config.json."""

    protocol: Literal["http", "https"] = "http"
    """What clients use."""

    url: Literal["/"] = "/"
    """Path of the request; model servers answer `/`."""

    method: Literal["POST"] = "POST"
    """Method of the request; model servers answer `POST`."""

    request: Message = Field(default_factory=Message)
    """What is sent; a request of another form is refused with an error that says why."""

    response: Message = Field(default_factory=Message)
    """What is answered."""


class Package(Spec):
    """A Python package that the inference code needs."""

    package_name: PackageName
    """Its name."""

    package_version: PackageVersion | None = None
    """Its version; quote it: `"1.10"`."""

    restraint: Literal["EXACT", "ATLEAST", "ATMOST"] | None = None
    """What the version means: exactly this one, it or a later one, it or an earlier one. If and only if there is a
    version."""


class Dependency(Spec):
    """Packages that the inference code needs."""

    installer: Literal["pip"] = "pip"
    """What they are made for; `spec lock` finds them where pip would."""

    packages: Annotated[list[Package], Field(min_length=1)]
    """The packages."""


class Document(Spec):
    """Something to read about the model."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=48)]
    """What it is called."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    """Where it is."""


class Minimum(Spec):
    """The least that a replica should have."""

    cpu: Annotated[float | None, Field(gt=0)] = None
    """Cores."""

    memory: Memory | None = None
    """Memory, like `512MiB`."""


class ModelSpec(Declared):
    """A trained model with all that is needed to ask it: a package that a Service can run."""

    name: Annotated[ModelName, Change.REPLACE]
    """Name of the resource: 1 to 48 letters, digits, `_`, `-` and Chinese characters; begins with a letter or a
    Chinese character; unique among Models."""

    training: Annotated[str, Ref(("training",), versioned=True), Change.NEW_VERSION]
    """The TrainingJob whose model is packaged; `NAME@VERSION` stays at that version."""

    mode: Annotated[Mode, Change.NEW_VERSION] = "undefined"
    """What the model is asked and answers. `image_processing`: pictures, answered as the model decides;
    `object_detection`: pictures, answered with boxes; `predictive_analysis`: rows in JSON; `undefined`: anything, or
    what `apis` says."""

    algorithm: Annotated[Word | None, Change.NEW_VERSION] = None
    """What the model is for, such as `object_detection`; `model_algorithm` in config.json. Default: what the package's
    own config.json says, else `image_classification`."""

    inference: Annotated[str | None, StringConstraints(min_length=1), Change.NEW_VERSION] = None
    """Own inference code, relative to the project: a `customize_service.py`, or a folder that holds one, which is
    packaged with all that is in it. Its content counts, not where it lies."""

    runtime: Annotated[Word | None, Change.NEW_VERSION] = None
    """What the code was written for, such as `python3.6`; `runtime` in config.json, for people and other systems."""

    apis: Annotated[list[Api] | None, Field(min_length=1), Change.NEW_VERSION] = None
    """What the model is asked and answers, in the words of a config.json; only with the mode `undefined`."""

    dependencies: Annotated[list[Dependency], Change.NEW_VERSION] = Field(default_factory=list)
    """Python packages that the inference code needs where it is served. `spec lock` locks them, with those of all
    Models of the engine, beside the model server; a plan refuses what is not locked, a replica what is not there."""

    metrics: Annotated[bool, Change.NEW_VERSION] = True
    """Whether the figures of the training's evaluation (accuracy, f1, precision, recall) are written into config.json;
    those of a pinned version never are."""

    documents: Annotated[list[Document], Change.IGNORE] = Field(default_factory=list)
    """What there is to read about it."""

    minimum: Annotated[Minimum, Change.IGNORE] = Field(default_factory=Minimum)
    """The least that a replica should have; recorded for people."""

    version: Annotated[VersionName | None, Change.UPDATE] = None
    """Name for the version; a published one of this name with other content is never overwritten. Default: 0.0.1, …"""

    store: Annotated[str, Ref(("store",), default="store"), Change.UPDATE]
    """The Store that versions are published in."""

    pool: Annotated[str, Ref(("pool",), default="pool"), Change.IGNORE]
    """The Pool that packages."""

    @model_validator(mode="after")
    def _one_wish(self) -> Self:
        if self.apis is not None and self.mode != "undefined":
            raise PydanticCustomError(
                "apis", "the mode `{mode}` says what the model is asked; take `mode` or `apis` out", {"mode": self.mode}
            )
        return self
