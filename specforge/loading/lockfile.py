"""`specforge.lock`: the locked software of each ML engine, in git. Deterministic text, replaced as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.source import Span
from specforge.core.values import Frozen, frozen
from specforge.loading.positions import SourceFile
from specforge.loading.validation import validate
from specforge.loading.yaml_reader import read, read_text
from specforge.schemas.base import Spec

LOCK_FILE = "specforge.lock"
FORMAT = 1

_HEADER = """\
# The software that jobs run with, exactly: written by `spec lock`, belongs in git, is not edited by hand.
# Only `spec lock --upgrade` takes newer versions.
"""
_HINT = "make it again with `spec lock --upgrade`, or take the file from git"

Text = Annotated[str, StringConstraints(min_length=1)]


class LockedPackage(Spec):
    """One package of a toolchain: exactly this version, one of exactly these files."""

    name: Text
    version: Text
    marker: Text | None = None
    hashes: list[Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]]


class LockedEngine(Spec):
    """The toolchain of one engine: a minor version of Python and its packages."""

    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]+$")]
    packages: list[LockedPackage]


class Lock(Spec):
    """The whole file."""

    format: Literal[1]
    engines: dict[str, LockedEngine]


def read_lock(root: Path) -> Mapping[str, Frozen]:
    """Return the entry of each engine; none if there is no lock file. Raises ConfigError for a file it cannot use."""
    if not (root / LOCK_FILE).exists():
        return {}
    text = read_text(root / LOCK_FILE, LOCK_FILE)
    if isinstance(text, Diagnostic):
        raise ConfigError(replace(text, hint=_HINT))
    result = read(text, LOCK_FILE)
    if result.diagnostics:
        raise ConfigError(replace(each, hint=_HINT) for each in result.diagnostics)
    source = SourceFile(LOCK_FILE, text)
    data = result.documents[0].data if len(result.documents) == 1 else None
    if not isinstance(data, dict):
        begin = Span(LOCK_FILE, 1, 1, 1, 1)
        raise ConfigError(_broken("this is not a lock file of specforge", begin, source.lines[0]))
    written = data.get("format")
    if isinstance(written, int) and written > FORMAT:
        detail = f"the file has format {written}, this release knows up to {FORMAT}"
        span = source.span(0, ("format",))
        hint = "use the release of specforge that the team uses"
        raise ConfigError(
            Diagnostic(
                "SF116", "Lock file of a newer release", detail, hint=hint, span=span, snippet=source.snippet(span)
            )
        )
    lock, problems = validate(Lock, data)
    if lock is None:
        raise ConfigError(
            _broken(each.detail, span, source.snippet(span))
            for each in problems
            for span in (source.span(result.documents[0].index, each.path, at_key=each.at_key),)
        )
    return {engine: frozen(_entry(each)) for engine, each in sorted(lock.engines.items())}


def _entry(engine: LockedEngine) -> dict[str, Any]:
    return engine.model_dump(mode="json", exclude_none=True)


def _broken(detail: str, span: Span | None, snippet: str | None) -> Diagnostic:
    return Diagnostic("SF116", "Broken lock file", detail, hint=_HINT, span=span, snippet=snippet)


def write_lock(root: Path, engines: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the lock file; whoever reads meanwhile sees the old file or the new one, whole."""
    text = lock_text(engines)
    unfinished = root / f".{LOCK_FILE}.{os.getpid()}"
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(root / LOCK_FILE)
    finally:
        unfinished.unlink(missing_ok=True)


def lock_text(engines: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the one text of these entries: engines and packages sorted, hashes sorted."""
    lines = [f"format: {FORMAT}", "engines:" if engines else "engines: {}"]
    for engine in sorted(engines):
        lines += _engine_lines(engine, engines[engine])
    return _HEADER + "\n".join(lines) + "\n"


def _engine_lines(engine: str, entry: Mapping[str, Any]) -> Iterator[str]:
    packages = sorted(entry["packages"], key=lambda each: (each["name"], each["version"], each.get("marker") or ""))
    yield f"  {_quoted(engine)}:"
    yield f"    python: {_quoted(entry['python'])}"
    yield "    packages:" if packages else "    packages: []"
    for package in packages:
        yield f"      - name: {_quoted(package['name'])}"
        yield f"        version: {_quoted(package['version'])}"
        if package.get("marker") is not None:
            yield f"        marker: {_quoted(package['marker'])}"
        yield "        hashes:"
        yield from (f"          - {each}" for each in sorted(package["hashes"]))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
