"""The Python packages that Models need where they are served, held against what is locked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specforge.core.address import Address, Reference
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.formats.config_json import Package
from specforge.formats.config_json.versions import meets, normal_name, requirement_of
from specforge.runtimes import server_of
from specforge.schemas.kind import Subject
from specforge.schemas.model.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Need:
    """A package that has to be in a toolchain, and the addresses of the Models that need it, in order."""

    package: Package
    models: tuple[str, ...]

    def __str__(self) -> str:
        return f"`{requirement_of(self.package)}` ({', '.join(self.models)})"


def needs_of(specs: Mapping[Address, Any]) -> Mapping[str, tuple[Need, ...]]:
    """Return {toolchain: what the declared Models need where they are served}, by the packages' names.

    A Model whose engine no document says any more, because it stays at a version of a training that is not declared,
    is left out.
    """
    found: dict[str, dict[tuple[str, str], Need]] = {}
    for address in sorted(specs, key=str):
        spec = specs[address]
        engine = _engine_of(spec, specs) if isinstance(spec, ModelSpec) and spec.dependencies else None
        if engine is None:
            continue
        known = found.setdefault(server_of(engine), {})
        for package in packages_of(spec):
            key = (normal_name(package.name), requirement_of(package).removeprefix(package.name))
            before = known.get(key, Need(package, ()))
            if str(address) not in before.models:
                known[key] = Need(before.package, (*before.models, str(address)))
    return {toolchain: tuple(known[key] for key in sorted(known)) for toolchain, known in found.items()}


def packages_of(spec: ModelSpec) -> Iterator[Package]:
    """Return the packages that a Model needs."""
    for dependency in spec.dependencies:
        for each in dependency.packages:
            yield Package(each.package_name, each.package_version, each.restraint)


def lacking(entry: Mapping[str, Any], package: Package) -> str | None:
    """Return what a lock entry has instead of what is needed: "" for nothing, else versions; None: all is well."""
    locked = [each for each in entry["packages"] if normal_name(each["name"]) == normal_name(package.name)]
    # A single one with a marker is there on some machines only; of several, each is for the machines of its marker.
    everywhere = len(locked) > 1 or not any(each.get("marker") for each in locked)
    if locked and everywhere and all(meets(each["version"], package) for each in locked):
        return None
    return ", ".join(each["version"] + (f" ({each['marker']})" if each.get("marker") else "") for each in locked)


def unlocked(subject: Subject, engine: Any) -> Iterator[Diagnostic]:
    """Tell of what the toolchain lacks in which packages of this engine are served.

    Without such an entry nothing is told: a Service tells of the whole entry, and where there is none, nobody serves.
    """
    entry = subject.locks.get(server_of(engine)) if isinstance(engine, str) else None
    if entry is None:
        return
    for number, dependency in enumerate(subject.spec.dependencies):
        for index, each in enumerate(dependency.packages):
            package = Package(each.package_name, each.package_version, each.restraint)
            instead = lacking(entry, package)
            if instead is not None:
                has = f"has `{package.name}` {instead}" if instead else f"has no `{package.name}`"
                detail = f"`specforge.lock` {has} for `{server_of(engine)}`; needed is `{requirement_of(package)}`"
                path = ("dependencies", number, "packages", index)
                yield Diagnostic(
                    "SF228", "Dependency not locked", detail, hint="run `spec lock`", address=subject.address, path=path
                )


def _engine_of(model: ModelSpec, specs: Mapping[Address, Any]) -> str | None:
    """Return the engine that a Model's declared training is written for."""
    training = specs.get(Address("training", Reference.parse(model.training).name))
    algorithm = None if training is None else specs.get(Address("algorithm", Reference.parse(training.algorithm).name))
    return None if algorithm is None else str(algorithm.framework)
