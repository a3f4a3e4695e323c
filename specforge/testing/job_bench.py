"""What the contract of jobs works with: a place with two executors at it, and small programs for real processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.queries import LookAtJob, Presence, Seen
from specforge.core.steps import RunJob
from specforge.core.values import Frozen, JobOutput, Key, Place, Run, Tree
from specforge.executors.base import Executor, StepContext, StepEvent, TreeReader
from specforge.testing.storage import SuiteTrees

PATIENCE = 30.0
"""How long the suite waits for something that must happen, in seconds."""

OUTPUTS = (
    JobOutput("model", "model", required=True, missing_hint="write a model"),
    JobOutput("rest", ".", exclude=("model",)),
    JobOutput("log", "@log"),
)

WRITE = """
import json, os, sys
out, code, files, lines = sys.argv[1], *json.loads(sys.argv[2])
with open(sys.argv[3], "a") as starts:
    starts.write("started\\n")
for path, text in files.items():
    os.makedirs(os.path.dirname(os.path.join(out, path)), exist_ok=True)
    with open(os.path.join(out, path), "w") as file:
        file.write(text)
for line in lines:
    print(line, flush=True)
sys.exit(code)
"""
WAIT = """
import os, sys, time
with open(sys.argv[2], "a") as starts:
    starts.write("started\\n")
print("waiting", flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.005)
os.mkdir(sys.argv[1] + "/model")
open(sys.argv[1] + "/model/m.txt", "w").close()
"""
LIST = """
import os, sys
root, out = sys.argv[1], sys.argv[2]
found = [os.path.relpath(os.path.join(parent, each), root) for parent, _, names in os.walk(root) for each in names]
os.mkdir(out + "/model")
with open(out + "/model/listing.txt", "w") as file:
    file.write("".join(each + "\\n" for each in sorted(found)))
"""


class Recorder:
    """Takes the events of a performance, from any thread."""

    def __init__(self) -> None:
        self.events: list[StepEvent] = []

    def __call__(self, event: StepEvent) -> None:
        """Take one event."""
        self.events.append(event)

    def texts(self, kind: str) -> list[str]:
        """Return the texts of the events of this kind so far."""
        return [each.text for each in self.events if each.kind == kind]


@dataclass
class Bench:
    """One place with two executors at it, the suite's trees, and what the tests do again and again."""

    place: Place
    one: Executor
    two: Executor
    trees: SuiteTrees
    folder: Path
    recorder: Recorder = field(default_factory=Recorder)

    def step(self, run: Run, **changes: Any) -> RunJob:
        """Return a step that runs this and keeps what it leaves."""
        return RunJob("train", self.place, run, **{"outputs": OUTPUTS, **changes})

    def perform(self, run: Run, key: Key, executor: Executor | None = None, **changes: Any) -> Frozen:
        """Perform the job to its end and return its outputs."""
        context = StepContext(key, self.recorder)
        return (executor or self.one).perform(self.step(run, **changes), context).outputs

    def look(self, key: Key) -> Seen:
        """Look at the job with this key, through the second executor."""
        query = LookAtJob(self.place, key.id)
        return self.two.observe(self.place, [query], 10)[query]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; fail after a while."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.005)

    def runs(self, key: Key) -> bool:
        """Return whether the job's program runs now."""
        seen = self.look(key)
        return seen.presence is Presence.PRESENT and seen.facts["state"] == "running" and bool(seen.facts["started"])

    def read(self, outputs: Frozen, name: str) -> dict[str, str]:
        """Return the files of an output tree, as the executor gives them to another place."""
        assert isinstance(self.two, TreeReader)
        found = outputs[f"tree.{name}"]
        assert isinstance(found, Tree)
        files = {}
        for entry in self.two.entries(found):
            with self.two.open(found, entry) as file:
                files[entry.path] = file.read().decode()
        return files


def a_key(attempt: int = 1, identity: str = "a" * 64, step: str = "train") -> Key:
    """Return a run key."""
    return Key("lineage", Address("training", "digits"), identity, attempt, step)
