"""What a Service document says."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from specforge.schemas.base import Change, Declared, Ref, Spec
from specforge.schemas.units import Duration, Memory

MAX_REPLICAS = 100
MAX_SHARES = 20
WHOLE = 100

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Replicas = Annotated[int, Field(ge=1, le=MAX_REPLICAS)]


def _host(text: str) -> str:
    import ipaddress  # the default needs no check

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise PydanticCustomError(
            "host", "`{text}` is not an address of a machine; write it like `127.0.0.1` or `0.0.0.0`", {"text": text}
        ) from None


class Served(Spec):
    """One of several models that share the requests."""

    model: Annotated[str, Ref(("model",), versioned=True)]
    """The Model; `NAME@VERSION` stays at that version."""

    weight: Annotated[int, Field(ge=1, le=WHOLE)]
    """Its share of the requests in percent; all shares together are 100."""

    replicas: Replicas = 1
    """How many replicas answer them."""


class Secret(Spec):
    """Where a secret is kept; one of the two. Its value is read when replicas start, and is in no plan or record."""

    env: VariableName | None = None
    """Environment variable of the `spec` command."""

    file: Annotated[str | None, StringConstraints(min_length=1)] = None
    """File, relative to the project; a newline at its end does not count."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError("secret", "a secret has either `env` or `file`")
        return self


class ServiceResources(Spec):
    """What each replica may use of its pool."""

    cpu: Annotated[float | None, Field(gt=0)] = None
    """Cores; default: any that are free."""

    memory: Memory | None = None
    """Memory, like `512MiB`: a replica that needs more ends and is started again. Default: not limited."""


class RequestLimits(Spec):
    """What one request may be and cost."""

    body: Memory = "16MiB"
    """Largest body; a larger one is answered with 413."""

    time: Duration = "60s"
    """How long an answer may take; then 504 is answered."""

    queue: Annotated[int, Field(ge=1, le=10_000)] = 64
    """How many requests may wait in one replica; more are answered with 429."""


class Rollout(Spec):
    """How a change of what is served goes about."""

    ready_within: Duration = "60s"
    """How long a new replica may take until it is ready; then the change fails and the old ones go on."""

    drain: Duration = "30s"
    """How long requests in flight may take when their replica is to end."""


class ServiceSpec(Declared):
    """Models that answer requests at a stable address: a change takes over without a lost request."""

    mode: Annotated[Literal["realtime"], Change.REPLACE] = "realtime"
    """How requests come: `realtime`, over HTTP."""

    model: Annotated[str | None, Ref(("model",), versioned=True), Change.UPDATE] = None
    """The Model that is served; `NAME@VERSION` stays at that version. For several, `serves`."""

    serves: Annotated[list[Served] | None, Field(min_length=1, max_length=MAX_SHARES), Change.UPDATE] = None
    """Several models or versions, each with its share of the requests."""

    replicas: Annotated[Replicas | None, Change.UPDATE] = None
    """How many replicas answer, where `model` is given; default: one."""

    host: Annotated[str, AfterValidator(_host), Change.UPDATE] = "127.0.0.1"
    """Address of the machine to listen at; `0.0.0.0` for all of them."""

    port: Annotated[int, Field(ge=1, le=65535), Change.UPDATE]
    """TCP port to listen at."""

    variables: Annotated[dict[VariableName, str], Change.UPDATE] = Field(default_factory=dict)
    """Environment variables of the replicas, beside the few that every one gets."""

    secrets: Annotated[dict[VariableName, Secret], Change.UPDATE] = Field(default_factory=dict)
    """Environment variables whose values are secret: `TOKEN: {env: MY_TOKEN}` or `{file: secrets/token}`. A changed
    value starts new replicas."""

    resources: Annotated[ServiceResources, Change.UPDATE] = Field(default_factory=ServiceResources)
    """What each replica may use."""

    request: Annotated[RequestLimits, Change.UPDATE] = Field(default_factory=RequestLimits)
    """What one request may be and cost."""

    update: Annotated[Rollout, Change.IGNORE] = Field(default_factory=Rollout)
    """How a change goes about; counts from the next change on."""

    pool: Annotated[str, Ref(("pool",), default="pool"), Change.UPDATE]
    """The Pool that the replicas run in."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.model is None) == (self.serves is None):
            given = "both are given" if self.model is not None else "neither is given"
            raise PydanticCustomError("serves", "a service has either `model` or `serves`; {given}", {"given": given})
        if self.serves is not None:
            self._check_shares(self.serves)
        both = sorted(self.variables.keys() & self.secrets.keys())
        if both:
            raise PydanticCustomError("secret", "`{name}` is in `variables` and in `secrets`", {"name": both[0]})
        return self

    def _check_shares(self, serves: list[Served]) -> None:
        total = sum(each.weight for each in serves)
        if total != WHOLE:
            raise PydanticCustomError(
                "weights", "the weights in `serves` make {total} percent, they must make 100", {"total": total}
            )
        names = [each.model for each in serves]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise PydanticCustomError("serves", "`{name}` is in `serves` twice; add its weights up", {"name": twice})
        if self.replicas is not None:
            raise PydanticCustomError("serves", "with `serves`, `replicas` is said of each of them")
