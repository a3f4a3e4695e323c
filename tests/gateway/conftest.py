"""A gateway in a temporary project, with real replicas behind it."""

from __future__ import annotations

import pytest
from gateway_bench import Service


@pytest.fixture
def service(tmp_path):
    """A route of a local pool; what it started is ended afterwards."""
    service = Service(tmp_path / "项目 1")
    yield service
    service.close()
