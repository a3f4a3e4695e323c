"""A local pool in a project whose path is long, with odd characters; nothing runs there afterwards."""

from __future__ import annotations

import os
import signal

import pytest
from replica_tools import Groups, left, supervisors


@pytest.fixture
def groups(tmp_path):
    """Groups of replicas at a pool `here`; the names of its sockets are too long for the kernel."""
    made = Groups(tmp_path / ("deep " * 24).strip() / "项目 ;#%1")
    yield made
    for name in ("g", "other"):
        made.take_away(name)
    over = [*supervisors(tmp_path), *left(tmp_path)]
    for pid in over:
        os.kill(pid, signal.SIGKILL)
    assert not over, "processes were left over"
