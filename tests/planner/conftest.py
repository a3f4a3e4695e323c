"""Fixtures of the planner's tests."""

from __future__ import annotations

import pytest
from paper import Paper


@pytest.fixture
def paper() -> Paper:
    """The quickstart, with nothing applied yet."""
    return Paper()


@pytest.fixture
def applied() -> Paper:
    """The quickstart, applied: every test edits its own copy."""
    made = Paper()
    made.apply()
    return made
