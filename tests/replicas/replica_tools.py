"""What the tests of replicas do to real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtReplicas
from specforge.core.steps import EnsureReplicas, Ready
from specforge.core.values import Key, Run
from specforge.executors.base import StepContext, Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.testing import stand_in
from specforge.testing.job_bench import Recorder
from specforge.testing.store_bench import SuiteTrees

PATIENCE = 30.0


def call(folder, number, path):
    """Send one request to a replica of the group in this folder; return status and body."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(f"/proc/self/fd/{descriptor}/{number}.sock")
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            while block := connection.recv(4096):
                data += block
    finally:
        os.close(descriptor)
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def supervisor_pid(pool):
    """Return the pid of the pool's supervisord."""
    return json.loads((Path(pool) / "supervisor" / "card.json").read_bytes())["pid"]


def left(folder):
    """Return the pids of living processes, but supervisord, that work in this folder or have their home there."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            where = os.readlink(f"/proc/{name}/cwd")
            variables = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
            words = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        ours = where.startswith(f"{folder}/") or any(each.startswith(f"HOME={folder}/".encode()) for each in variables)
        if ours and state != "Z" and b"supervisor" not in words:
            found.append(int(name))
    return found


def until(condition, what):
    """Wait until the condition holds and return what it gives."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return found


KEY = Key("lineage", Address("service", "digits"), "a" * 64, 1, "replicas")


def serve(behaviour="ready", *words):
    return Run(("@python", "-I", "-S", stand_in.__file__, "@socket", behaviour, *words))


class Groups:
    """A project folder with a local pool `here`; `settings` as in a Pool document."""

    def __init__(self, root, **settings):
        root.mkdir(parents=True, exist_ok=True)
        self.place = LocalSettings(**settings).place("here")
        self.recorder = Recorder()
        self.trees = SuiteTrees()
        self.at(root)

    def at(self, root):
        """Go on in this folder, to which the project was moved or copied."""
        self.root = root
        self.pool = root / self.place.id
        self.executor = LocalExecutor(Surroundings(root, root / "cache", lambda _: self.trees))
        return self

    def ensure(self, count, run=None, group="g", **changes):
        step = EnsureReplicas(self.place, group, run or serve(), count, **{"ready": Ready(within=20.0), **changes})
        return self.executor.perform(step, StepContext(KEY, self.recorder)).outputs["replicas"]

    def failure(self, count, run=None, group="g", **changes):
        with pytest.raises(ExecutionError) as caught:
            self.ensure(count, run, group, **changes)
        return caught.value

    def take_away(self, group="g", drain=0.0):
        step = EnsureReplicas(self.place, group, None, 0, drain=drain)
        return self.executor.perform(step, StepContext(KEY, self.recorder)).outputs["replicas"]

    def look(self, group="g", deadline=10.0):
        query = LookAtReplicas(self.place, group)
        return self.executor.observe(self.place, [query], deadline)[query]

    def pids(self, group="g"):
        return {each["number"]: each["pid"] for each in self.look(group).facts["replicas"] if each["state"] == "ready"}

    def states(self, group="g"):
        return [each["state"] for each in self.look(group).facts["replicas"]]

    def call(self, number=1, path="/", group="g"):
        return call(self.pool / "groups" / group, number, path)

    def texts(self, group="g", since=None):
        return [line.text for line in self.executor.logs(self.place, group, since, follow=False)]

    def command(self, count, group="g"):
        """Start a process that asks for so many replicas; it prints `done` at the end."""
        words = [str(self.root), group, str(count), str(Path(__file__).parent)]
        return subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, text=True)


COMMAND = """
import sys
from pathlib import Path
root, group, count, tools = sys.argv[1:]
sys.path.insert(0, tools)
from replica_tools import Groups
Groups(Path(root)).ensure(int(count), group=group)
print("done")
"""


def supervisors(folder):
    """Return the pids of living supervisords in this folder."""
    found = []
    for name in os.listdir("/proc"):
        try:
            where = os.readlink(f"/proc/{name}/cwd")
            words = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if where.startswith(f"{folder}/") and b"supervisord" in words:
            found.append(int(name))
    return found
