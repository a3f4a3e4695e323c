"""Copy: a tree's files into a folder of a place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from folder_store import PLACE, opened

from specforge.core.errors import Cancelled
from specforge.core.queries import ScanTree
from specforge.core.steps import Copy
from specforge.core.values import PROJECT, Frozen, Place, Select, Tree
from specforge.executors.base import CancelToken
from specforge.formats.folder import entries
from specforge.formats.tree import digest
from specforge.testing.storage import Store, context, failed

TARGET = Place("folder", "elsewhere")
CODE = {"train.py": b"print(1)\n", "lib/deep/a.py": b"a", "data.bin": b"\0" * 3_000_000}


@pytest.fixture
def source(tmp_path: Path) -> Tree:
    """A folder of the project with an executable and a name in another Unicode form."""
    for path, content in CODE.items():
        file = tmp_path / "code" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "code/run.sh").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "code/run.sh").chmod(0o755)
    (tmp_path / "code/e\u0301.txt").write_bytes(b"decomposed")
    return Tree(PROJECT, "code", digest(entries(tmp_path / "code")))


def files(root: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_symlink() or each.is_file())


def test_copy(tmp_path: Path, store: Store, source: Tree) -> None:
    """The folder's files arrive with their executable bit; the output is the tree at the target."""
    outputs = store.perform(Copy(source, TARGET, "jobs/code"))
    target = tmp_path / "elsewhere/jobs/code"
    assert outputs == Frozen(tree=Tree(TARGET, "jobs/code", source.digest))
    assert digest(entries(target)) == source.digest
    assert os.access(target / "run.sh", os.X_OK)


def test_copy_again(tmp_path: Path, store: Store, source: Tree) -> None:
    """What is right already is left as it is; what is not is put right; a draft of a killed copy goes."""
    store.perform(Copy(source, TARGET, "code"))
    target = tmp_path / "elsewhere/code"
    kept = (target / "data.bin").stat()
    (target / "train.py").write_bytes(b"print(2)\n")
    (target / "run.sh").chmod(0o644)
    (target / "lib/deep/a.py").unlink()
    (target / ".spec-copy-0123").write_bytes(b"half")
    store.perform(Copy(source, TARGET, "code"))
    assert digest(entries(target)) == source.digest
    assert (target / "data.bin").stat().st_ino == kept.st_ino
    assert not (target / ".spec-copy-0123").exists()


def test_mirror_and_add(tmp_path: Path, store: Store, source: Tree) -> None:
    """MIRROR removes other files, except what is never read of a folder; ADD leaves them alone."""
    target = tmp_path / "elsewhere/code"
    for each in ("old/x", "y", ".git/HEAD", "lib/old"):
        (target / each).parent.mkdir(parents=True, exist_ok=True)
        (target / each).write_bytes(b"old")
    (target / "link").symlink_to("/etc")
    (target / "lib/inner").symlink_to("deep")
    store.perform(Copy(source, TARGET, "code", mode="ADD"))
    assert {"old/x", "y", "link", ".git/HEAD", "train.py"} <= set(files(target))
    store.perform(Copy(source, TARGET, "code"))
    assert set(files(target)) == {*files(tmp_path / "code"), "\u00e9.txt", ".git/HEAD"} - {"e\u0301.txt"}
    assert not (target / "old").exists()
    assert Path("/etc").is_dir()


def test_in_the_way(tmp_path: Path, store: Store, source: Tree) -> None:
    """A folder where a file belongs, a file or a link where a folder belongs, make way; the link's target stays."""
    target = tmp_path / "elsewhere/code"
    (target / "train.py/sub").mkdir(parents=True)
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/deep/a.py").write_bytes(b"mine")
    (target / "lib").symlink_to(tmp_path / "mine")
    (target / "data.bin").symlink_to(tmp_path / "mine/deep/a.py")
    store.perform(Copy(source, TARGET, "code"))
    assert digest(entries(target)) == source.digest
    assert (tmp_path / "mine/deep/a.py").read_bytes() == b"mine"


def test_select(tmp_path: Path, store: Store, source: Tree) -> None:
    """Only selected files are copied, checked against the digest of the selection."""
    wanted = digest(entries(tmp_path / "code", (".py",), executable=False))
    step = Copy(Tree(PROJECT, "code", wanted), TARGET, "code", Select((".py",), executable=False))
    assert store.perform(step)["tree"].digest == wanted
    assert files(tmp_path / "elsewhere/code") == ["lib/deep/a.py", "train.py"]


def test_published_tree(tmp_path: Path, store: Store) -> None:
    """A published tree can be copied out of its store."""
    outputs = store.publish({"a/b.txt": b"hello", "c": b""})
    store.perform(Copy(Tree(PLACE, None, outputs["digest"]), TARGET, "out"))
    assert files(tmp_path / "elsewhere/out") == ["a/b.txt", "c"]


def test_into_a_store(tmp_path: Path, store: Store, source: Tree) -> None:
    """A copy into a folder of a store is fine, into the store's own folders it is refused."""
    store.perform(Copy(source, PLACE, "mirrors/code"))
    assert (tmp_path / "store/mirrors/code/train.py").exists()
    for path in ("objects", "identities/x", "format", ".", "", "..", "../other", "/absolute"):
        assert failed(store, Copy(source, PLACE, path)).diagnostics[0].code == "SF420"


def test_into_the_project(store: Store, source: Tree) -> None:
    """Nothing is written into the project's own folder."""
    assert failed(store, Copy(source, PROJECT, "copy")).diagnostics[0].code == "SF420"
    assert failed(store, Copy(source, Place("folder", "x/.."), "copy")).diagnostics[0].code == "SF420"


def test_changed_source(tmp_path: Path, store: Store, source: Tree) -> None:
    """A source that changed since the plan is refused, with the hint to plan again."""
    (tmp_path / "code/train.py").write_bytes(b"print(3)\n")
    (each,) = failed(store, Copy(source, TARGET, "code")).diagnostics
    assert (each.code, "spec plan" in str(each.hint)) == ("SF423", True)
    assert not (tmp_path / "elsewhere/code").exists()


def test_missing_source(store: Store) -> None:
    """A source that is gone changed too."""
    assert failed(store, Copy(Tree(PROJECT, "none", "0" * 64), TARGET, "x")).diagnostics[0].code == "SF423"


def test_unfit_source(tmp_path: Path, store: Store, source: Tree) -> None:
    """A source with links that lead outside is refused, with the names."""
    (tmp_path / "code/outside").symlink_to("/etc/hostname")
    (each,) = failed(store, Copy(source, TARGET, "code")).diagnostics
    assert each.code == "SF427"
    assert "outside" in each.detail


def test_changed_while_copying(tmp_path: Path, source: Tree) -> None:
    """A file that changes during the copy is found by its digest; what was copied of it does not stay."""

    def spoil(what: str) -> None:
        if what.startswith("move") and what.endswith("data.bin"):
            (tmp_path / "code/train.py").write_bytes(b"other")

    store = opened(tmp_path, after_write=spoil)
    assert failed(store, Copy(source, TARGET, "code")).diagnostics[0].code == "SF423"
    assert not (tmp_path / "elsewhere/code/train.py").exists()
    assert not list((tmp_path / "elsewhere/code").glob(".spec-copy-*"))


def test_cancelled(tmp_path: Path, store: Store, source: Tree) -> None:
    """A copy that is told to stop raises Cancelled."""
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        store.one.perform(Copy(source, TARGET, "code"), context(cancel=token))


def test_a_file_is_a_tree_of_itself(tmp_path: Path, store: Store, source: Tree) -> None:
    """A path that is a file is copied as a folder with this one file: its neighbours stay where they are."""
    looked = ScanTree(PROJECT, "code/run.sh")
    seen = store.one.observe(PROJECT, [looked], None)[looked]
    store.perform(Copy(Tree(PROJECT, "code/run.sh", seen.digest), TARGET, "one"))
    assert files(tmp_path / "elsewhere/one") == ["run.sh"]
    assert digest(entries(tmp_path / "elsewhere/one")) == seen.digest
