"""What a job left: trees of its output folder and its log, as listings, and the facts it states."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from specforge.formats import folder, tree
from specforge.formats.tree import Entry


class Incomplete(Exception):
    """The program ended well, but what it left is not what was agreed; says what is missing or wrong."""


def collect(run: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return `outputs` {name: path in the run folder, digest, files, bytes} and `facts`; writes the listings.

    Raises Incomplete, or OSError where the disk does not play along.
    """
    os.makedirs(os.path.join(run, "trees"), exist_ok=True)
    facts = _facts(run, request["facts"]) if request["facts"] else None
    return {"outputs": {each["name"]: _output(run, each) for each in request["outputs"]}, "facts": facts}


def _output(run: str, output: dict[str, Any]) -> dict[str, Any]:
    path = output["path"]
    inside = "log" if path == "@log" else os.path.normpath(os.path.join("out", path))
    excluded = tuple(each.rstrip("/") for each in output["exclude"])
    entries = tuple(each for each in _entries(run, inside, path) if not _is_excluded(each.path, excluded))
    if output["required"] and not entries:
        raise Incomplete(output["missing_hint"] or f"ended well but left no `{_shown(path)}` in its output folder")
    _compare(run, output, entries)
    listing = tree.listing(entries)
    digest = tree.digest(entries)
    target = os.path.join(run, "trees", digest)
    Path(f"{target}.new").write_bytes(listing)
    os.replace(f"{target}.new", target)
    return {"path": inside, "digest": digest, "files": len(entries), "bytes": sum(each.size for each in entries)}


def _compare(run: str, output: dict[str, Any], entries: tuple[Entry, ...]) -> None:
    """Raise Incomplete if the program says which files it left, and these are not the ones."""
    if not output["expected"]:
        return
    try:
        wanted = tree.parse(Path(run, "out", output["expected"]).read_bytes())
    except (OSError, ValueError) as error:
        raise Incomplete(f"left no readable `{output['expected']}` in its output folder: {error}") from error
    before = {each.path: (each.size, each.sha256) for each in wanted}
    now = {each.path: (each.size, each.sha256) for each in entries}
    changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    if changed:
        raise Incomplete(f"`{changed[0]}` changed while it was collected; plan and apply again")


def _entries(run: str, inside: str, path: str) -> tuple[Entry, ...]:
    root = Path(run, inside)
    if root.is_file():
        raise Incomplete(f"left a file `{path}` in its output folder where a folder should be")
    if not root.exists():
        return ()
    inputs = Path(run, "in")
    links = [inputs, *(each.resolve() for each in inputs.iterdir())] if inputs.is_dir() else []
    try:
        return folder.entries(root, allowed_links=links)
    except folder.UnfitFolderError as error:
        raise Incomplete(f"left something that cannot be kept in its output folder: {error}") from error


def _is_excluded(path: str, excluded: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in excluded)


def _shown(path: str) -> str:
    return "files" if path == "." else f"{path}/"


def _facts(run: str, name: str) -> Any:
    try:
        text = Path(run, "out", name).read_text(encoding="utf-8")
        facts = json.loads(text, parse_constant=_refuse)
        # Half a character, written as an escape, is JSON but no text that could be hashed or stored.
        json.dumps(facts, ensure_ascii=False).encode()
        return facts
    except FileNotFoundError:
        raise Incomplete(f"ended well but left no `{name}` in its output folder") from None
    except (ValueError, RecursionError) as error:
        raise Incomplete(f"left a `{name}` that is not JSON: {error}") from error


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"`{word}` is not a number of JSON")
