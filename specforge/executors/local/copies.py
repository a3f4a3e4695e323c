"""Copies of trees at a pool: each file verified, kept if it is there already, so that a broken copy goes on."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path, PurePosixPath

from specforge.core.steps import Copy
from specforge.core.values import Tree
from specforge.executors.base import StepContext, Surroundings
from specforge.executors.files import write_whole
from specforge.executors.local import failures
from specforge.executors.local.pool import Pool
from specforge.executors.local.staging import Fetch
from specforge.formats import hashing
from specforge.formats import tree as trees
from specforge.formats.tree import Entry

_PART = ".specforge-part"


def copy(pool: Pool, step: Copy, surroundings: Surroundings, context: StepContext) -> Tree:
    """Bring the tree into the pool's folder `copies`; return where it lies. Raises ExecutionError."""
    path = PurePosixPath(step.path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise failures.not_started(context.key, f"`{step.path}` is no folder inside a pool")
    target = pool.folder / "copies" / path
    fetch = Fetch(surroundings.reader(step.source.place), step.source, context, "the copy", step.select)
    entries = fetch.entries()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with (pool.folder / f"copies-{_short(step.path)}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _bring(fetch, entries, target)
            if step.mode == "MIRROR":
                _remove_others({each.path for each in entries}, target)
        digest = _note(pool, entries)
    except OSError as error:
        raise failures.no_room(context.key, f"`{error.filename or target}`", error) from error
    return Tree(pool.place, f"copies/{path}", digest)


def _bring(fetch: Fetch, entries: tuple[Entry, ...], target: Path) -> None:
    there = [each for each in entries if (target / each.path).is_file()]
    answers = hashing.hash_files([(str(target / each.path), each.size) for each in there])
    good = {
        entry.path
        for entry, answer in zip(there, answers, strict=True)
        if isinstance(answer, hashing.Hashed) and answer.sha256 == entry.sha256
    }
    for each in entries:
        file = target / each.path
        mode = 0o755 if each.executable else 0o644
        if each.path in good:
            file.chmod(mode)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{_short(file.name)}{_PART}")
        fetch.copy(each, part, mode)
        part.replace(file)


def _remove_others(kept: set[str], target: Path) -> None:
    """Remove every file that is not of the tree, and the folders that are empty then."""
    for parent, folders, files in os.walk(target, topdown=False):
        for name in files + [each for each in folders if os.path.islink(os.path.join(parent, each))]:
            full = Path(parent, name)
            if full.relative_to(target).as_posix() not in kept:
                full.unlink()
        if parent != str(target) and not os.listdir(parent):
            os.rmdir(parent)


def _note(pool: Pool, entries: tuple[Entry, ...]) -> str:
    """Keep the listing, so that the copy can be read without hashing it again; return the tree's digest."""
    digest = trees.digest(entries)
    kept = pool.folder / "listings" / digest
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        write_whole(kept, trees.listing(entries))
    return digest


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
