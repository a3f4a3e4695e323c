"""A store at work: who may write in it, and what of the writing is not on the disk yet."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import field

from specforge.core.making import dataclass
from specforge.core.values import Place
from specforge.executors.base import StepContext, TreeReader
from specforge.executors.storage.disk import Disk, flock, scratch_folder
from specforge.executors.storage.failures import cancelled
from specforge.executors.storage.records import Records

Readers = Callable[[Place], TreeReader]


@dataclass(slots=True)
class Store:
    """One step at a store: what it holds, how it is written, for whom. `touched`: folders to make durable;
    `locks`: open while it may be written.
    """

    records: Records
    disk: Disk
    context: StepContext
    readers: Readers
    scratch: str = ""
    touched: set[str] = field(default_factory=set)
    locks: tuple[int, ...] = ()

    @contextlib.contextmanager
    def shared(self, identity: str) -> Iterator[None]:
        """Keep away whoever would remove objects, and others who publish the same identity."""
        root, context = self.records.root, self.context
        with flock(f"{root}/locks/store", exclusive=False, context=context) as common:
            lock = hashlib.sha256(identity.encode()).hexdigest()[:2]
            with (
                flock(f"{root}/locks/{lock}", exclusive=True, context=context) as own,
                scratch_folder(f"{root}/drafts") as self.scratch,
            ):
                self.locks = (common, own)
                self.records.need()
                yield

    def clear_leftovers(self) -> None:
        """Remove what killed writers left, if nobody is writing now."""
        root = self.records.root
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            if os.listdir(f"{root}/drafts"):
                descriptor = os.open(f"{root}/locks/store", os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.disk.remove_folder(f"{root}/drafts")
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else who writes away; what the killed ones left in `drafts/` goes."""
        root = self.records.root
        with flock(f"{root}/locks/store", exclusive=True, context=self.context):
            self.disk.remove_folder(f"{root}/drafts")
            with scratch_folder(f"{root}/drafts") as self.scratch:
                self.records.need()
                yield

    def check_cancel(self) -> None:
        """Raise Cancelled if the user asked to stop."""
        if self.context.cancel.cancelled:
            raise cancelled()

    def make_folder(self, path: str) -> None:
        """Make the folder and those above it."""
        self.touched |= self.disk.make_folder(path)

    def create(self, path: str, data: bytes) -> bool:
        """Make the file appear whole; False if there is one already."""
        self.touched.add(os.path.dirname(path))
        return self.disk.create(path, data, self.scratch)

    def replace(self, path: str, data: bytes) -> None:
        """Put the content in place of the file's."""
        self.touched.add(os.path.dirname(path))
        self.disk.replace(path, data, self.scratch)

    def remove(self, path: str) -> None:
        """Remove the file if it is there."""
        self.touched.add(os.path.dirname(path))
        self.disk.remove(path)

    def settle(self) -> None:
        """Return when all of the above is on the disk."""
        self.disk.barrier(self.touched, self.records.root)
        self.touched.clear()
