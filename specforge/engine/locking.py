"""Locking an engine's toolchain: its requirements resolved to exact versions with hashes, for one Python version.

The result is the engine's entry of specforge.lock, `{python, packages: [{name, version, marker?, hashes}]}`. It holds
no address of any index, so that every clone installs the same files from wherever it gets its packages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.values import Frozen, frozen
from specforge.executors.packages import has_extra_indexes, run_uv
from specforge.runtimes import ENGINES

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.*))?$")
_HASH = re.compile(r"--hash=(\S+)")
_NO_NETWORK = ("Failed to fetch", "error sending request", "Could not connect", "dns error")


def resolve(engine: str, upgrade: bool, current: Frozen | None) -> Frozen:
    """Return the engine's lock entry; one that is there stays as it is, unless `upgrade` asks for a new one.

    A new one is for the Python version that runs specforge. Raises ExecutionError.
    """
    if current is not None and not upgrade:
        return current
    if engine not in ENGINES:
        known = ", ".join(f"`{each}`" for each in sorted(ENGINES))
        detail = f"`{engine}` is no engine"
        raise ExecutionError(Diagnostic("SF463", "Unknown engine", detail, hint=f"there are: {known}"))
    return resolve_requirements(ENGINES[engine], engine)


def resolve_requirements(requirements: Iterable[str], engine: str) -> Frozen:
    """Return the lock entry for these requirements and the running Python's minor version; raises ExecutionError."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    limit = f"python_full_version < '{sys.version_info.major}.{sys.version_info.minor + 1}'"
    words = ["pip", "compile", "-", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    words += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", minor]
    text = "".join(f"{_limited(each, limit)}\n" for each in requirements)
    try:
        # The main index lists the files of every platform, an extra one often those of this machine only: a lock made
        # from the main index alone is of use to more people.
        done = run_uv(words, stdin=text, extra_indexes=False)
        if done is not None and done.code != 0 and has_extra_indexes():
            done = run_uv(words, stdin=text)
    except FileNotFoundError as error:
        raise _no_uv(str(error)) from error
    assert done is not None, "nobody asked to stop"
    if done.code != 0:
        raise _unresolved(engine, done.errors.replace(f"{{{limit}}}", ""))
    packages = sorted(packages_of(done.output, limit), key=lambda each: (each["name"], each["version"]))
    return Frozen({"python": minor, "packages": frozen(packages)})


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


def _unresolved(engine: str, said: str) -> ExecutionError:
    if any(word in said for word in _NO_NETWORK):
        hint = "check the network and the package index that pip is configured with"
        return ExecutionError(Diagnostic("SF464", "The package index cannot be reached", said, hint=hint))
    detail = f"the requirements of `{engine}` cannot be met: {said}"
    hint = "check that the index pip is configured with has these packages for this Python version"
    return ExecutionError(Diagnostic("SF463", "The toolchain cannot be locked", detail, hint=hint))


def _no_uv(said: str) -> ExecutionError:
    return ExecutionError(Diagnostic("SF465", "uv is missing", said, hint="install `uv` where `spec` is installed"))
