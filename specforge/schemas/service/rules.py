"""What a Service wishes: a group of replicas for each model that it serves, and the routes to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from specforge.core.diagnostics import Diagnostic, has_errors
from specforge.core.digest import digest_of
from specforge.core.queries import Presence, Reading, SecretPrint
from specforge.core.serving import Listen, Serving, Share
from specforge.core.steps import EnsureReplicas, EnsureToolchain, Ready, Step
from specforge.core.values import EMPTY, PROJECT, Frozen, JobInput, Limits, OutputRef, Run, SecretRef, Tree
from specforge.procedures import PROCEDURES
from specforge.runtimes import server_of
from specforge.schemas.kind import Desire, Input, Part, Subject
from specforge.schemas.service.spec import WHOLE, Secret, ServiceSpec
from specforge.schemas.units import memory_bytes, seconds

SERVED_ALONE = "model"


class Wanted(NamedTuple):
    """One model that is served: the field that names it, what it leads to, its share."""

    field: tuple[str | int, ...]
    model: Input
    weight: int
    replicas: int


def wanted(subject: Subject) -> tuple[Wanted, ...]:
    """Return the models of a service, in the order in which they are written."""
    spec: ServiceSpec = subject.spec
    if spec.serves is None:
        return (Wanted((SERVED_ALONE,), subject.inputs[SERVED_ALONE], WHOLE, spec.replicas or 1),)
    return tuple(
        Wanted(("serves", index, "model"), subject.inputs[f"serves.{index}.model"], each.weight, each.replicas)
        for index, each in enumerate(spec.serves)
    )


def engine_of(model: Input) -> str | None:
    """Return the engine that a model was made with: said by its declaration, else by what was published."""
    known = model.output("engine")
    if isinstance(known, OutputRef):
        known = model.outputs.get("facts", EMPTY).get("engine")
    return None if known is None else str(known)


def readings(subject: Subject) -> Mapping[str, Reading]:
    """Return what is asked of the user's secrets: prints, by which a changed value is seen."""
    spec: ServiceSpec = subject.spec
    salt = f"{subject.project} {subject.address}"
    return {
        f"secrets.{name}": SecretPrint(PROJECT, _ref(each), f"{salt} {name}") for name, each in spec.secrets.items()
    }


def _ref(secret: Secret) -> SecretRef:
    return SecretRef(secret.env, secret.file)


def desire(subject: Subject) -> Desire:
    """Return the wish: a part for each group of replicas, and how requests get to them."""
    spec: ServiceSpec = subject.spec
    pool = subject.inputs["pool"].output("place")
    served = wanted(subject)
    diagnostics = tuple(_diagnostics(subject, served))
    if has_errors(diagnostics):
        return Desire(place=pool, diagnostics=diagnostics)
    listen = Listen(spec.host, spec.port)
    shares = tuple(Share(_words(each.model), each.weight, each.replicas) for each in served)
    serving = Serving(listen, shares, seconds(spec.request.time), seconds(spec.update.drain))
    return Desire(
        tuple(_group(subject, number, each) for number, each in enumerate(served)),
        Frozen({"address": listen.url}),
        place=pool,
        serving=serving,
        summary=f"{_names(served)} at {listen.url}",
        diagnostics=diagnostics,
    )


def steps(subject: Subject, part: Part) -> tuple[Step, ...]:
    """Return what starts a group of replicas; the engine gives the group its name."""
    spec: ServiceSpec = subject.spec
    each = wanted(subject)[int(part.name.removeprefix("replicas-"))]
    pool = subject.inputs["pool"].output("place")
    server = server_of(str(engine_of(each.model)))
    lock = subject.locks[server]
    tree = Tree(each.model.output("place"), None, each.model.output("tree.package"))
    memory = None if spec.resources.memory is None else memory_bytes(spec.resources.memory)
    run = Run(
        ("@python", "@procedures", "serve", "--package=@in/package", "--socket=@socket", *_options(spec)),
        lock,
        Frozen({**spec.variables, **{name: _ref(secret) for name, secret in spec.secrets.items()}}),
        Limits(spec.resources.cpu, memory),
    )
    return (
        EnsureToolchain(pool, server, lock),
        EnsureReplicas(
            pool,
            "",
            run,
            each.replicas,
            (JobInput("package", tree),),
            Ready(within=seconds(spec.update.ready_within)),
            seconds(spec.update.drain),
        ),
    )


def _group(subject: Subject, number: int, each: Wanted) -> Part:
    """Return everything that decides what the replicas do: another identity is another group."""
    spec: ServiceSpec = subject.spec
    recipe: dict[str, Any] = {
        "package": each.model.output("digest"),
        "toolchain": _toolchain(subject.locks[server_of(str(engine_of(each.model)))]),
        "options": _options(spec),
    }
    if spec.variables:
        recipe["variables"] = Frozen(spec.variables)
    if spec.secrets:
        recipe["secrets"] = Frozen({name: subject.facts[f"secrets.{name}"].digest for name in spec.secrets})
    if spec.resources.cpu is not None:
        recipe["cpu"] = float(spec.resources.cpu)
    return Part(f"replicas-{number}", "service", PROCEDURES["serve"].revision, Frozen(recipe), "start")


@lru_cache(maxsize=64)
def _toolchain(lock: Frozen) -> str:
    return digest_of(lock)


def _options(spec: ServiceSpec) -> tuple[str, ...]:
    """Return the options of the model server that the document decides."""
    options = [
        f"--name={spec.name}",
        f"--body={memory_bytes(spec.request.body)}",
        f"--queue={spec.request.queue}",
        f"--time={seconds(spec.request.time):g}",
    ]
    if spec.resources.memory is not None:
        options.append(f"--memory={memory_bytes(spec.resources.memory)}")
    return tuple(options)


def _words(model: Input) -> str:
    return str(model.address) if model.version is None else f"{model.address}@{model.version}"


def _names(served: tuple[Wanted, ...]) -> str:
    if len(served) == 1:
        count = served[0].replicas
        return _words(served[0].model) + (f", {count} replicas" if count > 1 else "")
    return ", ".join(f"{_words(each.model)} {each.weight}%" for each in served)


def _diagnostics(subject: Subject, served: tuple[Wanted, ...]) -> Iterator[Diagnostic]:
    for name, secret in subject.spec.secrets.items():
        seen = subject.facts.get(f"secrets.{name}")
        if seen is None or seen.presence is not Presence.PRESENT:
            detail = f"{_ref(secret)} is not there" if seen is None or seen.problem is None else seen.problem
            hint = "set it for the `spec` command, as your CI does with its own secrets"
            yield Diagnostic(
                "SF225", "Secret not found", detail, hint=hint, address=subject.address, path=("secrets", name)
            )
    for each in served:
        engine = engine_of(each.model)
        if engine is None:
            detail = f"it is not known which engine {_words(each.model)} was made with"
            hint = "declare the Model again, or serve a version that this release published"
            yield Diagnostic("SF226", "Unknown engine", detail, hint=hint, address=subject.address, path=each.field)
        elif server_of(engine) not in subject.locks:
            detail = f"`specforge.lock` has no entry for `{server_of(engine)}`, so its replicas have no toolchain"
            hint = "run `spec lock`"
            yield Diagnostic(
                "SF217", "Toolchain not locked", detail, hint=hint, address=subject.address, path=each.field
            )
