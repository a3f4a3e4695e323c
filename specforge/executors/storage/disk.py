"""Writing so that a kill at any moment leaves nothing half visible, and what was committed stays after a power cut.

Everything is written under `drafts/` of the store, made durable, and then moved or linked to its name in one step.
Folders become durable in groups, at barriers: the first flush of a group carries the others on most file systems.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from specforge.executors.base import StepContext, StepEvent
from specforge.executors.storage.failures import cancelled

AfterWrite = Callable[[str], None]
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
# One flush of the whole file system is cheaper from about four files on (ten times at 64), but it also waits for what
# others wrote; so a few files are flushed one by one.
FEW_FILES = 8


def _nothing(_: str) -> None:
    return


class Disk:
    """The writes of one executor. `after_write` (`did`) is called after each with what was done: tests stop there."""

    def __init__(self, after_write: AfterWrite = _nothing) -> None:
        self.did = after_write

    def make_folder(self, path: str) -> set[str]:
        """Make the folder and those above it; return the folders that changed, for a barrier."""
        if os.path.isdir(path):
            return set()
        parent = os.path.dirname(path)
        changed = self.make_folder(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        self.did(f"mkdir {path}")
        return {*changed, parent}

    def write(self, path: str, data: bytes) -> None:
        """Write a new file that nobody looks at yet."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        self.did(f"write {path}")

    def create(self, path: str, data: bytes, scratch: str) -> bool:
        """Make the file appear with all of its content in one step; False if there is one already."""
        if os.path.lexists(path):
            return False
        draft = self._draft(data, scratch)
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if not _create_without_links(draft, path, scratch):
                return False
        self.did(f"create {path}")
        return True

    def replace(self, path: str, data: bytes, scratch: str) -> None:
        """Put the content in place of the file's in one step."""
        self.rename(self._draft(data, scratch), path)

    def rename(self, source: str, target: str) -> None:
        """Give a finished file its name."""
        os.rename(source, target)
        self.did(f"move {target}")

    def remove(self, path: str) -> None:
        """Remove the file if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        self.did(f"remove {path}")

    def remove_folder(self, path: str) -> None:
        """Remove the folder and all that is in it, if it is there."""
        if os.path.isdir(path):
            shutil.rmtree(path)
            self.did(f"rmtree {path}")

    def barrier(self, paths: Collection[str], root: str) -> None:
        """Return when these files and folders, all below `root`, are on the disk."""
        if not paths:
            return
        if len(paths) <= FEW_FILES:
            for each in sorted(paths):
                with contextlib.suppress(FileNotFoundError):
                    _sync(each)
        else:
            _sync_all(root)
        self.did("barrier")

    def _draft(self, data: bytes, scratch: str) -> str:
        """Return a file with this content that is on the disk already: a name must not outlive what it names."""
        draft = f"{scratch}/{uuid.uuid4().hex}"
        self.write(draft, data)
        _sync(draft)
        return draft


def _create_without_links(draft: str, path: str, scratch: str) -> bool:
    """Do as `create` where the file system has no hard links: a lock keeps the others away meanwhile."""
    root = os.path.dirname(os.path.dirname(scratch))
    with flock(f"{root}/locks/create", exclusive=True):
        if os.path.lexists(path):
            return False
        os.rename(draft, path)
        return True


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(root: str) -> None:
    """Flush the whole file system of the store: one call for many files."""
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), root)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch_folder(parent: str) -> Iterator[str]:
    """Give a folder for drafts; gone afterwards, whatever happened."""
    os.makedirs(parent, exist_ok=True)
    folder = tempfile.mkdtemp(dir=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def flock(path: str, *, exclusive: bool, context: StepContext | None = None) -> Iterator[int]:
    """Hold a lock on the file, made if need be; free at once when its holder dies. Raises Cancelled while waiting."""
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    while True:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _take(descriptor, operation, context)
            if _still_there(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _take(descriptor: int, operation: int, context: StepContext | None) -> None:
    if context is None:
        fcntl.flock(descriptor, operation)
        return
    pause, told = 0.005, False
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause > 0.1 and not told:
                context.emit(StepEvent("state", "waiting for somebody else who publishes here"))
                told = True
            if context.cancel.wait(pause):
                raise cancelled() from None
            pause = min(pause * 1.5, 0.2)
        else:
            return


def _still_there(descriptor: int, path: str) -> bool:
    """The file may have been removed, with its store, while we waited: then the lock is worth nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
