"""A user's project in a folder of its own, driven through the real command."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "specs" / "quickstart"

PROJECT = """\
kind: Project
name: shop
variables:
  mark: {default: ""}
  go: {default: ""}
  store: {default: .specforge/artifacts}
environments:
  dev: {}
  prod: {}
defaults: {store: artifacts, pool: here}
"""
PLACES = """\
{kind: Store, name: artifacts, folder: "${var.store}"}
---
{kind: Pool, name: here, local: {slots: 2}}
"""
DATA = """\
kind: Dataset
name: digits
task: image_classification
source: data/digits
split: {train: 0.5, eval: 0.5, seed: 7}
"""
TRAIN = """\
kind: Algorithm
name: waits
framework: scikit-learn
code: code
boot: train.py
parameters:
  C: {type: float, default: 1.0}
  gamma: {type: float, default: 0.5}
---
kind: TrainingJob
name: digits
algorithm: waits
inputs: {data: digits}
parameters: {C: 10.0, gamma: 0.1}
variables: {MARK: "${var.mark}", GO: "${var.go}"}
"""
BOOT = """\
import os, pathlib, sys, time

options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
if os.environ["MARK"]:
    with open(os.environ["MARK"], "a") as file:
        file.write(f"C={options['C']}\\n")
print("begun", flush=True)
while os.environ["GO"] and not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
model = pathlib.Path(options["train_url"]) / "model"
model.mkdir()
(model / "model.joblib").write_text(options["C"])
print("done", flush=True)
"""


def png(shade: int, size: int = 8) -> bytes:
    """A picture of one shade of grey."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes([shade]) * size for _ in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Workshop:
    """One user's project and terminal."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.mark = home / "mark.txt"
        self.go = home / "go"
        self.environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "SPEC_USER": "ada"}
        self.running: list[subprocess.Popen[str]] = []

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def edit(self, path: str, before: str, after: str) -> None:
        text = (self.root / path).read_text()
        assert before in text
        self.write(path, text.replace(before, after))

    def spec(self, *words: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "specforge", *words],
            cwd=self.root,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in its own process group, so that a kill reaches it alone."""
        made = subprocess.Popen(
            [sys.executable, "-m", "specforge", *words],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(made)
        return made

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(20)

    def plan(self, *words: str, code: int | None = None) -> dict:
        return json.loads(self.spec("plan", "--json", *words, code=code).stdout)

    def pending(self, *words: str) -> dict[str, str]:
        return {each["address"]: each["action"] for each in self.plan(*words)["changes"] if each["action"] != "no-op"}

    def is_clean(self) -> bool:
        return self.spec("plan", "--detailed-exitcode", code=None).returncode == 0

    def current(self, address: str, *words: str) -> str | None:
        return json.loads(self.spec("show", address, "--json", *words).stdout)["recorded"]["current"]

    @property
    def marks(self) -> list[str]:
        """A line for every start of the boot file."""
        return self.mark.read_text().splitlines() if self.mark.exists() else []


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something to become true, bounded."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not become true in time")
        time.sleep(0.01)
