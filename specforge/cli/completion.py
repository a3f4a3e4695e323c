"""What the shell may complete: addresses and environments. Quick looks at files and state, without loading a project.

What is told here is a help for typing: a document in an unusual notation may be missed, and nothing is ever checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PROJECT_FILE = "specforge.yaml"
DEFAULT_STATE = ".specforge/state.db"
_WORD = re.compile(r"""(?:^|[{,]\s*)["']?(kind|name|state)["']?:[ ]*["']?([^\s"',}\#]+)""", re.MULTILINE)
_ENVIRONMENTS = re.compile(r"^environments:(.*(?:\n(?:[ \t].*)?)*)", re.MULTILINE)
_KEY = re.compile(r"""^([ \t]+)["']?([^\s"':#][^\s"':]*)["']?:""", re.MULTILINE)


def complete(look: Callable[[Path, str], Iterator[str]], params: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return what `look` finds in the project that begins with what is typed; nothing where something is wrong."""
    try:
        given = params.get("project")
        start = Path(given).absolute() if given else Path.cwd()
        root = next(each for each in (start, *start.parents) if (each / PROJECT_FILE).is_file())
        return sorted({each for each in look(root, params.get("env") or "default") if each.startswith(incomplete)})
    except Exception:  # noqa: BLE001 - a shell that waits for a completion is told nothing rather than a traceback
        return []


def addresses(root: Path, environment: str) -> Iterator[str]:
    """Give the addresses that are recorded, and those of the documents below `specs`."""
    project = (root / PROJECT_FILE).read_text(encoding="utf-8")
    with suppress(Exception):
        yield from _recorded(root, project, environment)
    prefixes = _prefixes()
    for file in (root / PROJECT_FILE, *_spec_files(root / "specs")):
        with suppress(OSError, UnicodeError):
            for document in re.split(r"^---", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
                kind, name = _first(document, "kind"), _first(document, "name")
                prefix = next((each for each in prefixes if kind.lower().startswith(each)), None)
                if prefix and name:
                    yield f"{prefix}.{name}"


def services(root: Path, environment: str) -> Iterator[str]:
    """Give the addresses of services."""
    return (each for each in addresses(root, environment) if each.startswith("service."))


def service_names(root: Path, environment: str) -> Iterator[str]:
    """Give the names of services, and their addresses."""
    for each in services(root, environment):
        yield each
        yield each.partition(".")[2]


def environments(root: Path, _: str) -> Iterator[str]:
    """Give the environments that the project file declares."""
    found = _ENVIRONMENTS.search((root / PROJECT_FILE).read_text(encoding="utf-8"))
    written = found[1] if found else ""
    if written.strip().startswith("{"):
        yield from _flow_keys(written)
        return
    keys = _KEY.findall(written)
    least = min((len(indent) for indent, _ in keys), default=0)
    yield from (key for indent, key in keys if len(indent) == least)


def _flow_keys(written: str) -> Iterator[str]:
    depth = 0
    for bracket, key in re.findall(r"""([{}])|([^\s{}"',:]+)["']?:""", written):
        depth += {"{": 1, "}": -1}.get(bracket, 0)
        if key and depth == 1:
            yield key


def _first(document: str, key: str) -> str:
    return next((value for each, value in _WORD.findall(document) if each == key), "")


def _spec_files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (Path(root, each) for each in files if each.endswith((".yaml", ".yml")))


def _prefixes() -> list[str]:
    """Return the first halves of addresses, by the names of the kinds' entry points."""
    from importlib.metadata import entry_points

    return sorted((each.name for each in entry_points(group="specforge.kinds")), key=len, reverse=True)


def _recorded(root: Path, project: str, environment: str) -> list[str]:
    from specforge.state.open import open_backend

    path = Path(_first(project, "state") or DEFAULT_STATE)
    if environment != "default":
        path = path.with_name(f"{path.stem}.{environment}{path.suffix}")
    if not (root / path).exists():
        return []
    return [str(each) for each in open_backend(str(path), root).read().resources]
