"""Locking a toolchain: its requirements resolved to exact versions with hashes, for one Python version.

The result is an entry of specforge.lock, `{python, packages: [{name, version, marker?, hashes}]}`. It holds no address
of any index, so that every clone installs the same files from wherever it gets its packages.
"""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.values import Frozen, frozen
from specforge.executors.packages import Finished, has_extra_indexes, run_uv
from specforge.formats.config_json import Package
from specforge.formats.config_json.versions import meets, normal_name, requirement_of
from specforge.runtimes import ENGINES
from specforge.schemas.model.dependencies import Need, lacking

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.*))?$")
_HASH = re.compile(r"--hash=(\S+)")
_NO_NETWORK = ("Failed to fetch", "error sending request", "Could not connect", "dns error")


def resolve(engine: str, upgrade: bool, current: Frozen | None, needs: Sequence[Need] = ()) -> Frozen:
    """Return the toolchain's lock entry, with what declared Models need of it.

    One that is there stays as it is if it has all that is needed; what it lacks is added, and the rest keeps its
    versions, unless `upgrade` asks for new ones. A new entry is for the Python version that runs specforge. Raises
    ExecutionError.
    """
    if current is not None and not upgrade and is_enough(current, needs):
        return current
    if engine not in ENGINES:
        known = ", ".join(f"`{each}`" for each in sorted(ENGINES))
        detail = f"`{engine}` is no engine"
        raise ExecutionError(Diagnostic("SF463", "Unknown engine", detail, hint=f"there are: {known}"))
    if current is not None and not upgrade:
        return extended(current, ENGINES[engine], engine, needs)
    return resolve_requirements(ENGINES[engine], engine, needs)


def is_enough(entry: Frozen, needs: Iterable[Need]) -> bool:
    """Return whether a lock entry has all that declared Models need of it."""
    return all(lacking(entry, each.package) is None for each in needs)


def extended(current: Frozen, requirements: Iterable[str], engine: str, needs: Sequence[Need]) -> Frozen:
    """Return a lock entry with what is needed added; other packages keep their versions and hashes, or go if nothing
    needs them any more. Raises ExecutionError.
    """
    lifted = {normal_name(each.package.name) for each in needs if lacking(current, each.package) is not None}
    kept = [each for each in current["packages"] if each["name"] not in lifted]
    names = {each["name"] for each in kept}
    # What is locked may be older than what this release asks for: its versions are decided by the pins.
    asked = [name if (name := _name(each)) in names else each for each in requirements]
    pins = [_pin(each) for each in kept]
    made = resolve_requirements(asked, engine, needs, pins=pins, python=str(current["python"]))
    hashes = {(each["name"], each["version"]): each["hashes"] for each in kept}
    packages = [
        each.with_(hashes=hashes.get((each["name"], each["version"]), each["hashes"])) for each in made["packages"]
    ]
    return Frozen({"python": made["python"], "packages": frozen(packages)})


def resolve_requirements(
    requirements: Iterable[str],
    engine: str,
    needs: Sequence[Need] = (),
    *,
    pins: Sequence[str] = (),
    python: str | None = None,
) -> Frozen:
    """Return the lock entry for these requirements and needs, for a Python version like `3.11`, default: the running
    one; a package among `pins` has that version. Raises ExecutionError.
    """
    requirements = list(requirements)
    _check_contradictions(engine, requirements, needs)
    minor = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    major, _, number = minor.partition(".")
    limit = f"python_full_version < '{major}.{int(number) + 1}'"
    asked = [*requirements, *(requirement_of(each.package) for each in needs)]
    text = "".join(f"{_limited(each, limit)}\n" for each in asked)
    try:
        done = _compile(minor, text, pins)
    except FileNotFoundError as error:
        raise _no_uv(str(error)) from error
    if done.code != 0:
        raise _unresolved(engine, done.errors.replace(f"{{{limit}}}", ""), needs, upgradable=bool(pins))
    packages = sorted(packages_of(done.output, limit), key=lambda each: (each["name"], each["version"]))
    return Frozen({"python": minor, "packages": frozen(packages)})


def _compile(minor: str, text: str, pins: Sequence[str]) -> Finished:
    words = ["pip", "compile", "-", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    words += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", minor]
    with tempfile.TemporaryDirectory() as folder:
        if pins:
            constraints = Path(folder) / "pins.txt"
            constraints.write_text("".join(f"{each}\n" for each in pins), encoding="utf-8")
            words += ["--constraint", str(constraints)]
        # The main index lists the files of every platform, an extra one often those of this machine only: a lock made
        # from the main index alone is of use to more people.
        done = run_uv(words, stdin=text, extra_indexes=False)
        if done is not None and done.code != 0 and has_extra_indexes():
            done = run_uv(words, stdin=text)
    assert done is not None, "nobody asked to stop"
    return done


def packages_of(text: str, limit: str) -> Iterator[Frozen]:
    """Read the packages of a requirements file with hashes; `limit` is the marker that all of them have."""
    for block in text.replace("\\\n", " ").splitlines():
        requirement, _, _ = block.partition(" --hash=")
        match = _PINNED.match(requirement.strip())
        if match is None:
            continue
        package = {"name": match["name"], "version": match["version"]}
        if marker := _without(match["marker"] or "", limit):
            package["marker"] = marker
        yield Frozen({**package, "hashes": tuple(sorted(_HASH.findall(block)))})


def _limited(requirement: str, limit: str) -> str:
    """Return the requirement for one Python version only: what other versions would need is not locked."""
    text, semicolon, marker = requirement.partition(";")
    return f"{text.strip()} ; ({marker.strip()}) and {limit}" if semicolon else f"{text.strip()} ; {limit}"


def _without(marker: str, limit: str) -> str:
    """Return the marker without the part that holds for every package of the lock."""
    if marker == limit:
        return ""
    return marker.removeprefix(f"{limit} and ").removesuffix(f" and {limit}")


def _name(requirement: str) -> str:
    return normal_name(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _pin(package: Any) -> str:
    marker = package.get("marker")
    return f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")


def _check_contradictions(engine: str, requirements: Iterable[str], needs: Sequence[Need]) -> None:
    """Raise ExecutionError for each two that cannot both be met, and say who asks for them."""
    own = [
        Need(Package(match["name"], match["version"], "EXACT"), ("the engine's own",))
        for match in map(_PINNED.match, requirements)
        if match is not None
    ]
    problems = []
    for one, other in itertools.combinations((*own, *needs), 2):
        if normal_name(one.package.name) == normal_name(other.package.name) and not _agree(one.package, other.package):
            detail = f"`{engine}` is one toolchain, and cannot have both {one} and {other}"
            hint = "change the `dependencies` of the Models"
            problems.append(Diagnostic("SF466", "Dependencies contradict each other", detail, hint=hint))
    if problems:
        raise ExecutionError(problems)


def _agree(one: Package, other: Package) -> bool:
    """Return whether some version is what both ask for: if there is one, a bound of the one is within the other."""
    return any(each.version is None or meets(each.version, than) for each, than in ((one, other), (other, one)))


def _unresolved(engine: str, said: str, needs: Sequence[Need], *, upgradable: bool) -> ExecutionError:
    if any(word in said for word in _NO_NETWORK):
        hint = "check the network and the package index that pip is configured with"
        return ExecutionError(Diagnostic("SF464", "The package index cannot be reached", said, hint=hint))
    detail = f"the requirements of `{engine}` cannot be met: {said}"
    hint = "check that the index pip is configured with has these packages for this Python version"
    if needs:
        hint = f"Models need {', '.join(map(str, needs))}: change their `dependencies`"
        hint += ", or let the others have newer versions with `spec lock --upgrade`" if upgradable else ""
    return ExecutionError(Diagnostic("SF463", "The toolchain cannot be locked", detail, hint=hint))


def _no_uv(said: str) -> ExecutionError:
    return ExecutionError(Diagnostic("SF465", "uv is missing", said, hint="install `uv` where `spec` is installed"))
