"""Copy: a tree's files into a folder of a place, each verified; what is already right is left as it is."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Sequence

from specforge.core.steps import Copy
from specforge.core.values import Frozen, Tree
from specforge.executors.base import StepContext, StepEvent, TreeReader
from specforge.executors.storage.disk import Disk
from specforge.executors.storage.failures import cancelled, changed, impossible
from specforge.executors.storage.publishing import REPORT_EVERY, copy_checked
from specforge.executors.storage.records import OURS
from specforge.executors.storage.store import Readers
from specforge.formats.hashing import hash_file
from specforge.formats.ignore import LEFT_OUT, LEFT_OUT_SUFFIX
from specforge.formats.tree import Entry, digest

DRAFT = ".spec-copy-"


def copy(root: str, step: Copy, context: StepContext, readers: Readers, disk: Disk) -> Frozen:
    """Perform the step below the place's folder `root`; returns its outputs."""
    target = f"{root}/{_inside(root, step)}"
    reader = readers(step.source.place)
    entries = _chosen(step, reader)
    disk.make_folder(target)
    _clear_drafts(target)
    made: list[str] = []
    for count, entry in enumerate(entries):
        if count % REPORT_EVERY == 0:
            context.emit(StepEvent("progress", done=count, total=len(entries), unit="files"))
        if context.cancel.cancelled:
            raise cancelled()
        if _bring(reader, step.source, entry, target, disk):
            made.append(f"{target}/{entry.path}")
    if step.mode == "MIRROR":
        _remove_others(target, entries, disk)
    disk.barrier([*made, target], root)
    return Frozen({"tree": Tree(step.place, step.path, digest(entries))})


def _inside(root: str, step: Copy) -> str:
    path = posixpath.normpath(step.path)
    top = path.split("/", 1)[0]
    if path.startswith("/") or top in ("..", "."):
        raise impossible(
            f"`{step.path}` is not a folder within `{step.place.id}`", "give a relative path of a subfolder"
        )
    if top in (*OURS, "format") and os.path.exists(f"{root}/format"):
        raise impossible(f"`{step.path}` belongs to the store `{step.place.id}` itself", "give another folder")
    return path


def _chosen(step: Copy, reader: TreeReader) -> tuple[Entry, ...]:
    """Return the entries to copy, after a check that the source is still what was planned."""
    select = step.select
    everything = reader.entries(step.source)
    chosen = tuple(
        each if select.executable else each._replace(executable=False)
        for each in everything
        if not select.suffixes or each.path.lower().endswith(select.suffixes)
    )
    if step.source.digest is not None and step.source.digest not in (digest(chosen), digest(everything)):
        raise changed(f"`{step.source.path}`" if step.source.path else f"tree {str(step.source.digest)[:12]}")
    return chosen


def _bring(reader: TreeReader, tree: Tree, entry: Entry, target: str, disk: Disk) -> bool:
    path = f"{target}/{entry.path}"
    mode = 0o755 if entry.executable else 0o644
    with contextlib.suppress(OSError):
        if not os.path.islink(path) and hash_file(path, entry.size).sha256 == entry.sha256:
            if bool(os.stat(path).st_mode & 0o100) != entry.executable:
                os.chmod(path, mode)
            return False
    _make_way(target, entry.path)
    disk.make_folder(os.path.dirname(path))
    draft = f"{target}/{DRAFT}{entry.sha256[:16]}"
    copy_checked(reader, tree, entry, draft, mode)
    disk.rename(draft, path)
    return True


def _make_way(target: str, path: str) -> None:
    """Remove what lies where the file, or a folder of it, has to be; never through a link that leads elsewhere."""
    import shutil

    here = target
    names = path.split("/")
    for name in names[:-1]:
        here = f"{here}/{name}"
        if os.path.islink(here) or (os.path.lexists(here) and not os.path.isdir(here)):
            os.unlink(here)
    last = f"{here}/{names[-1]}"
    if os.path.isdir(last) and not os.path.islink(last):
        shutil.rmtree(last)


def _remove_others(target: str, entries: Sequence[Entry], disk: Disk) -> None:
    """Remove the files that are not of the tree. What is never read of a folder (`.git`, …) is never removed either."""
    wanted = {f"{target}/{each.path}" for each in entries}
    folders = []
    for folder, inside, files in os.walk(target):
        links = [each for each in inside if os.path.islink(f"{folder}/{each}")]
        inside[:] = [each for each in inside if each not in LEFT_OUT and each not in links]
        folders += [f"{folder}/{each}" for each in inside]
        for name in (*files, *links):
            path = f"{folder}/{name}"
            if path not in wanted and name not in LEFT_OUT and not name.endswith(LEFT_OUT_SUFFIX):
                disk.remove(path)
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _clear_drafts(target: str) -> None:
    for each in os.listdir(target):
        if each.startswith(DRAFT):
            os.unlink(f"{target}/{each}")
