"""Kills between any two writes, processes at once, and stores that cannot be written."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from folder_store import PLACE, opened

from specforge.core.errors import ExecutionError
from specforge.core.queries import Presence
from specforge.core.steps import EnsurePlace
from specforge.core.values import EMPTY
from specforge.testing.storage import A


@pytest.mark.parametrize(
    ("command", "writes"),
    [("kill_publish", 15), ("kill_replace", 15), ("kill_heal", 6), ("kill_unpublish", 7), ("kill_remove", 6)],
)
def test_killed_after_any_write(quick: Path, drive, command: str, writes: int) -> None:
    """Killed after any write, the store is whole, and the same step done again converges."""
    counted, said = drive(command, quick).split()
    assert said == "checked"
    assert int(counted) > writes


def test_processes_at_once(tmp_path: Path, drive) -> None:
    """Processes that publish one identity at once agree on one build; each gets its reference and its own name."""
    assert drive("processes", tmp_path) == "4 checked\n"


def test_file_size_limit(tmp_path: Path, drive) -> None:
    """A limit on the size of files is an error in words, with nothing half visible."""
    assert drive("file_limit", tmp_path) == "1 checked\n"


def test_without_rights(drive) -> None:
    """A store of somebody else can be read, is not written, and is unreachable when its folder is forbidden."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        assert drive("no_rights", folder) == "1 checked\n"


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "SF426"), (errno.EDQUOT, "SF426"), (errno.EROFS, "SF425"), (errno.EIO, "SF425")]
)
def test_fault_at_any_write(quick: Path, number: int, code: str) -> None:
    """A write that fails is an error with a hint, leaves no draft, and the next publish converges."""
    for count in range(1, 100):
        root = quick / str(count)
        left = [count]

        def fault(what: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise OSError(number, os.strerror(number), what)

        store = opened(root, after_write=fault)
        opened(root).perform(EnsurePlace(PLACE, EMPTY))
        try:
            store.publish(A)
        except ExecutionError as error:
            (each,) = error.diagnostics
            assert (each.code, bool(each.hint)) == (code, True)
        else:
            assert count > 15
            return
        assert not os.listdir(root / "store" / "drafts")
        healthy = opened(root, store.trees)
        assert healthy.find().presence is not Presence.UNREACHABLE
        assert healthy.publish(A)["version"] == "V001"
        assert healthy.find().facts["next"] == "V002"
    raise AssertionError("it never completed")
