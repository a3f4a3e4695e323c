"""What counts in a folder, what is left out, and what is a problem."""

from __future__ import annotations

import hashlib
import os
import socket
import unicodedata
from pathlib import Path

import pytest

from specforge.formats.folder import UnfitFolderError, entries, locate, read, unreadable, walk
from specforge.formats.hashing import MANY_FILES, hash_file, hash_files
from specforge.formats.tree import Entry


def fill(root: Path, *paths: str, content: bytes = b"x") -> None:
    """Write files with this content."""
    for each in paths:
        path = root / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def paths(root: Path, *suffixes: str) -> list[str]:
    """Return the relative paths that count."""
    found = walk(root, suffixes)
    assert not found.problems
    return sorted(each[0] for each in found.files)


def problems(root: Path) -> dict[str, str]:
    """Return what is wrong with which files."""
    return {each.path: each.problem for each in walk(root).problems}


def test_entries(tmp_path: Path) -> None:
    """A folder's entries have path, executable bit, size and digest, sorted by path; data have no executable bit."""
    fill(tmp_path, "b/two", "a", content=b"two")
    (tmp_path / "a").chmod(0o755)
    sha = hashlib.sha256(b"two").hexdigest()
    assert entries(tmp_path) == (Entry("a", True, 3, sha), Entry("b/two", False, 3, sha))
    assert entries(tmp_path, executable=False)[0] == Entry("a", False, 3, sha)


def test_left_out(tmp_path: Path) -> None:
    """What tools leave behind is never read, at any depth."""
    fill(tmp_path, "keep.py", ".git/HEAD", "a/__pycache__/x.pyc", "a/b.pyc", ".ipynb_checkpoints/n", "a/.DS_Store")
    fill(tmp_path, ".specforge/state.db", "a/.gitignore")
    assert paths(tmp_path) == ["a/.gitignore", "keep.py"]


def test_suffixes(tmp_path: Path) -> None:
    """Only files with one of the suffixes count, in capitals too; a folder without any is empty."""
    fill(tmp_path, "0/a.PNG", "0/a.txt", "1/b.jpeg", "2/notes.txt", "3/deep/c.png", "3/other/n.txt")
    (tmp_path / "4").mkdir()
    found = walk(tmp_path, (".png", ".jpeg"))
    assert sorted(each[0] for each in found.files) == ["0/a.PNG", "1/b.jpeg", "3/deep/c.png"]
    assert found.empty == ["2", "3/other", "4"]


def test_links_inside(tmp_path: Path) -> None:
    """Links to files and folders of the same folder are followed, relative and absolute ones."""
    fill(tmp_path / "root", "real/a.txt")
    (tmp_path / "root/file.txt").symlink_to("real/a.txt")
    (tmp_path / "root/folder").symlink_to(tmp_path / "root/real")
    (tmp_path / "entrance").symlink_to(tmp_path / "root")
    assert paths(tmp_path / "entrance") == ["file.txt", "folder/a.txt", "real/a.txt"]
    assert len(entries(tmp_path / "entrance")) == 3


def test_links_outside(tmp_path: Path) -> None:
    """Links that lead outside are problems, also to a folder whose name only begins alike; nothing there is read."""
    fill(tmp_path, "root/a", "root2/b", "out/c")
    (tmp_path / "root/one").symlink_to(tmp_path / "root2")
    (tmp_path / "root/two").symlink_to("../out/c")
    (tmp_path / "root/three").symlink_to("nowhere")
    said = problems(tmp_path / "root")
    assert sorted(said) == ["one", "three", "two"]
    assert "outside" in said["one"]
    assert "outside" in said["two"]
    assert "no such file" in said["three"]
    with pytest.raises(UnfitFolderError, match="`one` is a link that leads outside"):
        entries(tmp_path / "root")


def test_allowed_links(tmp_path: Path) -> None:
    """Links into a folder that was allowed are followed."""
    fill(tmp_path, "objects/ab/abc", content=b"hello")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a.txt").symlink_to(tmp_path / "objects/ab/abc")
    (each,) = entries(tmp_path / "tree", allowed_links=[tmp_path / "objects"])
    assert (each.path, each.size) == ("a.txt", 5)


def test_link_circles(tmp_path: Path) -> None:
    """Links that lead in a circle are problems, and the walk ends."""
    fill(tmp_path, "a/x", "b/y")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/self").symlink_to("self")
    (tmp_path / "a/other").symlink_to("../b")
    (tmp_path / "b/back").symlink_to("../a")
    found = walk(tmp_path)
    said = {each.path: each.problem for each in found.problems}
    assert "lies in" in said["a/up"]
    assert "cannot be followed" in said["a/self"]
    assert "lies in" in said["a/other/back"]
    assert {each[0] for each in found.files} >= {"a/x", "b/y", "a/other/y", "b/back/x"}


def test_neither_file_nor_folder(tmp_path: Path) -> None:
    """A pipe and a socket are problems, and are not opened."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket may not be long
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        assert set(problems(tmp_path)) == {"pipe", "socket"}


def test_unicode_forms(tmp_path: Path) -> None:
    """Names are taken in form NFC, in whatever form they are on disk, folders too, and are found again."""
    decomposed, composed = unicodedata.normalize("NFD", "é/ü.png"), "é/ü.png"
    fill(tmp_path / "one", decomposed, unicodedata.normalize("NFD", "é") + "/plain.png", "图/猫 🐈.png")
    fill(tmp_path / "two", composed, "é/plain.png", "图/猫 🐈.png")
    assert entries(tmp_path / "one") == entries(tmp_path / "two")
    for path in paths(tmp_path / "one"):
        assert Path(locate(str(tmp_path / "one"), path)).is_file()


def test_unicode_twins(tmp_path: Path) -> None:
    """Two names that are one in form NFC cannot be told apart: a problem."""
    fill(tmp_path, "é", unicodedata.normalize("NFD", "é"))
    assert list(problems(tmp_path)) == ["é"]


def test_names_that_are_not_text(tmp_path: Path) -> None:
    """A name that is not UTF-8 is a problem, shown with its bytes written out."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff.png")).write_bytes(b"")
    assert problems(tmp_path) == {"bad-\\xff.png": "has a name that is not UTF-8"}


def test_long_names(tmp_path: Path) -> None:
    """A name that becomes longer than 255 bytes in form NFC is a problem."""
    name = "\u0958" * 85  # 3 bytes each; NFC takes it apart into 6
    fill(tmp_path, name)
    assert list(problems(tmp_path).values()) == ["has a name of more than 255 bytes"]


def test_unreadable(tmp_path: Path) -> None:
    """A file that cannot be read is a problem of that file; a folder that is not there is an error."""
    fill(tmp_path, "a", "b")
    found, answers = read(tmp_path)
    assert [each[0] for each in found.files] == ["a", "b"]
    assert answers == [hash_file(str(tmp_path / each)) for each in ("a", "b")]
    (tmp_path / "a").unlink()
    (problem,) = [each for each in hash_files([(found.source("a"), 1), (found.source("b"), 1)]) if each != answers[1]]
    assert isinstance(problem, FileNotFoundError)
    assert unreadable("a", problem) == ("a", "cannot be read: no such file or directory")
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "none")
    with pytest.raises(NotADirectoryError):
        walk(tmp_path / "b")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_forbidden(tmp_path: Path) -> None:
    """A folder and a file without rights are problems, the rest is found."""
    fill(tmp_path, "a/x", "b/y", "z")
    (tmp_path / "a").chmod(0)
    (tmp_path / "b/y").chmod(0)
    try:
        with pytest.raises(UnfitFolderError) as caught:
            entries(tmp_path)
        assert {each.path for each in caught.value.problems} == {"a", "b/y"}
    finally:
        (tmp_path / "a").chmod(0o755)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ("*.tmp", "a.txt build/x.txt deep/build/y.txt deep/log/b.txt log/a.txt"),
        ("build/", "a.tmp a.txt deep/c.tmp deep/log/b.txt log/a.txt"),
        ("/build", "a.tmp a.txt deep/build/y.txt deep/c.tmp deep/log/b.txt log/a.txt"),
        ("deep/*.tmp", "a.tmp a.txt build/x.txt deep/build/y.txt deep/log/b.txt log/a.txt"),
        ("**/log/*.txt", "a.tmp a.txt build/x.txt deep/build/y.txt deep/c.tmp"),
        ("deep/**", "a.tmp a.txt build/x.txt log/a.txt"),
        ("*.t?t\n!a.txt", "a.tmp a.txt deep/c.tmp log/a.txt"),
        ("# nothing\n\n[b-z]*/", "a.tmp a.txt"),
        ("[!a]*.*", "a.tmp a.txt log/a.txt"),
        ("\\#a\na.tmp/", "a.tmp a.txt build/x.txt deep/build/y.txt deep/c.tmp deep/log/b.txt log/a.txt"),
    ],
)
def test_specignore(tmp_path: Path, lines: str, kept: str) -> None:
    """A `.specignore` leaves out what its patterns fit; it is itself left out."""
    fill(tmp_path, "a.txt", "a.tmp", "build/x.txt", "deep/build/y.txt", "deep/c.tmp", "deep/log/b.txt", "log/a.txt")
    (tmp_path / ".specignore").write_text(lines + "\n", encoding="utf-8")
    assert paths(tmp_path) == kept.split()


def test_specignore_further_down(tmp_path: Path) -> None:
    """A `.specignore` in a subfolder holds there only; what it names may also be what would be a problem."""
    fill(tmp_path, "a/x.log", "a/keep", "b/x.log")
    (tmp_path / "a/.specignore").write_text("/x.log\nout\n中*\n", encoding="utf-8")
    (tmp_path / "a/out").symlink_to("/")
    fill(tmp_path, "a/中文.txt")
    assert paths(tmp_path) == ["a/keep", "b/x.log"]


def test_hashing_with_helpers(tmp_path: Path) -> None:
    """Many files are hashed by several processes, with the same answers; one that is gone spoils no other."""
    for number in range(MANY_FILES + 100):
        (tmp_path / f"{number}\n'é").write_bytes(b"%d" % number * (number % 7))
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    jobs = [(str(each), each.stat().st_size) for each in sorted(tmp_path.iterdir())]
    jobs[5] = (str(tmp_path / "none"), 3)
    jobs[6] = (jobs[6][0], 9999)  # the size is only a hint
    answers = hash_files(jobs)
    assert isinstance(answers[5], FileNotFoundError)
    for index, (path, _) in enumerate(jobs):
        if index != 5:
            assert answers[index] == hash_file(path)
            assert answers[index] == (Path(path).stat().st_size, hashlib.sha256(Path(path).read_bytes()).hexdigest())
