"""What the storage contract works with: trees in memory, one store with two executors on it, calls at once."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.making import dataclass
from specforge.core.queries import FindIdentity, Query, Seen
from specforge.core.steps import EnsurePlace, Publish, Step
from specforge.core.values import EMPTY, Frozen, Key, Place, Tree, VersionSeries, frozen
from specforge.executors.base import CancelToken, Executor, StepContext, TreeReader
from specforge.formats.tree import Entry, digest

Files = Mapping[str, bytes]
SUITE = Place("suite", "trees")
DIGITS = Address("dataset", "digits")
SERIES = VersionSeries("demo", "dataset", "digits", "V{:03d}")
FIRST = "1" * 64
SECOND = "2" * 64
A: Files = {"0/a.png": b"zero", "1/b.png": b"one", "list.manifest": b"a, b"}
B: Files = {"0/a.png": b"zero", "1/b.png": b"other", "list.manifest": b"a, b"}


class SuiteTrees:
    """The suite's own files, in memory, for executors to read: `tree(files)` gives a Tree that names them."""

    def __init__(self) -> None:
        self._files: dict[str, Files] = {}

    def tree(self, files: Files) -> Tree:
        """Return a tree of these files, at the suite's place."""
        path = f"tree-{len(self._files)}"
        self._files[path] = dict(files)
        tree = Tree(SUITE, path)
        return Tree(SUITE, path, digest(self.entries(tree)))

    def change(self, tree: Tree, path: str, content: bytes) -> None:
        """Change one of its files, as a user would while an apply runs."""
        assert tree.path is not None
        self._files[tree.path] = {**self._files[tree.path], path: content}

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List the tree."""
        files = self._files[str(tree.path)]
        return tuple(
            Entry(path, False, len(content), hashlib.sha256(content).hexdigest())
            for path, content in sorted(files.items())
        )

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open one of its files."""
        return io.BytesIO(self._files[str(tree.path)][entry.path])


@dataclass
class Store:
    """One store with two executors on it, and the suite's trees."""

    place: Place
    one: Executor
    two: Executor
    trees: SuiteTrees

    def perform(self, step: Step, **given: Any) -> Frozen:
        """Perform the step and return its outputs; `given` are arguments of `context`."""
        return self.one.perform(step, context(**given)).outputs

    def publish(self, files: Files, identity: str = FIRST, lineage: str = "mine", **given: Any) -> Frozen:
        """Publish files as tree `data`; `given` are further fields of the step."""
        return self.perform(self.step(files, identity, **given), lineage=lineage)

    def step(self, files: Files, identity: str = FIRST, **given: Any) -> Publish:
        """Return the step that publishes these files as tree `data`."""
        given = {"series": SERIES, "facts": frozen({"files": len(files)}), **given}
        return Publish(self.place, Frozen(data=self.trees.tree(files)), "data", identity=identity, **given)

    def ask(self, query: Query) -> Seen:
        """Return the answer to one question."""
        return self.two.observe(self.place, [query], None)[query]

    def find(self, identity: str = FIRST, series: VersionSeries | None = SERIES, pinned: str | None = None) -> Seen:
        """Look for an identity."""
        return self.ask(FindIdentity(self.place, identity, series, pinned))

    def read(self, outputs: Frozen, name: str = "data") -> dict[str, bytes]:
        """Return the files of a published tree, read back through the executor's own ability."""
        return read_tree(self.two, Tree(self.place, None, outputs["trees"][name]))


def context(
    *, lineage: str = "mine", address: Address = DIGITS, identity: str = FIRST, cancel: CancelToken | None = None
) -> StepContext:
    """Return the context of a step performed for a lineage's resource."""
    key = Key(lineage, address, identity, 1, "publish")
    return StepContext(key) if cancel is None else StepContext(key, cancel=cancel)


def read_tree(executor: Executor, tree: Tree) -> dict[str, bytes]:
    """Return {path: content} of a tree, through the executor's ability to give files."""
    assert isinstance(executor, TreeReader)
    files = {}
    for entry in executor.entries(tree):
        with executor.open(tree, entry) as stream:
            files[entry.path] = stream.read()
    return files


def failed(store: Store, step: Step, **given: Any) -> ExecutionError:
    """Perform the step, which must fail with an error for people; return it."""
    with pytest.raises(ExecutionError) as caught:
        store.perform(step, **given)
    assert caught.value.diagnostics
    assert all(each.code.startswith("SF4") and each.detail for each in caught.value.diagnostics)
    return caught.value


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls in threads that begin together; return their results, raise what one of them raised."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def work(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


class StoreMaker:
    """What a contract of stores asks of who derives from it: `make`; the abilities below it may be given too."""

    def make(self, folder: Path, reader: Callable[[Place], TreeReader]) -> tuple[Executor, Place]:
        """Return a new executor and a place in `folder`: the same store for the same folder."""
        raise NotImplementedError

    def damage(self, store: Store, sha256: str, content: bytes | None) -> bool:  # noqa: ARG002
        """Change a published file behind the executor's back (None: remove it). False: it cannot be done here."""
        return False

    def cut_off(self, store: Store) -> bool:  # noqa: ARG002
        """Make the store unreachable. False: it cannot be done here."""
        return False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A store that was made, with nothing in it."""
        trees = SuiteTrees()

        def reader(place: Place) -> TreeReader:
            if place == SUITE:
                return trees
            assert isinstance(one, TreeReader)
            return one

        one, place = self.make(tmp_path, reader)
        two, _ = self.make(tmp_path, reader)
        made = Store(place, one, two, trees)
        made.perform(EnsurePlace(place, EMPTY))
        return made
