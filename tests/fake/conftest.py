"""A world with a store, for every test here."""

from __future__ import annotations

import pytest
from fake_bench import STORE, Bench, key

from specforge.core.steps import EnsurePlace
from specforge.core.values import Frozen


@pytest.fixture
def bench():
    made = Bench()
    made.perform(EnsurePlace(STORE, Frozen()), key("place"))
    return made
