"""Scans through the executor, what is remembered of them, and when files are read again."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from specforge.core.queries import Presence, ScanTree, Seen
from specforge.core.values import PROJECT, Place, Select, Tree
from specforge.executors.storage.scans import YOUNG, Scan, Scans, compare
from specforge.formats.folder import entries
from specforge.formats.tree import Entry, digest
from specforge.testing.storage import Store

PICTURES = Select((".png",), executable=False)
LATER = 10 * YOUNG
_opened: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")


sys.addaudithook(_hook)


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """Give the list of files that are opened meanwhile."""
    global _opened
    _opened = opened_now = []
    try:
        yield opened_now
    finally:
        _opened = None


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures in two class folders, and an empty one."""
    root = tmp_path / "data"
    for name in ("0/a.png", "0/b.png", "1/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (root / "2").mkdir()
    return root


def scan(root: Path, later: int = LATER) -> tuple[Scan, list[str]]:
    """Scan when the files have become old; return the scan and the names of the pictures that were read."""
    with files_opened() as read:
        made = Scans(root.parent / "cache", lambda: time.time_ns() + later).scan(root, PICTURES)
    return made, sorted(Path(each).name for each in read if each.endswith(".png"))


def ask(store: Store, root: Path, path: str = "data", select: Select = PICTURES, since: Tree | None = None) -> Seen:
    """Ask the executor to scan a folder of the project."""
    query = ScanTree(PROJECT, path, select, since)
    return store.one.observe(PROJECT, [query], None)[query]


def test_facts(pictures: Path, store: Store) -> None:
    """A scan gives the tree's digest, and numbers per folder."""
    (pictures / "loose.png").write_bytes(b"loose")
    (pictures / "notes.txt").write_bytes(b"not a picture")
    seen = ask(store, pictures)
    assert seen.presence is Presence.PRESENT
    assert seen.digest == digest(entries(pictures, (".png",), executable=False))
    assert {**seen.facts} == {
        "files": 4,
        "bytes": 26,
        "folders": {"0": 2, "1": 1, "2": 0, ".": 1},
        "problems": (),
    }


def test_problems(pictures: Path, store: Store) -> None:
    """What cannot be read is among the facts, with its path."""
    (pictures / "0/link.png").symlink_to("/etc/hostname")
    (each,) = ask(store, pictures).facts["problems"]
    assert each == {"path": "0/link.png", "problem": "is a link that leads outside the folder"}


def test_not_there(pictures: Path, store: Store) -> None:
    """No folder is absent, a folder that cannot be asked about is unreachable; a file is a tree of itself."""
    assert ask(store, pictures, "none").presence is Presence.ABSENT
    (pictures / "loop").symlink_to("loop")
    assert ask(store, pictures, "data/loop").presence is Presence.UNREACHABLE
    seen = ask(store, pictures, "data/0/a.png")
    assert (seen.presence, seen.facts["files"]) == (Presence.PRESENT, 1)


def test_absolute_source(pictures: Path, store: Store) -> None:
    """A source may lie outside the project."""
    assert ask(store, pictures, str(pictures)) == ask(store, pictures)


def test_unchanged_is_not_read(pictures: Path) -> None:
    """A folder that looks as before is not read again; its entries are known all the same."""
    first, read = scan(pictures)
    assert read == ["a.png", "b.png", "c.png"]
    again, read = scan(pictures)
    assert read == []
    assert (again.digest, again.facts) == (first.digest, first.facts)
    with files_opened() as read:
        assert again.entries() == first.entries() == entries(pictures, (".png",), executable=False)
    assert not [each for each in read if each.endswith(".png")][3:]


def test_touched(pictures: Path) -> None:
    """A touched file is read again, and is the same."""
    first, _ = scan(pictures)
    os.utime(pictures / "0/a.png", ns=(1, 1))
    again, read = scan(pictures)
    assert read == ["a.png"]
    assert again.digest == first.digest


def test_same_size_and_times(pictures: Path) -> None:
    """A file overwritten with the same size, its times put back, is found: its ctime tells."""
    first, _ = scan(pictures)
    file = pictures / "0/a.png"
    before = file.stat()
    with file.open("r+b") as out:
        out.write(b"X")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    again, read = scan(pictures)
    assert read == ["a.png"]
    assert again.digest != first.digest


def test_replaced_by_an_older_file(pictures: Path, tmp_path: Path) -> None:
    """A file moved over another of the same size and mtime is found: its inode tells."""
    other = tmp_path / "other.png"
    other.write_bytes(b"0/A.png")
    before = (pictures / "0/a.png").stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    first, _ = scan(pictures)
    other.rename(pictures / "0/a.png")
    again, read = scan(pictures)
    assert read == ["a.png"]
    assert again.digest != first.digest


def test_young_files(pictures: Path) -> None:
    """Files as young as the scan are read again: they may have changed in the same tick of the clock."""
    scan(pictures, later=0)
    _, read = scan(pictures, later=0)
    assert read == ["a.png", "b.png", "c.png"]
    _, read = scan(pictures)
    assert read == ["a.png", "b.png", "c.png"]
    _, read = scan(pictures)
    assert read == []


def test_added_and_removed(pictures: Path) -> None:
    """Only what is new is read; what is gone is gone."""
    scan(pictures)
    (pictures / "1/c.png").unlink()
    (pictures / "1/d.png").write_bytes(b"d")
    again, read = scan(pictures)
    assert read == ["d.png"]
    assert again.entries() == entries(pictures, (".png",), executable=False)


def test_selections_are_apart(pictures: Path) -> None:
    """Two selections of one folder do not know each other's answers."""
    scans = Scans(pictures.parent / "cache", lambda: time.time_ns() + LATER)
    (pictures / "0/a.png").chmod(0o755)
    selections = [Select(), Select(executable=False), PICTURES, Select((".jpg",))]
    for _ in range(2):
        for each in selections:
            wanted = entries(pictures, each.suffixes, each.executable)
            assert scans.scan(pictures, each).entries() == wanted


@pytest.mark.parametrize("content", ["", "{", "[]\n", '{"format": 99}\n', "\0\0\0", '{"format": 1, "print": "x"}\n'])
def test_damaged_memory(pictures: Path, content: str) -> None:
    """A damaged cache is as none."""
    first, _ = scan(pictures)
    for each in (pictures.parent / "cache/scans").iterdir():
        each.write_text(content, encoding="utf-8")
    again, read = scan(pictures)
    assert len(read) == 3
    assert again.digest == first.digest


def test_cut_memory(pictures: Path) -> None:
    """A cache whose rows are cut off is read from the files again where rows are needed."""
    first, _ = scan(pictures)
    for each in (pictures.parent / "cache/scans").iterdir():
        each.write_bytes(each.read_bytes()[:-40])
    os.utime(pictures / "0/a.png", ns=(1, 1))
    again, read = scan(pictures)
    assert len(read) == 3
    assert again.digest == first.digest


def test_no_memory(pictures: Path) -> None:
    """Without a cache that can be written, everything is read each time."""
    (pictures.parent / "cache").write_bytes(b"a file where the folder should be")
    assert scan(pictures)[0].digest == scan(pictures)[0].digest
    assert len(scan(pictures)[1]) == 3


def test_unreadable_is_not_remembered(pictures: Path) -> None:
    """A scan with files that could not be read is not trusted later."""
    (pictures / "0/gone.png").symlink_to("nowhere.png")
    first, _ = scan(pictures)
    assert len(first.facts["problems"]) == 1
    (pictures / "0/nowhere.png").write_bytes(b"here")
    again, _ = scan(pictures)
    assert again.facts["files"] == 5
    assert not again.facts["problems"]


def test_since(pictures: Path, store: Store) -> None:
    """Against a published tree the scan says what was added, removed and changed; the manifest is not compared."""
    before = {"0/a.png": b"0/a.png", "0/b.png": b"other", "0/gone.png": b"", "V001.manifest": b"{}"}
    tree = Tree(store.place, None, store.publish(before)["digest"])
    for _ in range(2):
        seen = ask(store, pictures, since=tree)
        assert {key: value for key, value in seen.facts.items() if key.split("_")[0] in COMPARED} == {
            "added": 1,
            "removed": 1,
            "changed": 1,
            "added_paths": ("1/c.png",),
            "removed_paths": ("0/gone.png",),
            "changed_paths": ("0/b.png",),
        }
    (pictures / "0/b.png").write_bytes(b"other")
    assert ask(store, pictures, since=tree).facts["changed"] == 0


COMPARED = {"added", "removed", "changed"}


def test_since_is_gone(pictures: Path, store: Store) -> None:
    """When the published tree cannot be read the scan is answered all the same, and says so."""
    seen = ask(store, pictures, since=Tree(store.place, None, "f" * 64))
    assert seen.presence is Presence.PRESENT
    assert "added" not in seen.facts
    assert "cannot be compared" in str(seen.problem)


def test_since_equal(pictures: Path, store: Store) -> None:
    """Against a tree of the same digest there is nothing to say."""
    seen = ask(store, pictures)
    assert ask(store, pictures, since=Tree(store.place, None, seen.digest)) == seen


def test_compare_paths_are_few() -> None:
    """Of many changes the first twenty paths are given, and all are counted."""
    many = [Entry(f"{number:03d}", False, 0, "") for number in range(50)]
    facts = compare(many, [], executable=True)
    assert facts["added"] == 50
    assert facts["added_paths"] == [f"{number:03d}" for number in range(20)]


def test_scan_of_a_pool_folder(pictures: Path, store: Store) -> None:
    """A tree below any folder place is scanned the same way."""
    query = ScanTree(Place("folder", "data"), "0", PICTURES)
    seen = store.one.observe(query.place, [query], None)[query]
    assert seen.facts["files"] == 2
    assert json.dumps(seen.facts)
