"""Folders that another user may look into, and processes that commit."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import specforge

# Not the contract's own: to import pytest takes longer than all the rest.
HEAD = """
import os, sys
from pathlib import Path
from specforge.core.address import Address
from specforge.core.state import LockInfo, PutResource, Resource
from specforge.state.sqlite import SqliteBackend

def info(who):
    return LockInfo("op-1", who, "spec apply", 1_700_000_000.0, 4711, "workstation")

def a_resource(name, spec):
    return Resource(Address("dataset", name), "artifact", spec)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user of the machine may enter, unlike those that pytest makes."""
    made = Path(tempfile.mkdtemp(prefix="specforge-state-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        for path in (made, *made.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IRWXU)
        shutil.rmtree(made)


@pytest.fixture
def committer():
    """Return what starts a process of ours that runs a script with `SqliteBackend`, `info` and `a_resource`."""
    started = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(Path(specforge.__file__).parents[1])}
        command = [sys.executable, "-c", HEAD + script, *map(str, arguments)]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()
