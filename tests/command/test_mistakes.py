"""What a user gets wrong in files and on the command line: one clear error for each, and no more. The real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transcript import Transcript
from workshop import DATA, TRAIN, Workshop, png

NOT_YAML = {
    "binary.yaml": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)),
    "utf16.yaml": "kind: Dataset\n".encode("utf-16"),
    "tab.yaml": b"kind: Dataset\n\tname: x\n",
    "empty.yaml": b"",
    "unquoted.yaml": b"{kind: Dataset, name: x, source: ${var.mark}}\n",
    "open.yaml": b"kind: Dataset\nsplit: {train: 0.5\nname: x\n",
    "twice.yaml": b"kind: Dataset\nname: x\nname: y\n",
    "tag.yaml": b"kind: Dataset\nname: !!python/name:os.system x\n",
    "list.yaml": b"- kind: Dataset\n- name: x\n",
    "deep.yaml": b"kind: Dataset\nname: x\nsource: " + b"[" * 100_000 + b"]" * 100_000,
    "bomb.yaml": b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 30)),
}
DOCUMENTS = """\
{kind: Datset, name: a, source: data/digits}
---
{kind: Dataset, name: misspelt, task: image_classification, sorce: data/digits}
---
{kind: Dataset, name: typed, task: image_classification, source: 7, split: {train: 0.5, seed: seven}}
---
{kind: Dataset, name: nothing, task: object_detection}
---
{kind: Dataset, name: twice, task: image_classification, source: data/digits}
---
{kind: Dataset, name: twice, task: image_classification, source: data/digits}
---
{kind: Dataset, name: "a b", task: image_classification, source: data/digits}
---
{kind: Dataset, name: "🎉", task: image_classification, source: "${var.nowhere}", pool: elsewhere}
---
{kind: TrainingJob, name: dangling, algorithm: wait, inputs: {data: digit, more: digits@}}
---
{kind: TrainingJob, name: without, algorithm: waits, inputs: {}, evaluate: {data: digits, accept: {accuracy: {}}}}
"""
LINK_FARM = ("broken", "outside", "pipe", "loop")


def test_files_that_are_no_yaml(shop):
    """Every file has its own error, all at once, in bounded time; the next run after repair is well."""
    for name, content in NOT_YAML.items():
        shop.write(f"specs/{name}", content)
    os.mkfifo(shop.root / "specs/pipe.yaml")
    (shop.root / "specs/zero.yaml").symlink_to("/dev/zero")
    (shop.root / "specs/broken.yaml").symlink_to("nowhere.yaml")
    said = Transcript(shop)
    began = time.monotonic()
    said.run("validate", code=1, title="files that are no YAML")
    assert time.monotonic() - began < 20
    said.check("yaml")
    for name in (*NOT_YAML, "pipe.yaml", "zero.yaml", "broken.yaml"):
        (shop.root / "specs" / name).unlink()
    shop.spec("validate")


def test_documents_that_mean_nothing(shop):
    """Unknown kind and field, wrong type, duplicates, dangling references, bad pins: each at its place, each once."""
    shop.write("specs/wrong.yaml", DOCUMENTS)
    said = Transcript(shop)
    said.run("plan", code=1, title="documents that mean nothing")
    (shop.root / "specs/wrong.yaml").unlink()
    shop.edit("specs/train.yaml", "variables:", "from_model: other\nvariables:")
    shop.write(
        "specs/other.yaml", TRAIN.rpartition("---\n")[2].replace("name: digits", "name: other\nfrom_model: digits")
    )
    said.run("plan", code=1, title="a cycle")
    (shop.root / "specs/other.yaml").unlink()
    shop.write("specs/train.yaml", TRAIN)
    for before, after, title in (
        ("kind: Project", "kind: Projct", "no project document"),
        ("pool: here}", "pol: here}", "a default that nothing takes"),
        ("store: artifacts", "store: elsewhere", "a default that is not declared"),
    ):
        shop.edit("specforge.yaml", before, after)
        said.run("validate", code=1, title=title)
        shop.edit("specforge.yaml", after, before)
    said.check("documents")
    shop.spec("validate")


def test_what_the_plan_refuses(shop):
    """Versions that are not there, parameters that do not fit, code without its boot file."""
    said = Transcript(shop)
    shop.edit("specs/train.yaml", "data: digits}", "data: digits@V007}")
    shop.write("specs/more.yaml", TRAIN.replace("waits", "other").replace("name: digits", "name: other"))
    shop.edit("specs/more.yaml", "boot: train.py", "boot: tran.py")
    shop.edit("specs/more.yaml", "default: 0.5", "default: half")
    shop.write("specs/third.yaml", TRAIN.replace("waits", "third").replace("name: digits", "name: third"))
    shop.edit("specs/third.yaml", "code: code", "code: code/train.py")
    shop.edit("specs/train.yaml", "C: 10.0, gamma: 0.1", "C: ten, gama: 0.1")
    said.run("plan", code=1, title="pins, parameters, code")
    shop.write("specs/train.yaml", TRAIN)
    (shop.root / "specs/more.yaml").unlink()
    (shop.root / "specs/third.yaml").unlink()
    shop.spec("apply", "--yes", "--target", "dataset.digits")
    shop.edit("specs/data.yaml", "name: digits", "name: digits\nversion: V001")
    assert shop.plan()["changes"]
    shop.write("data/digits/0/new.png", png(77))
    said.run("plan", code=1, title="a pinned version with other content")
    shop.write("specs/data.yaml", DATA)
    shop.edit("specs/train.yaml", "data: digits}", "data: digits@V007}")
    said.run("apply", "--yes", code=1, title="a version that was never published")
    said.check("plan")


def test_sources_that_cannot_be_published(shop):
    """One dataset for everything that can be wrong with a folder of pictures; the plan says all of it at once."""
    sources = {name: shop.root / "data" / name for name in ("bare", "loose", "labels", "hollow", *LINK_FARM)}
    for name, folder in sources.items():
        folder.mkdir()
        if name not in ("bare", "loose"):
            (folder / "0").mkdir()
            (folder / "0/1.png").write_bytes(png(1))
    (sources["loose"] / "1.png").write_bytes(png(1))
    for label in ("x" * 33, "a b", "it's", "🎉", "手"):
        (sources["labels"] / label).mkdir()
        (sources["labels"] / label / "1.png").write_bytes(png(1))
    (sources["hollow"] / "1").mkdir()
    (sources["broken"] / "0/link.png").symlink_to("nowhere.png")
    (sources["outside"] / "0/link.png").symlink_to("/etc/hostname")
    (sources["loop"] / "0/up").symlink_to("..")
    os.mkfifo(sources["pipe"] / "0/pipe.png")
    Path(os.fsdecode(os.fsencode(sources["loop"]) + b"/0/\xff.png")).write_bytes(png(1))
    shop.write("data/file", png(1))
    places = {**{name: f"data/{name}" for name in sources}, "missing": "data/nowhere", "file": "data/file"}
    shop.write(
        "specs/more.yaml",
        "---\n".join(f"{DATA}".replace("digits", n).replace(f"data/{n}", p) for n, p in places.items()),
    )
    said = Transcript(shop)
    said.run("plan", code=1, title="sources")
    said.check("sources")
    (shop.root / "specs/more.yaml").unlink()
    assert shop.plan(code=0)["changes"]


def test_pictures_that_are_none(shop):
    """Found when they are opened: the error names the first, the log has the others; taken away, the apply goes on."""
    shop.write("data/digits/0/bad.png", "hello")
    shop.write("data/digits/0/empty.png", b"")
    shop.write("data/digits/1/cut.png", png(7)[:40])
    (shop.root / "data/digits/2").mkdir()
    said = Transcript(shop)
    said.run("apply", "--yes", "--parallelism", "1", code=1, title="pictures that are none")
    said.run("logs", "dataset.digits", code=0)
    shop.write("data/digits/.specignore", "bad.png\nempty.png\n")
    (shop.root / "data/digits/1/cut.png").unlink()
    said.run("apply", "--yes", code=0, title="the next apply")
    said.check("pictures")
    assert shop.is_clean()


def test_names_of_all_sorts(shop):
    """Spaces, quotes, Chinese and emoji in the names of files, Chinese ones in resources: published as they are."""
    names = [
        "a b.png",
        'it\'s "q".png',
        "数字.png",
        "🎉.png",
        "-rf.png",
        "%20$HOME.png",
        "new\nline.png",
        "e\u0301.png",
    ]
    for number, name in enumerate(names):
        shop.write(f"data/digits/手_0/{name}", png(number + 1))
    (shop.root / "code").rename(shop.root / "代码 'x'")
    for file in ("data", "train"):
        text = (shop.root / f"specs/{file}.yaml").read_text()
        text = text.replace("name: digits", "name: 数字").replace("data: digits", "data: 数字")
        shop.write(f"specs/{file}.yaml", text.replace("waits", "算法-1").replace("code: code", "code: \"代码 'x'\""))
    shop.spec("apply", "--yes")
    assert shop.is_clean()
    assert shop.current("training.数字") == "V0001"
    shown = json.loads(shop.spec("show", "dataset.数字", "--json").stdout)["recorded"]["versions"][0]["facts"]
    assert shown["labels"]["手_0"] == len(names)
    assert shop.spec("logs", "training.数字").stdout == "begun\ndone\n"
    shop.spec("destroy", "--yes", "--delete-artifacts")


def test_the_command_line(shop):
    """Wrong words, options and values: exit 1 and one error each; nothing is done."""
    said = Transcript(shop)
    for words in (
        ("paln",),
        ("plan", "--tarbet", "x"),
        ("apply", "--parallelism", "many"),
        ("logs",),
        ("plan", "--var", "marc=1"),
        ("plan", "--var", "mark"),
        ("plan", "--env", "dve"),
        ("plan", "--target", "training.digit"),
        ("plan", "--target", "digits"),
        ("plan", "--replace", "store.artifacts"),
        ("show", "training.nope"),
        ("state", "show", "training.digits"),
        ("logs", "training.digits"),
        ("logs", "training.digits", "--since", "yesterday"),
        ("plan", "--project", "/nowhere"),
    ):
        said.run(*words, code=1)
    said.check("command-line")
    assert not (shop.root / ".specforge").exists()


def test_saved_plans_that_cannot_be_applied(shop):
    """Cut off, from the future, edited, of another environment or project, no plan at all; nothing is done."""
    said = Transcript(shop)
    said.run("plan", "-o", "specs", code=1, title="saved in place of a folder")
    shop.spec("plan", "-o", "good.plan")
    good = (shop.root / "good.plan").read_text()
    body = json.loads(good)
    for title, content in (
        ("cut off", good[: len(good) // 2]),
        ("empty", ""),
        ("from the future", good.replace('"specforge_plan": 1', '"specforge_plan": 7')),
        ("edited", good.replace('"created"', '"creatd"')),
        ("without its plan", json.dumps({"specforge_plan": 1})),
        ("another sort of JSON", "[]"),
        ("of another environment", json.dumps({**body, "plan": {**body["plan"], "environment": "dev"}})),
        ("of another project", json.dumps({**body, "plan": {**body["plan"], "project": "shap"}})),
    ):
        shop.write("saved.plan", content)
        said.run("apply", "--yes", "saved.plan", code=1, title=title)
    said.run("apply", "--yes", "nowhere.plan", code=1, title="not there")
    said.run("apply", "--yes", "good.plan", "--target", "dataset.digits", code=1, title="with options")
    said.check("saved-plans")
    assert not (shop.root / ".specforge").exists()


def test_lock_files_that_cannot_be_used(shop):
    """None, broken, for other engines, from the future, for a Python that is not here."""
    said = Transcript(shop)
    file = shop.root / "specforge.lock"
    good = file.read_text()
    for title, content, code in (
        ("broken", "{", 1),
        ("not a text", b"\xff\xfe\x00\x01", 1),
        ("empty", "", 1),
        ("cut off", good[:720], 1),
        ("without the engine", good.replace('"scikit-learn":', '"other":'), 1),
        ("from the future", good.replace("format: 1", "format: 9"), 1),
    ):
        shop.write("specforge.lock", content)
        said.run("plan", code=code, title=title)
    shop.write("specforge.lock", good.replace(f'"3.{sys.version_info.minor}"', '"3.6"').replace('"3.11"', '"3.6"'))
    done = shop.spec("apply", "--yes", code=1)
    said.add("for another Python", "", done.stderr.replace(sys.version.split()[0], "3.N.N"), 1)
    file.unlink()
    said.run("plan", code=1, title="missing")
    said.check("lock-file")
    assert not (shop.root / ".specforge/state.db").exists()


def _with_streams(shop: Workshop, redirections: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" -m specforge "$@" {redirections}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, *words],
        cwd=shop.root,
        env=shop.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_standard_streams_that_are_closed_or_full(shop):
    """No terminal to ask on; nobody who reads; a full disk: an error where something is lost, never a bug."""
    asked = _with_streams(shop, "<&-", "apply")
    assert (asked.returncode, asked.stderr.count("error")) == (1, 1)
    assert "SF257" in asked.stderr
    assert not (shop.root / ".specforge").exists()
    assert _with_streams(shop, ">&-", "plan").returncode == 0
    assert _with_streams(shop, "<&- >&- 2>&-", "apply", "--yes").returncode == 0
    assert shop.is_clean(), "the state did not get what was meant for the closed streams"
    if os.path.exists("/dev/full"):
        full = _with_streams(shop, ">/dev/full", "plan")
        assert (full.returncode, full.stderr.count("error")) == (1, 1)
        assert "standard output: no space left on device" in full.stderr
        assert _with_streams(shop, ">/dev/full 2>/dev/full", "plan").returncode == 1
        refused = _with_streams(shop, ">/dev/full", "show", "training.nothing", "--json")
        assert (refused.returncode, refused.stderr.count("error")) == (1, 2), "neither of the two is hidden"
    head = _with_streams(shop, "| head -c 1", "state", "show", "training.digits", "--json")
    assert (head.returncode, head.stdout, head.stderr) == (0, "{", "")


def test_json_that_cannot_be_written(shop):
    """An apply goes on to its end and is recorded, yet the command fails and says why; so does every other one."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    applied = _with_streams(shop, ">/dev/full", "apply", "--yes", "--json")
    assert applied.returncode == 1, applied.stderr
    assert "error[SF156]: The output cannot be written" in applied.stderr
    assert "standard output: no space left on device; the apply went on to its end" in applied.stderr
    assert shop.is_clean()
    listing = "plan", "show training.digits", "validate", "graph", "doctor", "state list", "state history", "lock"
    for words in (*listing, "destroy --yes"):
        full = _with_streams(shop, ">/dev/full", *words.split(), "--json")
        assert (full.returncode, full.stderr.count("error")) == (1, 1), (words, full.stderr)
        assert "standard output: no space left on device" in full.stderr
