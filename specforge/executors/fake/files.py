"""Files in memory: `{path: bytes}`. A path that ends with `/` stands for an empty folder."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

from specforge.core.values import Frozen, Select, frozen
from specforge.formats import tree
from specforge.formats.ignore import LEFT_OUT, LEFT_OUT_SUFFIX
from specforge.formats.tree import Entry

Files = dict[str, bytes]

_SHOWN = 20


def below(files: Mapping[str, bytes], folder: str) -> Files | None:
    """Return the files of a folder by their paths in it, a single file by its name, or None if there is neither."""
    if folder in ("", "."):
        return dict(files)
    if folder in files:
        return {folder.rpartition("/")[2]: files[folder]}
    prefix = folder.rstrip("/") + "/"
    found = {path[len(prefix) :]: content for path, content in files.items() if path.startswith(prefix)}
    if not found:
        return None
    found.pop("", None)
    return found


def place_below(disk: Files, folder: str, files: Mapping[str, bytes], *, mirror: bool = True) -> None:
    """Write the files into a folder of the disk; `mirror` removes what else is there."""
    prefix = folder.rstrip("/") + "/"
    if mirror:
        remove_below(disk, folder)
    disk[prefix] = b""
    disk.update({prefix + path: content for path, content in files.items()})


def remove_below(disk: Files, folder: str) -> None:
    """Remove a folder of the disk with all that is in it."""
    prefix = folder.rstrip("/") + "/"
    for path in [each for each in disk if each.startswith(prefix)]:
        del disk[path]


def entries_of(files: Mapping[str, bytes], select: Select | None = None) -> tuple[Entry, ...]:
    """Return the files that count as entries of a tree, sorted by path. `.specignore` files are not read."""
    chosen = select or Select()
    found = []
    for path, content in files.items():
        parts = path.split("/")
        if path.endswith(("/", LEFT_OUT_SUFFIX)) or LEFT_OUT.intersection(parts):
            continue
        if chosen.suffixes and not path.lower().endswith(chosen.suffixes):
            continue
        name = unicodedata.normalize("NFC", path)
        found.append(Entry(name, False, len(content), hashlib.sha256(content).hexdigest()))
    return tuple(sorted(found))


def digest_of(files: Mapping[str, bytes], select: Select | None = None) -> str:
    """Return the digest of the tree that these files are."""
    return tree.digest(entries_of(files, select))


def scan_facts(
    files: Mapping[str, bytes], select: Select, since: tuple[Entry, ...] | None, single: bool = False
) -> Frozen:
    """Return the facts of a scan: see `specforge.core.queries.ScanTree`. `single`: it met a file, not a folder."""
    entries = entries_of(files, select)
    folders = Counter({path.split("/")[0]: 0 for path in files if "/" in path})
    folders.update(each.path.split("/")[0] if "/" in each.path else "." for each in entries)
    facts: dict[str, Any] = {
        "files": len(entries),
        "bytes": sum(each.size for each in entries),
        "folders": {} if single else {name: folders[name] for name in sorted(folders) if name not in LEFT_OUT},
        "problems": (),
    }
    if since is not None and since != entries:
        facts |= _changes({each.path: each for each in since}, {each.path: each for each in entries})
    found: Frozen = frozen(facts)
    return found


def _changes(before: Mapping[str, Entry], now: Mapping[str, Entry]) -> dict[str, Any]:
    lists = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "changed": sorted(path for path in now.keys() & before.keys() if now[path] != before[path]),
    }
    return {
        **{name: len(paths) for name, paths in lists.items()},
        **{f"{name}_paths": tuple(paths[:_SHOWN]) for name, paths in lists.items()},
    }
