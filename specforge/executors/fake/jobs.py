"""Jobs of a fake pool: what they are called with, what they leave, and the default program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum

from specforge.core.digest import canonical_json
from specforge.core.making import dataclass
from specforge.core.steps import RunJob
from specforge.core.values import Frozen, JobOutput, Key
from specforge.executors.fake.faults import failed
from specforge.executors.fake.files import Files, digest_of, entries_of
from specforge.executors.local.usages import choose


@dataclass(frozen=True)
class JobCall:
    """What a program is called with: the step (argv, variables, outputs, …), its input folders, its code, its key."""

    key: Key
    step: RunJob
    inputs: Mapping[str, Files]
    code: Files | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line as in the step: `@in/NAME` and the like are not replaced."""
        return self.step.run.argv

    @property
    def prints(self) -> list[object]:
        """Command line, variables, and the digests of inputs and code: what a job that is a function depends on."""
        inputs = {name: digest_of(files) for name, files in self.inputs.items()}
        code = None if self.code is None else digest_of(self.code)
        usages = {each.name: each.usages for each in self.step.inputs if each.usages is not None}
        return [list(self.argv), self.step.run.variables, inputs, usages, code]


@dataclass(frozen=True)
class Made:
    """What a job leaves: the files of its output folder, its log, its exit status."""

    files: Files = field(default_factory=dict)
    log: tuple[str, ...] = ()
    exit: int = 0


Program = Callable[[JobCall], Made]


def echo(call: JobCall) -> Made:
    """Leave in every output one file whose content is a hash of everything the job depends on, and no figures."""
    text = hashlib.sha256(canonical_json(call.prints).encode()).hexdigest()
    files = {}
    for each in call.step.outputs:
        if each.path != "@log":
            folder = "" if each.path == "." else f"{each.path}/"
            files[f"{folder}{each.name}.txt"] = f"{each.name} {text}\n".encode()
    if call.step.facts is not None:
        files[call.step.facts] = json.dumps({"print": text}).encode()
    return Made(files, (f"made {text[:12]}",))


class JobState(Enum):
    """Where a job stands."""

    RUNNING = "running"
    ENDED = "ended"


@dataclass
class Job:
    """One job of a pool. `watchers`: how many performers wait for it now; 0: whoever started it is gone.

    `lost`: what it left was gone before anybody took it; `discarded`: it was dropped on request.
    """

    call: JobCall
    started: float
    state: JobState = JobState.RUNNING
    made: Made = field(default_factory=Made)
    reason: str = ""
    cancelled: bool = False
    lost: bool = False
    discarded: bool = False
    ended: float = 0.0
    watchers: int = 0
    trees: Frozen = field(default_factory=Frozen)
    facts: Frozen = field(default_factory=Frozen)

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.state is JobState.RUNNING

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return not self.running and not self.reason


def collect(output: JobOutput, made: Made) -> Files:
    """Return the files of one declared output."""
    if output.path == "@log":
        return {"job.log": "".join(f"{line}\n" for line in made.log).encode()}
    prefix = "" if output.path == "." else output.path.rstrip("/") + "/"
    found = {path[len(prefix) :]: content for path, content in made.files.items() if path.startswith(prefix)}
    left_out = tuple(each.rstrip("/") + "/" for each in output.exclude)
    return {path: content for path, content in found.items() if not (path + "/").startswith(left_out)}


def shown(files: Files, usages: tuple[str, ...] | None) -> Files:
    """Return what a job sees of an input: of a tree with a manifest, the samples with one of these usages."""
    if usages is None or not any(path.endswith(".manifest") for path in files):
        return files
    chosen = choose(entries_of(files), lambda entry: files[entry.path], usages)
    if isinstance(chosen, str):
        raise failed(chosen)
    return {**{each.path: files[each.path] for each in chosen.entries}, chosen.manifest_path: chosen.manifest}
