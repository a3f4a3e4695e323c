"""Fixtures of the planner's tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
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


# Two cores are shared with other tests: time says nothing here. More examples: --hypothesis-profile=thorough
settings.register_profile(
    "brief", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.register_profile("thorough", parent=settings.get_profile("brief"), max_examples=1000)
settings.load_profile("brief")
