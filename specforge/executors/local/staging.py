"""Preparing a run folder: inputs shown or fetched, the code copied, everything verified against its digest."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from specforge.core.steps import RunJob
from specforge.core.values import JobInput, Select, Tree
from specforge.executors.base import LocalTrees, StepContext, StepEvent, Surroundings, TreeReader
from specforge.executors.local import failures, usages
from specforge.formats import tree as trees
from specforge.formats.tree import Entry
from specforge.runtimes.job.folders import remove

_BLOCK = 1 << 20
_REPORT_SECONDS = 0.25
_FOLDERS = ("in", "work", "tmp", "home", "out")


def stage(run: Path, step: RunJob, surroundings: Surroundings, context: StepContext) -> None:
    """Make the folders of the run anew and fill them; raises ExecutionError, Cancelled if asked to stop."""
    for name in (*_FOLDERS, "log", "log.parts", "trees"):
        remove(str(run / name))
    for name in ("cancel", "phase", "wrapper.json", "wrapper.err"):
        (run / name).unlink(missing_ok=True)
    try:
        for name in _FOLDERS:
            (run / name).mkdir(mode=0o700 if name == "home" else 0o755)
        for each in step.inputs:
            show(run / "in" / each.name, each, surroundings, context)
        if isinstance(step.code, Tree):
            fetch = Fetch(surroundings.reader(step.code.place), step.code, context, "the code")
            fetch.into(run / "work", fetch.entries(), read_only=False)
        _check_words(run, step, context)
    except OSError as error:
        raise failures.no_room(context.key, f"`{error.filename or run}`", error) from error


def show(
    target: Path, wanted: JobInput, surroundings: Surroundings, context: StepContext, *, linked: bool = True
) -> None:
    """Have the input's files in folder `target`, read-only; `linked`: a link to them will do. Raises ExecutionError."""
    reader = surroundings.reader(wanted.tree.place)
    if linked and wanted.usages is None and isinstance(reader, LocalTrees):
        folder = reader.local_folder(wanted.tree)
        if folder is not None:
            if not folder.is_dir():
                why = f"its input `{wanted.name}` is not there: `{wanted.tree.path}` of {wanted.tree.place}"
                raise failures.not_started(context.key, why)
            target.symlink_to(folder.resolve(), target_is_directory=True)
            return
    fetch = Fetch(reader, wanted.tree, context, f"input `{wanted.name}`")
    entries = fetch.entries()
    if wanted.usages is None or not usages.has_manifest(entries):
        fetch.into(target, entries, read_only=True)
        protect(target)
        return
    chosen = usages.choose(entries, fetch.read, wanted.usages)
    if isinstance(chosen, str):
        raise failures.not_started(context.key, f"input `{wanted.name}`: {chosen}")
    fetch.into(target, chosen.entries, read_only=True)
    manifest = target / chosen.manifest_path
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_bytes(chosen.manifest)
    manifest.chmod(0o444)
    protect(target)


def _check_words(run: Path, step: RunJob, context: StepContext) -> None:
    """A program that is to be run from the code, but is not in it, is best said before anything runs."""
    for word in step.run.argv:
        if word.startswith("@code/") and not (run / "work" / word[len("@code/") :]).exists():
            hint = "check the algorithm's `code` and `boot`"
            raise failures.not_started(context.key, f"there is no `{word[len('@code/') :]}` in the code folder", hint)


class Fetch:
    """Copies one tree from wherever it lies into a folder of this machine, checking every byte."""

    def __init__(
        self,
        reader: TreeReader,
        tree: Tree,
        context: StepContext,
        what: str,
        select: Select = Select(),  # noqa: B008
    ) -> None:
        self._reader = reader
        self._tree = tree
        self._context = context
        self._what = what
        self._select = select
        self._done = 0
        self._reported = time.monotonic()

    def entries(self) -> tuple[Entry, ...]:
        """Return the selected files of the tree; raises ExecutionError if they are not those of its digest."""
        entries = self._reader.entries(self._tree)
        if suffixes := self._select.suffixes:
            entries = tuple(each for each in entries if each.path.lower().endswith(suffixes))
        if not self._select.executable:
            entries = tuple(each._replace(executable=False) for each in entries)
        if isinstance(self._tree.digest, str) and trees.digest(entries) != self._tree.digest:
            raise failures.changed(self._context.key, self._what)
        return entries

    def read(self, entry: Entry) -> bytes:
        """Return the content of one file."""
        with self._reader.open(self._tree, entry) as source:
            data = source.read()
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise failures.changed(self._context.key, self._what, entry.path)
        return data

    def into(self, target: Path, entries: Sequence[Entry], *, read_only: bool) -> None:
        """Copy these files below `target`."""
        target.mkdir(parents=True, exist_ok=True)
        total = sum(each.size for each in entries)
        made: set[str] = set()
        for each in entries:
            parent = os.path.dirname(each.path)
            if parent not in made:
                (target / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            mode = (0o555 if each.executable else 0o444) if read_only else (0o755 if each.executable else 0o644)
            self.copy(each, target / each.path, mode)
            self._report(total)

    def copy(self, entry: Entry, target: Path, mode: int) -> None:
        """Copy one file; raises ExecutionError if it is not the one of the entry."""
        hasher = hashlib.sha256()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with self._reader.open(self._tree, entry) as source, open(descriptor, "wb") as file:
            while block := source.read(_BLOCK):
                hasher.update(block)
                file.write(block)
                self._done += len(block)
                if self._context.cancel.cancelled:
                    raise failures.not_started_cancelled(self._context.key)
            os.fchmod(descriptor, mode)
        if hasher.hexdigest() != entry.sha256:
            raise failures.changed(self._context.key, self._what, entry.path)

    def _report(self, total: int) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._context.emit(StepEvent("progress", self._what, float(self._done), float(total), "bytes"))


def protect(folder: Path) -> None:
    """Make the folders of a tree read-only; its files are already."""
    for parent, _, _ in os.walk(folder, topdown=False):
        os.chmod(parent, 0o555)  # noqa: S103 - read-only, for whoever may read it
