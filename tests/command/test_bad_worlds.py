"""Boot files that misbehave, signals, sources that change: one clear error, a true state, and the next apply goes on.
The real command.
"""

from __future__ import annotations

import json
import signal
import time

from aftermath import alive, published_data_are_whole
from transcript import Transcript
from workshop import BOOT, TRAIN, png, until

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
    assert not alive("sleep 611")
    assert not alive(str(shop.root))
    assert published_data_are_whole(shop)
    assert set(shop.pending()) == {f"training.{name}" for name in BOOTS if name != "vandal"}
    for name in BOOTS:
        shop.write(f"code/{name}/train.py", GOOD)
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    assert {shop.current(f"training.{name}") for name in BOOTS if name != "vandal"} == {"V0001"}
    assert published_data_are_whole(shop)


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
    assert not alive(str(waiting.root))
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
    assert not alive(str(waiting.root))
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
    assert published_data_are_whole(waiting)
