"""What the tests of folder stores share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folder_store import PLACE, opened

import specforge
from specforge.core.steps import EnsurePlace
from specforge.core.values import EMPTY
from specforge.testing.storage import Store

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in `tmp_path`/store."""
    made = opened(tmp_path)
    made.perform(EnsurePlace(PLACE, EMPTY))
    return made


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for tests that write a thousand times and cut no power."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def drive() -> Callable[..., str]:
    """Run a command of driver.py in a process of its own; returns what it printed, fails with what it complained of."""

    def run(*words: object) -> str:
        package = Path(specforge.__file__).parents[1]
        paths = [str(package), str(DRIVER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(
            [sys.executable, str(DRIVER), *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
