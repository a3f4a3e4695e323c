"""A project with a service, the requests of its clients, and a look at the processes that it left."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from workshop import Workshop, png, until

SERVE = """\
{kind: Model, name: digits, training: digits, mode: image_processing, inference: inference}
---
kind: Service
name: digits
model: digits
port: PORT
update: {ready_within: 20s, drain: 5s}
"""
# What a model says is the parameter that it was trained with; some values make it misbehave.
INFERENCE = """\
import os, sys, time
from model_service.python_model_service import XgSklServingBaseService

class DigitsService(XgSklServingBaseService):
    def __init__(self, model_path):
        with open(model_path) as file:
            self.label = file.read()
        print("loading", self.label, flush=True)
        if self.label == "13.0":
            raise RuntimeError("this model is broken")
        if self.label == "14.0":
            time.sleep(600)
        if self.label == "15.0":
            print("the model gives up", flush=True)
            os._exit(3)

    def _preprocess(self, data):
        return data

    def _inference(self, data):
        return self.label

    def _postprocess(self, label):
        return {"predicted_label": label}
"""
BODY = (
    b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    + png(3)
    + b"\r\n--x--\r\n"
)
HEADERS = {"Content-Type": "multipart/form-data; boundary=x"}


def free_port() -> int:
    """A port of the loopback address that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, connection: http.client.HTTPConnection | None = None) -> str:
    """Send one picture and return the label; raises for anything but an answer."""
    client = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request("POST", "/", BODY, HEADERS)
        answer = client.getresponse()
        content = answer.read()
        assert answer.status == 200, f"{answer.status}: {content[:200]!r}"
        return str(json.loads(content)["predicted_label"])
    finally:
        if connection is None:
            client.close()


@dataclass
class Load:
    """Clients that ask without a pause until they are told to stop, or have asked so often."""

    port: int
    clients: int = 4
    labels: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(self.clients)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        until(lambda: self.asked > 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    @property
    def asked(self) -> int:
        return sum(self.labels.values()) + len(self.failures)

    def _work(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._stop.is_set():
            try:
                label = ask(self.port, client)
                with self._guard:
                    self.labels[label] = self.labels.get(label, 0) + 1
            except (OSError, AssertionError, http.client.HTTPException) as error:
                client.close()
                with self._guard:
                    self.failures.append(repr(error))
            time.sleep(0.002)  # two cores for the clients, the gateway and the replicas
        client.close()


class Served(Workshop):
    """A user's project with a service."""

    def __init__(self, root: Path, home: Path) -> None:
        super().__init__(root, home)
        self.port = free_port()

    @property
    def pool(self) -> Path:
        return self.root / ".specforge" / "pools" / "here"

    def train(self, before: str, after: str) -> None:
        """Edit the parameter that the model answers with."""
        self.edit("specs/train.yaml", f"C: {before}", f"C: {after}")

    def processes(self) -> dict[int, str]:
        """Every process that works in this project, with its start time and command."""
        found = {}
        for each in Path("/proc").iterdir():
            if not each.name.isdigit() or int(each.name) == os.getpid():
                continue
            try:
                here = os.readlink(each / "cwd")
                status = (each / "stat").read_text().rpartition(")")[2].split()
                command = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if (here + "/").startswith(f"{self.root}/") and status[0] != "Z":
                found[int(each.name)] = f"{status[19]} {command}"
        return found

    def end_all(self) -> None:
        """Kill what a failed test left."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue

    def drift(self, *words: str, code: int | None = None) -> dict:
        """What `spec drift` found."""
        return json.loads(self.spec("drift", "--json", *words, code=code).stdout)

    def drifted(self) -> dict[str, list[str]]:
        """Addresses that drifted, with what."""
        found: dict[str, list[str]] = {}
        for each in self.drift()["drift"]:
            found.setdefault(each["address"], []).append(each["what"])
        return found
