"""`spec fmt` on real files: what is written, what is only told, and what is left alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from workshop import Workshop

UGLY = "name:   artifacts # the only one\nkind: Store\nfolder: .specforge/artifacts"
NICE = "kind: Store\nname: artifacts # the only one\nfolder: .specforge/artifacts\n"


@pytest.fixture(name="tidy")
def _tidy(shop: Workshop) -> Workshop:
    """Return the shop, formatted."""
    shop.spec("fmt")
    return shop


def test_the_project_is_formatted(tidy: Workshop) -> None:
    """Without paths every file of the project is formatted; what changed is listed; a second time nothing is."""
    tidy.write("specs/places.yml", UGLY)
    tidy.write("specforge.yaml", (tidy.root / "specforge.yaml").read_text() + "\n\n")
    tidy.write("other/not-ours.yaml", UGLY)
    done = tidy.spec("fmt")
    assert done.stdout == "specforge.yaml\nspecs/places.yml\n"
    assert (tidy.root / "specs/places.yml").read_text() == NICE
    assert (tidy.root / "other/not-ours.yaml").read_text() == UGLY
    assert tidy.spec("fmt").stdout == ""


def test_check_writes_nothing(tidy: Workshop) -> None:
    """`--check` exits 1 and lists the files; nothing is written, and a formatted project exits 0."""
    assert tidy.spec("fmt", "--check").stdout == ""
    file = tidy.write("specs/more.yaml", UGLY)
    done = tidy.spec("fmt", "--check", code=1)
    assert (done.stdout, done.stderr) == ("specs/more.yaml\n", "")
    shown = tidy.spec("fmt", "--check", "--diff", code=1).stdout
    assert shown.startswith("--- specs/more.yaml\n+++ specs/more.yaml\n")
    assert "-name:   artifacts # the only one\n" in shown
    assert json.loads(tidy.spec("fmt", "--check", "--json", code=1).stdout)["changed"] == ["specs/more.yaml"]
    assert file.read_text() == UGLY


def test_paths(tidy: Workshop) -> None:
    """Files and folders can be given, also outside of a project; a path that is not there is an error."""
    tidy.write("other/a.yaml", UGLY)
    tidy.write("other/deep/b.yml", UGLY)
    tidy.write("other/deep/c.txt", UGLY)
    assert tidy.spec("fmt", "other", "other/a.yaml").stdout == "other/a.yaml\nother/deep/b.yml\n"
    done = tidy.spec("fmt", "other", "nowhere", code=1)
    assert "`nowhere` is not there" in done.stderr


def test_a_filter(tidy: Workshop) -> None:
    """`-` reads standard input and writes standard output, for editors."""

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "specforge", "fmt", "-", *words]
        done = subprocess.run(command, cwd=tidy.root, input=UGLY, stdout=subprocess.PIPE, text=True)
        return done.returncode, done.stdout

    assert run() == (0, NICE)
    assert run("--check") == (1, "")
    assert run("--diff")[1].startswith("--- -\n+++ -\n")


def test_broken_files_do_not_stop_the_others(tidy: Workshop) -> None:
    """Broken YAML gives the usual diagnostics, exit 1, and stays; the other files are formatted."""
    broken = tidy.write("specs/a.yaml", "kind: [Store\nname: x\n")
    file = tidy.write("specs/b.yaml", UGLY)
    done = tidy.spec("fmt", code=1)
    assert "error[SF103]: Invalid YAML" in done.stderr
    assert "specs/a.yaml:2:5" in done.stderr
    assert done.stdout == "specs/b.yaml\n"
    assert broken.read_text() == "kind: [Store\nname: x\n"
    assert file.read_text() == NICE
    assert json.loads(tidy.spec("fmt", "--json", code=1).stdout)["diagnostics"][0]["code"] == "SF103"


def test_mode_mark_links_and_line_ends_stay(tidy: Workshop) -> None:
    """The file's mode, byte order mark and line ends stay; a link goes on leading to the file."""
    windows = b"\xef\xbb\xbf" + UGLY.replace("\n", "\r\n").encode()
    file = tidy.write("elsewhere.yaml", windows)
    file.chmod(0o640)
    link = tidy.root / "specs" / "link.yaml"
    link.symlink_to(file)
    assert tidy.spec("fmt").stdout == "specs/link.yaml\n"
    assert file.read_bytes() == b"\xef\xbb\xbf" + NICE.replace("\n", "\r\n").encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert tidy.spec("fmt").stdout == ""


def test_an_unchanged_file_is_not_touched(tidy: Workshop) -> None:
    """What is formatted already keeps its time and its number on the disk."""
    file = tidy.root / "specs" / "places.yaml"
    before = file.stat()
    tidy.spec("fmt")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_full_disk(tidy: Workshop) -> None:
    """A file that cannot be written is an error that says so; it is as it was, and nothing is left beside it."""
    file = tidy.write("specs/more.yaml", UGLY)
    before = sorted(file.parent.iterdir())
    command = f"ulimit -f 0; exec {sys.executable} -m specforge fmt"
    done = subprocess.run(["bash", "-c", command], cwd=tidy.root, env=tidy.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error[SF158]: Not written" in done.stderr
    assert sorted(file.parent.iterdir()) == before
    assert file.read_text() == UGLY
