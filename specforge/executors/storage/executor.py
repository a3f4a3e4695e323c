"""The executor of driver `folder`."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.queries import (
    LookAtJob,
    LookAtPlace,
    LookAtReplicas,
    LookAtRoutes,
    Presence,
    Query,
    ScanTree,
    SecretPrint,
    Seen,
    unreachable,
)
from specforge.core.steps import Copy, EnsurePlace, Publish, Release, Step, Unpublish
from specforge.core.values import EMPTY, Frozen, Place, Select, Tree, frozen
from specforge.executors.base import LogLine, Result, StepContext, Surroundings
from specforge.executors.storage import looking
from specforge.executors.storage.copying import copy
from specforge.executors.storage.disk import AfterWrite, Disk, flock, scratch_folder
from specforge.executors.storage.failures import changed, damaged, explained, impossible, unfit
from specforge.executors.storage.publishing import publish
from specforge.executors.storage.records import FORMAT, Records
from specforge.executors.storage.removing import release, remove_store, unpublish
from specforge.executors.storage.scans import Scans
from specforge.executors.storage.store import Store
from specforge.formats.folder import locate, words
from specforge.formats.hashing import hash_file
from specforge.formats.tree import Entry, digest

LEAST_FREE = 1 << 20


class FolderExecutor:
    """Stores in folders, and folders to read from. `after_write` is for tests that stop between two writes."""

    def __init__(self, surroundings: Surroundings, after_write: AfterWrite | None = None) -> None:
        self._surroundings = surroundings
        self._scans = Scans(surroundings.cache)
        self._disk = Disk(after_write) if after_write else Disk()
        self._folders: dict[tuple[str, str], Path] = {}

    # ---- questions ----

    def observe(self, place: Place, queries: Sequence[Query], deadline: float | None) -> Mapping[Query, Seen]:
        """Answer each; a scan that has begun is finished, for it would begin anew the next time."""
        end = None if deadline is None else time.monotonic() + deadline
        answers: dict[Query, Seen] = {}
        for each in queries:
            late = end is not None and time.monotonic() > end
            answers[each] = unreachable(f"`{place.id}` did not answer in time") if late else self._answer(place, each)
        return answers

    def _answer(self, place: Place, query: Query) -> Seen:
        if isinstance(query, ScanTree):
            return self._scan(query)
        if isinstance(query, SecretPrint):
            from specforge.executors.secrets import look

            return look(query, self._surroundings.root)
        if isinstance(query, LookAtJob | LookAtReplicas | LookAtRoutes):
            return unreachable(f"`{place.id}` runs nothing")
        if isinstance(query, LookAtPlace) and self._is_project(place):
            return self._project()
        return looking.answer(self._records(place), query)

    def _project(self) -> Seen:
        try:
            space = os.statvfs(self._surroundings.root)
        except FileNotFoundError:
            return Seen(Presence.ABSENT)
        except OSError as error:
            return unreachable(words(error))
        return Seen(Presence.PRESENT, facts=frozen({"free": space.f_bavail * space.f_frsize}))

    @staticmethod
    def _single_file(path: Path, query: ScanTree) -> Seen:
        """Answer for a path that is a file as for a folder with this one file."""
        try:
            entry = _entry(path)
        except NotADirectoryError:
            return Seen(Presence.ABSENT)  # a folder above it is a file
        except OSError as error:
            return unreachable(f"`{query.path}` cannot be read: {words(error)}")
        entry = entry._replace(executable=entry.executable and query.select.executable)
        facts = {"files": 1, "bytes": entry.size, "folders": {}, "problems": ()}
        return Seen(Presence.PRESENT, digest([entry]), frozen(facts))

    def _scan(self, query: ScanTree) -> Seen:
        folder = self._folder(query.place, query.path)
        try:
            scan = self._scans.scan(folder, query.select)
        except NotADirectoryError:
            return self._single_file(folder, query)
        except FileNotFoundError:
            return Seen(Presence.ABSENT)
        except OSError as error:
            return unreachable(f"`{query.path}` cannot be read: {words(error)}")
        facts = dict(scan.facts)
        since = query.since
        if since is None or since.digest in (None, scan.digest):
            return Seen(Presence.PRESENT, scan.digest, frozen(facts))
        try:
            reader = self._surroundings.reader(since.place)
            facts |= self._scans.since(folder, query.select, scan, str(since.digest), lambda: reader.entries(since))
        except (ExecutionError, OSError) as error:
            # The wish is known all the same; only what changed cannot be said.
            return Seen(Presence.PRESENT, scan.digest, frozen(facts), problem=f"cannot be compared: {error}")
        return Seen(Presence.PRESENT, scan.digest, frozen(facts))

    # ---- effects ----

    def preflight(self, place: Place, steps: Sequence[Step], deadline: float | None) -> Sequence[Diagnostic]:  # noqa: ARG002
        """Say whether the folder can be written, and whether what is known to come fits in."""
        if all(isinstance(each, EnsurePlace) and each.wanted is None for each in steps):
            return ()
        folder = self._folder(place)
        try:
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            space = os.statvfs(folder)
            writable = folder.is_dir() and os.access(folder, os.W_OK) and not space.f_flag & os.ST_RDONLY
        except OSError as error:
            return explained(error, place.id).diagnostics
        if not folder.is_dir():
            return impossible(
                f"the store `{place.id}` cannot be made: `{folder}` is a file", "give another folder"
            ).diagnostics
        if not writable:
            return explained(PermissionError(13, "it is not writable", str(folder)), place.id).diagnostics
        free, needed = space.f_bavail * space.f_frsize, self._needed(steps)
        if free >= max(needed, LEAST_FREE):
            return ()
        detail = f"the store `{place.id}` has {free:,} bytes left, and needs {max(needed, LEAST_FREE):,}"
        return (Diagnostic("SF426", "No space", detail, hint="make space, then apply again"),)

    def _needed(self, steps: Sequence[Step]) -> int:
        """Return the bytes of the trees that are known now and are not published yet."""
        trees = [each.source for each in steps if isinstance(each, Copy)]
        for step in steps:
            if isinstance(step, Publish):
                trees += [each for each in step.trees.values() if isinstance(each, Tree)]
        total = 0
        for tree in trees:
            if tree.path is not None and isinstance(tree.digest, str):
                # What cannot be read is said when the step is performed; here only space is asked about.
                with contextlib.suppress(ExecutionError, OSError):
                    total += sum(each.size for each in self._surroundings.reader(tree.place).entries(tree))
        return total

    def perform(self, step: Step, context: StepContext) -> Result:
        """Perform the step; raises ExecutionError, with nothing half visible."""
        place = step.store if isinstance(step, Publish | Release | Unpublish) else step.place
        if self._is_project(place):
            raise impossible("nothing is written into the project's own folder", "give the Store a folder of its own")
        store = Store(self._records(place), self._disk, context, self._surroundings.reader)
        try:
            return Result(self._perform(store, step))
        except OSError as error:
            raise explained(error, place.id) from error

    def _perform(self, store: Store, step: Step) -> Frozen:
        if isinstance(step, EnsurePlace):
            return remove_store(store) if step.wanted is None else self._make_store(store)
        if isinstance(step, Publish):
            return publish(store, step)
        if isinstance(step, Release):
            return release(store, step)
        if isinstance(step, Unpublish):
            return unpublish(store, step)
        if isinstance(step, Copy):
            return copy(store.records.root, step, store.context, store.readers, self._disk)
        raise impossible(f"a folder cannot perform `{type(step).__name__}`")

    def _make_store(self, store: Store) -> Frozen:
        root = store.records.root
        if not store.records.there():
            store.make_folder(root)
            with flock(f"{root}/locks/store", exclusive=False), scratch_folder(f"{root}/drafts") as store.scratch:
                store.create(f"{root}/format", f'{{"format": {FORMAT}}}\n'.encode())
                store.settle()
        return EMPTY

    def cancel(self, place: Place, key: str, grace: float) -> None:
        """Nothing runs in a folder."""

    def logs(self, place: Place, key: str, since: float | None, follow: bool) -> Iterator[LogLine]:  # noqa: ARG002
        """Nothing runs in a folder, so there is nothing to tell."""
        return iter(())

    # ---- trees ----

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List a published tree by its digest, or a folder, or a file as a folder with only it, by its path."""
        try:
            if tree.path is None:
                return self._records(tree.place).listing(str(tree.digest))
            folder = self._folder(tree.place, tree.path)
            if folder.is_file():
                return (_entry(folder),)
            scan = self._scans.scan(folder, Select())
        except (FileNotFoundError, NotADirectoryError):
            raise changed(f"`{tree.path}`") from None
        except OSError as error:
            raise explained(error, tree.place.id) from error
        if scan.facts["problems"]:
            problems = [(each["path"], each["problem"]) for each in scan.facts["problems"]]
            raise unfit(f"`{tree.path}`", problems)
        return scan.entries()

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open a file of the tree; the bytes are as they are now, whoever reads compares them with the entry."""
        if tree.path is not None:
            folder = self._folder(tree.place, tree.path)
            return open(folder if folder.is_file() else locate(str(folder), entry.path), "rb")
        records = self._records(tree.place)
        try:
            return open(records.object(entry.sha256), "rb")
        except FileNotFoundError:
            raise damaged(f"the store `{tree.place.id}`", entry.path) from None

    def local_folder(self, tree: Tree) -> Path | None:
        """Return the folder of a tree given by its path; a published tree is not one folder."""
        return None if tree.path is None else self._folder(tree.place, tree.path)

    # ---- where ----

    def _folder(self, place: Place, path: str = "") -> Path:
        known = self._folders.get((place.id, path))
        if known is None:
            root = self._surroundings.root / os.path.expanduser(place.id)
            known = self._folders[place.id, path] = Path(os.path.normpath(root / os.path.expanduser(path)))
        return known

    def _records(self, place: Place) -> Records:
        return Records(str(self._folder(place)), place.id)

    def _is_project(self, place: Place) -> bool:
        return self._folder(place) == Path(os.path.normpath(self._surroundings.root))


def _entry(path: Path) -> Entry:
    """Return a file that is a tree of itself."""
    about = path.stat()
    read = hash_file(str(path), about.st_size)
    return Entry(path.name, bool(about.st_mode & stat.S_IXUSR), read.size, read.sha256)
