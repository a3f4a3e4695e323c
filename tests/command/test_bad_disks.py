"""Disks without room or rights, stores and states that are damaged or something else: one clear error, a true state,
and the next apply goes on. The real command.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aftermath import alive, published_data_are_whole
from transcript import Transcript
from workshop import Workshop, png, until

LARGE = """\
import pathlib, sys

model = pathlib.Path(dict(each[2:].split("=", 1) for each in sys.argv[1:])["train_url"]) / "model"
model.mkdir()
try:
    (model / "model.joblib").write_text("x" * 100_000_000)
except OSError as error:
    sys.exit(f"alas: {error}")
"""


# ---- disks ----


class Disk:
    """A small disk that can be full or read-only."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._mount("size=" + size)

    def _mount(self, options: str, *more: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", options, *more, "tmpfs", str(self.folder)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    """Mounts small disks; skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount disks")
    made: list[Disk] = []

    def mount(size: str) -> Disk:
        made.append(Disk(tmp_path / f"disk{len(made)}", size))
        return made[-1]

    yield mount
    for each in made:
        each.unmount()


def _noise(shop: Workshop, pictures: int) -> None:
    """Add pictures that cannot be made smaller, of about 100 kB each."""
    for number in range(pictures):
        body = png(number)
        shop.write(f"data/digits/1/noise{number}.png", body[:-12] + _chunk(b"teXt", os.urandom(100_000)) + body[-12:])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_full_disk_of_the_store(shop, disk):
    """Nothing half is published; with room made, the next apply publishes without doing the work again."""
    full = disk("1m")
    _noise(shop, 20)
    shop.edit("specforge.yaml", ".specforge/artifacts", "../disk0/store")
    said = Transcript(shop)
    said.run("apply", "--yes", "--parallelism", "1", code=1, title="no room in the store")
    assert set(shop.pending()) == {"dataset.digits", "training.digits"}
    full.remount("size=20m")
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    assert published_data_are_whole(shop)
    full.remount("ro")
    shop.edit("specs/train.yaml", "C: 10.0", "C: 3.0")
    assert shop.spec("plan", "--detailed-exitcode", code=2)
    said.run("apply", "--yes", code=1, title="a store that is read-only")
    full.remount("rw")
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    said.check("store-disk")


def test_a_full_disk_of_the_pool(shop, disk):
    """Too little room is said before anything runs; room that runs out, by the job; neither is a bug."""
    full = disk("2m")
    shop.edit("specs/places.yaml", "{slots: 2}", "{slots: 2, folder: ../disk0/pool}")
    shop.write("code/train.py", LARGE)
    said = Transcript(shop)
    said.run("apply", "--yes", code=1, title="hardly any room in the pool")
    full.remount("size=80m")
    done = shop.spec("apply", "--yes", code=1)
    assert "(the disk of the pool is full)" in done.stdout
    assert "alas: [Errno 28]" in done.stdout, "the job's last words have found their place"
    assert set(shop.pending()) == {"training.digits"}
    full.remount("ro")
    said.run("apply", "--yes", code=1, title="a pool that is read-only")
    full.remount("rw,size=400m")
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    said.check("pool-disk")


def test_a_full_disk_of_the_state(shop, disk):
    """What cannot be recorded is not begun; the plan works from a disk that is full or read-only."""
    full = disk("16k")
    shop.edit("specforge.yaml", "name: shop\n", "name: shop\nstate: ../disk0/state.db\n")
    said = Transcript(shop)
    said.run("apply", "--yes", code=1, title="no room for a state")
    full.remount("size=100k")
    done = shop.spec("apply", "--yes", code=1)
    assert (done.stdout + done.stderr).count("SF304") == 1, "one cause is told once"
    assert "there is no space left" in done.stdout + done.stderr
    assert not (shop.root / ".specforge/artifacts/versions").exists()
    full.remount("ro")
    shop.spec("plan")
    done = shop.spec("apply", "--yes", code=1)
    said.add("a state that is read-only", "", done.stderr, 1)
    full.remount("rw,size=20m")
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    said.check("state-disk")


def test_a_limit_on_the_size_of_files(shop):
    """`ulimit -f` meets a large picture: said, nothing published; without the limit the apply goes on."""
    body = png(1)
    shop.write("data/digits/1/large.png", body[:-12] + _chunk(b"teXt", os.urandom(4 << 20)) + body[-12:])
    done = subprocess.run(
        [sys.executable, "-m", "specforge", "apply", "--yes"],
        cwd=shop.root,
        env=shop.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20)),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "SF426" in done.stdout
    assert "the limit on the size of files was met" in done.stdout
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    assert published_data_are_whole(shop)


def test_folders_without_rights(shop):
    """Store, pool and state in folders that may not be written; with the rights back, the apply goes on."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    shop.spec("apply", "--yes", "--target", "dataset.digits")
    for name, code in ((".specforge/artifacts", "SF425"), (".specforge/pools/here", "SF449"), (".specforge", "SF304")):
        folder = shop.root / name
        folder.chmod(0o555)
        done = shop.spec("apply", "--yes", code=1)
        folder.chmod(0o755)
        assert code in done.stdout + done.stderr
    shop.spec("apply", "--yes")
    assert shop.is_clean()


def test_stores_that_are_something_else(shop):
    """A file where the store should be, and a store of another release: said; nothing is touched."""
    said = Transcript(shop)
    store = shop.write(".specforge/artifacts", "hello")
    said.run("apply", "--yes", code=1, title="a file in place of a store")
    store.unlink()
    shop.spec("apply", "--yes", "--target", "dataset.digits")
    form = store / "format"
    good = form.read_text()
    for title, content in (("of another release", '{"format": 2}'), ("damaged", "?")):
        form.write_text(content)
        said.run("plan", code=1, title=f"a store {title}: spec plan")
        said.run("apply", "--yes", code=1, title=f"a store {title}: spec apply")
    form.write_text(good)
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    said.check("stores")


def test_a_store_that_lost_its_data(shop):
    """What is gone is found by one plan and made again by one apply, under the same versions, with what follows."""
    shop.spec("apply", "--yes")
    store = shop.root / ".specforge/artifacts"
    for lost in (store / "objects", store):
        shutil.rmtree(lost)
        plan = shop.plan()
        assert {each["address"] for each in plan["drift"]} >= {"dataset.digits", "training.digits"}
        shop.spec("apply", "--yes")
        assert shop.is_clean()
        assert shop.current("training.digits") == "V0001"
        assert published_data_are_whole(shop)


def test_a_pool_that_is_larger_than_the_machine(shop):
    """A warning before anything is done, in text and as an event; the work goes on."""
    shop.edit("specs/places.yaml", "{slots: 2}", "{slots: 2, cpu: 10000}")
    done = shop.spec("apply", "--yes", "--target", "pool.here")
    assert done.stderr.count("warning[SF445]: The pool is larger than the machine") == 1
    shop.edit("specs/places.yaml", "cpu: 10000", "cpu: 20000")
    first = json.loads(shop.spec("apply", "--yes", "--target", "pool.here", "--json").stdout.splitlines()[0])
    assert (first["event"], [each["code"] for each in first["diagnostics"]]) == ("start", ["SF445"])


def test_a_cache_that_cannot_be_made(shop):
    """Said before anything runs; the plan does without."""
    done = shop.spec("apply", "--yes", code=1, SPECFORGE_CACHE="/dev/null/cache")
    assert "SF449" in done.stderr
    assert "/dev/null" in done.stderr
    shop.spec("plan", SPECFORGE_CACHE="/dev/null/cache")


# ---- states ----


def test_states_that_cannot_be_used(shop):
    """From the future, of another project, cut off, overwritten, empty, a folder: said by every command alike."""
    shop.spec("apply", "--yes")
    file = shop.root / ".specforge/state.db"
    good = file.read_bytes()
    said = Transcript(shop)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
        connection.commit()
    for words in (("plan",), ("apply", "--yes"), ("state", "list"), ("destroy", "--yes")):
        said.run(*words, code=1, title=f"from the future: spec {words[0]}")
    file.write_bytes(good)
    shop.edit("specforge.yaml", "name: shop", "name: shap")
    said.run("apply", "--yes", code=1, title="of another project")
    shop.edit("specforge.yaml", "name: shap", "name: shop")
    for title, content in (
        ("cut off", good[:5000]),
        ("hardly begun", good[:100]),
        ("empty", b""),
        ("something else", b"hello hello hello hello\n" * 2000),
        ("overwritten in the middle", good[:8192] + b"\xaa" * 4096 + good[12288:]),
    ):
        file.write_bytes(content)
        said.run("plan", code=1, title=title)
        assert file.read_bytes() == content
    file.unlink()
    file.mkdir()
    said.run("plan", code=1, title="a folder")
    file.rmdir()
    said.check("states")
    # As the hint says: away with it, and everything published is found again.
    done = shop.spec("apply", "--yes")
    assert "2 reused" in done.stdout
    assert shop.is_clean()


def test_a_journal_that_is_cut_off(waiting):
    """Killed with a write-ahead log on disk, which loses its end, its middle or all of it: never an error, no loss of
    what is published; the apply converges.
    """
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    waiting.kill(process)
    waiting.go.touch()
    folder, log = waiting.root / ".specforge", waiting.root / ".specforge/state.db-wal"
    whole = log.read_bytes()
    kept = {file: file.read_bytes() for file in folder.glob("state.db*")}
    until(lambda: not alive(str(waiting.root)))
    for damaged in (whole[:-10], whole[: len(whole) // 2], whole[:4000] + os.urandom(500) + whole[4500:], b"", None):
        for file, content in kept.items():
            file.write_bytes(content)
        (folder / "state.db-shm").unlink(missing_ok=True)
        log.unlink() if damaged is None else log.write_bytes(damaged)
        waiting.spec("state", "list")
        waiting.spec("plan")
    waiting.spec("apply", "--yes")
    assert waiting.is_clean()
    assert waiting.current("training.digits") == "V0001"
    assert published_data_are_whole(waiting)
