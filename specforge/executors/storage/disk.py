"""Writing so that a kill at any moment leaves nothing half visible, and what was committed stays after a power cut.

Everything is written under `drafts/` of the store, made durable, and then moved or linked to its name in one step.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from specforge.executors.base import StepContext, StepEvent
from specforge.executors.storage.failures import cancelled

AfterWrite = Callable[[str], None]
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
# Up to here one fsync a file is cheaper than asking for everything that waits on the file system (benchmarks/scan.py).
FEW_FILES = 64


def _nothing(_: str) -> None:
    return


class Disk:
    """The writes of one executor. `after_write` is called after each, with what was done: tests stop there."""

    def __init__(self, after_write: AfterWrite = _nothing) -> None:
        self._after = after_write

    def make_folder(self, path: str) -> None:
        """Make the folder and those above it, durably."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        self.make_folder(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        _sync(parent)
        self._after(f"mkdir {path}")

    def write(self, path: str, data: bytes) -> None:
        """Write a new file that nobody looks at yet."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        self._after(f"write {path}")

    def create(self, path: str, data: bytes, scratch: str) -> bool:
        """Make the file appear with all of its content, durably; False if there is one already."""
        if os.path.lexists(path):
            return False
        draft = self._draft(data, scratch)
        try:
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                if not self._create_without_links(draft, path, scratch):
                    return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
        self._after(f"create {path}")
        _sync(os.path.dirname(path))
        self._after(f"sync {path}")
        return True

    def replace(self, path: str, data: bytes, scratch: str) -> None:
        """Put the content in place of the file's, durably, in one step."""
        draft = self._draft(data, scratch)
        os.rename(draft, path)
        self._after(f"replace {path}")
        _sync(os.path.dirname(path))

    def move(self, moves: Sequence[tuple[str, str]], root: str) -> None:
        """Give finished files their names; their content is durable before a name is, the names when this returns."""
        self.barrier([source for source, _ in moves], root)
        for source, target in moves:
            self.rename(source, target)
        self.barrier(sorted({os.path.dirname(target) for _, target in moves}), root)

    def rename(self, source: str, target: str) -> None:
        """Give a finished file its name."""
        os.rename(source, target)
        self._after(f"move {target}")

    def barrier(self, paths: Sequence[str], root: str) -> None:
        """Return when these files and folders are on the disk."""
        if len(paths) <= FEW_FILES:
            for each in paths:
                _sync(each)
        else:
            _sync_all(root)
        if paths:
            self._after("barrier")

    def remove(self, path: str) -> None:
        """Remove the file if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        self._after(f"remove {path}")

    def remove_folder(self, path: str) -> None:
        """Remove the folder and all that is in it, if it is there."""
        if os.path.isdir(path):
            shutil.rmtree(path)
            self._after(f"rmtree {path}")

    def sync(self, folder: str) -> None:
        """Make removals in this folder durable."""
        with contextlib.suppress(FileNotFoundError):
            _sync(folder)

    def _draft(self, data: bytes, scratch: str) -> str:
        descriptor, draft = tempfile.mkstemp(dir=scratch)
        os.close(descriptor)
        os.unlink(draft)
        self.write(draft, data)
        _sync(draft)
        return draft

    @staticmethod
    def _create_without_links(draft: str, path: str, scratch: str) -> bool:
        """Do as `create` where the file system has no hard links: a lock keeps the others away meanwhile."""
        with flock(f"{os.path.dirname(scratch)}/create.lock", exclusive=True):
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
