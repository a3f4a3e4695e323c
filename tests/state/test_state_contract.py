"""The backends that ship pass the contract of state backends."""

from __future__ import annotations

import pytest

from specforge.state.memory import FaultyBackend, Memory, MemoryBackend
from specforge.state.sqlite import SqliteBackend
from specforge.testing.state import StateContract


class TestSqlite(StateContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return lambda: SqliteBackend(tmp_path / ".specforge" / "state.db")


class TestMemory(StateContract):
    @pytest.fixture
    def opener(self):
        memory = Memory()
        return lambda: MemoryBackend(memory)


class TestFaultyWithoutFaults(StateContract):
    @pytest.fixture
    def opener(self):
        memory = Memory()
        return lambda: FaultyBackend(MemoryBackend(memory), {})
