"""Very many files: read and copied by several processes, any of which may die."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folder_store import PLACE

from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.steps import EnsurePlace, Publish
from specforge.core.values import EMPTY, Frozen, Place, Tree
from specforge.executors.base import CancelToken, StepContext, Surroundings
from specforge.executors.storage.executor import FolderExecutor
from specforge.formats.folder import entries
from specforge.formats.hashing import MANY_FILES, Hashing
from specforge.formats.tree import digest
from specforge.testing.storage import FIRST, SECOND, SERIES, context

SOURCE = Place("folder", "source")


@pytest.fixture
def many(quick: Path) -> Path:
    """A folder `source` with very many small files, in some of the ways names can be."""
    source = quick / "source"
    for number in range(MANY_FILES + 200):
        path = source / f"{number % 7} é" / f"{number}'.bin"
        if number < 7:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d " % number * (number % 5 + (number > 20)))
    return quick


def opened(root: Path, after_write: Callable[[str], None] | None = None) -> FolderExecutor:
    """Return an executor on the store and the source in `root`."""
    executor = FolderExecutor(Surroundings(root, root / "cache", lambda _: executor), after_write)
    executor.perform(EnsurePlace(PLACE, EMPTY), context())
    return executor


def step(root: Path) -> Publish:
    """Return the publishing of the source as it is now."""
    tree = Tree(SOURCE, "", digest(entries(root / "source")))
    return Publish(PLACE, Frozen(data=tree), "data", SERIES, identity=FIRST)


def check(root: Path, executor: FolderExecutor) -> None:
    """What is published is what lies in the source, each object is what its name says, and no draft is left."""
    outputs = executor.perform(step(root), context()).outputs
    assert (outputs["build"], outputs["version"]) == (1, "V001")
    for each in executor.entries(Tree(PLACE, None, outputs["digest"])):
        path = root / "store" / "objects" / each.sha256[:2] / each.sha256
        assert path.read_bytes() == (root / "source" / each.path).read_bytes()
        assert path.stat().st_mode & 0o777 == 0o444
    for path in (root / "store" / "objects").rglob("*"):
        assert path.is_dir() or hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert not os.listdir(root / "store" / "drafts")


def test_published_whole(many: Path) -> None:
    """Very many files are published as few are, into a store that has some of them already too."""
    executor = opened(many)
    few = Tree(SOURCE, "3 é", digest(entries(many / "source" / "3 é")))
    executor.perform(Publish(PLACE, Frozen(data=few), "data", identity=SECOND), context())
    check(many, executor)


@pytest.mark.parametrize("content", [None, b"other"])
def test_changed_meanwhile(many: Path, content: bytes | None) -> None:
    """One file of many that changed after it was listed, or went, fails the step, and nothing is visible."""
    planned = step(many)
    path = many / "source" / "2 é" / "1598'.bin"
    before = path.read_bytes()

    def change(what: str) -> None:
        if "/drafts/" not in what:  # a folder for drafts is made: the copying is about to begin
            return
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)

    with pytest.raises(ExecutionError) as caught:
        opened(many, change).perform(planned, context())
    assert caught.value.diagnostics[0].code == "SF423"
    assert not (many / "store" / "versions").exists()
    assert not os.listdir(many / "store" / "drafts")
    path.write_bytes(before)
    check(many, opened(many))


@pytest.mark.parametrize("count", [1, 150, 262, 400, 500])
def test_fault_while_copying(many: Path, count: int) -> None:
    """A write that fails among many leaves no draft and nothing visible; the next publish converges."""
    left = [count]

    def fault(what: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "no space", what)

    executor = opened(many)
    with pytest.raises(ExecutionError) as caught:
        opened(many, fault).perform(step(many), context())
    assert caught.value.diagnostics[0].code == "SF426"
    assert not os.listdir(many / "store" / "drafts")
    check(many, executor)


def test_folder_made_meanwhile(many: Path) -> None:
    """A folder of objects that somebody else makes at the last moment keeps what is in it, and gets the rest."""
    last = max(entries(many / "source"), key=lambda each: each.sha256)

    def others(what: str) -> None:
        there = many / "store" / "objects" / last.sha256[:2]
        if what.startswith("move ") and what.split("/")[-2] == "objects" and not there.exists():
            there.mkdir()
            (there / last.sha256).write_bytes((many / "source" / last.path).read_bytes())
            (there / last.sha256).chmod(0o444)

    opened(many, others).perform(step(many), context())
    check(many, opened(many))


def test_cancelled_while_copying(many: Path) -> None:
    """A stop that is asked for while many files are copied is followed."""
    token = CancelToken()

    def wrote(what: str) -> None:
        if what == "copy some":
            token.cancel()

    with pytest.raises(Cancelled):
        opened(many, wrote).perform(step(many), StepContext(context().key, cancel=token))
    assert not os.listdir(many / "store" / "drafts")
    check(many, opened(many))


def test_killed_while_copying(many: Path, drive: Callable[..., str]) -> None:
    """Killed while its helpers copy, the next one finds nothing half visible, and publishes all of it."""
    assert drive("kill_many", many) == "1 checked\n"
    check(many, opened(many))


@pytest.mark.parametrize("copied", [False, True])
def test_helper_dies(many: Path, copied: bool) -> None:
    """What a helper took and did not answer is read, and copied, all the same."""
    files = entries(many / "source")
    copies = many / "copies"
    copies.mkdir()
    with Hashing(str(many / "source")) as hashing:
        names = [each.path for each in files]
        hashing.add(names, 0, [str(copies / str(at)) for at in range(len(names))] if copied else ())
        for helper in hashing._helpers or ():
            helper.kill()
        answers = hashing.finish()
    assert list(answers.read) == [each.size for each in files]
    assert answers.digests == [each.sha256 for each in files]
    assert not answers.errors
    for at, each in enumerate(files if copied else ()):
        assert hashlib.sha256((copies / str(at)).read_bytes()).hexdigest() == each.sha256
