"""A local pool in a temporary project."""

from __future__ import annotations

import pytest
from local_bench import LocalBench


@pytest.fixture
def local(tmp_path):
    """A bench with a pool of one slot."""
    return LocalBench(tmp_path / "项目 1")
