"""Boot files that misbehave, disks without room or rights, damaged states, signals: one clear error, a true state, and
the next apply goes on. The real command.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from transcript import Transcript
from workshop import BOOT, TRAIN, Workshop, png, until

BEGIN = """\
import os, pathlib, shutil, signal, subprocess, sys, time

options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
out = pathlib.Path(options["train_url"])


def model(content="x"):
    (out / "model").mkdir()
    (out / "model/model.joblib").write_text(content)


"""
BOOTS = {
    "binary": """\
sys.stdout.buffer.write(bytes(range(256)) + b"\\x1b[31mred\\x1b]0;title\\x07\\r\\n10 %\\r90 %\\r100 %\\n")
sys.stdout.buffer.write(b"y" * 300_000)
sys.stdout.buffer.write("\\n手\\n".encode() + b"the last line has no end")
sys.exit(1)
""",
    "crashes": "os.kill(os.getpid(), signal.SIGSEGV)\n",
    "exits": "print('out of ideas')\nsys.exit(3)\n",
    "file": "(out / 'model').write_text('a file')\n",
    "forgets": "print('nothing to do')\n",
    "greedy": "kept = []\nfor number in range(100):\n    kept.append(b'x' * (10 << 20))\n    time.sleep(0.02)\n",
    "killer": "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n",
    "remover": "[os.chmod(each, 0o700) for each, _, _ in os.walk(out.parent)]\nshutil.rmtree(out.parent)\n",
    "vandal": """\
for file in (*pathlib.Path(options["data_url"]).rglob("*"), *pathlib.Path.cwd().rglob("*")):
    if file.is_file():
        file.chmod(0o644)
        file.write_text("spoiled")
subprocess.Popen(["sleep", "611"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(611)
model()
""",
}
"""What a boot file may do; the last of them even ends well."""
GOOD = BEGIN + "model()\n"
DEAF = BOOT.replace("import os,", "import signal, os,", 1).replace(
    'print("begun"', 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint("begun"'
)
TALKS = BEGIN + "line = b'x' * 99 + b'\\n'\nprint('first', flush=True)\nfor _ in range(300):\n"
TALKS += "    sys.stdout.buffer.write(line * 10_000)\nprint('last')\nmodel()\n"


def _training(name: str) -> str:
    text = (
        TRAIN.replace("waits", name)
        .replace("name: digits", f"name: {name}")
        .replace("code: code", f"code: code/{name}")
    )
    return text if name != "greedy" else text + "resources: {memory: 150MiB}\n"


def _alive(marker: str) -> list[str]:
    """Return the command lines of the processes that have this text in them."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if marker in line]


def _published_data_are_whole(shop: Workshop) -> bool:
    """Hash every current version where it lies, as the executor does."""
    script = """if True:
        import sys
        from pathlib import Path
        from specforge.cli.session import Session, Where
        from specforge.core.queries import LookAtArtifact
        session = Session(Where(Path(sys.argv[1])))
        looks = []
        for each in session.state().resources.values():
            if (version := each.current_version) is not None:
                looks.append(LookAtArtifact(each.place, version.identity, version.build, "hashed"))
        seen = session.executors.of(looks[0].store).observe(looks[0].store, looks, None)
        print(*(each.presence.value for each in seen.values()))
        """
    done = subprocess.run(
        [sys.executable, "-c", script, str(shop.root)], capture_output=True, text=True, env=shop.environment
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) == {"present"}


# ---- boot files ----


def test_boot_files_that_misbehave(shop):
    """Each failure has its reason, once; nothing of ours is spoiled, nothing goes on running; repaired, all is made."""
    shop.edit("specs/places.yaml", "{slots: 2}", "{slots: 2, log_limit: 1MiB}")
    (shop.root / "specs/train.yaml").unlink()
    for name, code in BOOTS.items():
        shop.write(f"code/{name}/train.py", BEGIN + code)
        shop.write(f"specs/{name}.yaml", _training(name))
    said = Transcript(shop)
    said.run("apply", "--yes", "--parallelism", "1", code=1, title="boot files that misbehave")
    said.check("boot-files")
    assert (shop.root / "code/vandal/train.py").read_text() == BEGIN + BOOTS["vandal"]
    assert not _alive("sleep 611")
    assert not _alive(str(shop.root))
    assert _published_data_are_whole(shop)
    assert set(shop.pending()) == {f"training.{name}" for name in BOOTS if name != "vandal"}
    for name in BOOTS:
        shop.write(f"code/{name}/train.py", GOOD)
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    assert {shop.current(f"training.{name}") for name in BOOTS if name != "vandal"} == {"V0001"}
    assert _published_data_are_whole(shop)


def test_a_flood_of_output(shop):
    """300 MB of log take bounded time and disk; the beginning and the end are kept."""
    shop.edit("specs/places.yaml", "{slots: 2}", "{slots: 2, log_limit: 4MiB}")
    shop.write("code/train.py", TALKS)
    began = time.monotonic()
    done = shop.spec("apply", "--yes")
    assert time.monotonic() - began < 60
    assert len(done.stderr) < 100_000, "what is shown meanwhile is thinned out"
    used = sum(file.stat().st_size for file in shop.root.rglob("*") if file.is_file())
    assert used < 30 << 20
    log = shop.spec("logs", "training.digits").stdout
    assert log.startswith("first\n")
    assert log.endswith("last\n")
    assert "left out" in log
    assert 2 << 20 < len(log) < 5 << 20
    assert shop.is_clean()


# ---- signals ----


def test_a_boot_file_that_ignores_the_request_to_end(waiting):
    """Ctrl-C twice: it has its grace, is killed, and the next apply begins it anew. Further signals change nothing."""
    waiting.write("code/train.py", DEAF)
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at once are one
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert 8 < time.monotonic() - began < 25
    assert out.count("Cancelling: what runs is asked to end; what has not ended after 10 s is killed.") == 1
    assert "Interrupted in" in out
    assert not _alive(str(waiting.root))
    waiting.go.touch()
    waiting.spec("apply", "--yes")
    assert waiting.is_clean()
    assert len(waiting.marks) == 2


def test_a_request_to_end_cancels_what_runs(waiting):
    """SIGTERM cancels at once what runs, records it and exits 130; nothing is left running."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Interrupted in" in out
    assert not _alive(str(waiting.root))
    assert waiting.pending() == {"training.digits": "create"}
    waiting.go.touch()
    waiting.spec("apply", "--yes")
    assert waiting.is_clean()
    assert len(waiting.marks) == 2


def test_a_terminal_that_goes_away(waiting):
    """SIGHUP ends the apply, not the job: the next plan says that it runs, the next apply attaches to it."""
    process = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    process.send_signal(signal.SIGHUP)
    process.wait(20)
    assert "> attach to run of training.digits (train, running" in waiting.spec("plan").stdout
    waiting.go.touch()
    waiting.spec("apply", "--yes")
    assert len(waiting.marks) == 1
    assert waiting.is_clean()


# ---- sources ----


def test_a_source_that_changes_while_it_is_published(waiting):
    """Nothing of a mixture is published: the error says plan again, and the next apply publishes what is there now."""
    waiting.edit("specs/places.yaml", "slots: 2", "slots: 1")
    waiting.spec("apply", "--yes", "--target", "dataset.digits")
    blocking = waiting.start("apply", "--yes")
    until(lambda: waiting.marks)
    picture = waiting.write("data/digits/0/new.png", png(50))
    publishing = waiting.start("apply", "--yes", "--env", "prod", "--target", "dataset.digits", "--json")
    assert any("waiting for a free slot" in line for line in iter(publishing.stdout.readline, ""))
    picture.write_bytes(png(51))
    waiting.go.touch()
    out, _ = publishing.communicate(timeout=60)
    assert publishing.returncode == 1, out
    ended = next(event for event in map(json.loads, out.splitlines()) if event["event"] == "change_end")
    (problem,) = ended["diagnostics"]
    assert problem["detail"].endswith("the source changed while it was published; plan and apply again")
    assert blocking.wait(60) == 0
    waiting.spec("apply", "--yes", "--env", "prod", "--target", "dataset.digits")
    assert waiting.current("dataset.digits", "--env", "prod") == "V002"
    assert _published_data_are_whole(waiting)


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
    import struct
    import zlib

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
    assert _published_data_are_whole(shop)
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
    large = "try:\n    model('x' * 100_000_000)\nexcept OSError as error:\n    sys.exit(f'alas: {error}')\n"
    shop.write("code/train.py", BEGIN + large)
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
    assert _published_data_are_whole(shop)


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
        assert _published_data_are_whole(shop)


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
    until(lambda: not _alive(str(waiting.root)))
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
    assert _published_data_are_whole(waiting)
