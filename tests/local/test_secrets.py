"""Secrets: read where the user keeps them, told apart by prints, in no record."""

from __future__ import annotations

from pathlib import Path

import pytest

from specforge.core.errors import ExecutionError
from specforge.core.queries import Presence, SecretPrint
from specforge.core.values import PROJECT, Frozen, Run, SecretRef
from specforge.executors.secrets import look, with_secrets

TOKEN = SecretRef(env="SHOP_TOKEN")
FILE = SecretRef(file="secrets/token")


def test_prints_tell_values_apart_and_do_not_tell_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same value and salt give the same print; the value is not in it."""
    assert look(SecretPrint(PROJECT, TOKEN, "a"), tmp_path).presence is Presence.ABSENT
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    one = look(SecretPrint(PROJECT, TOKEN, "a"), tmp_path).digest
    assert one == look(SecretPrint(PROJECT, TOKEN, "a"), tmp_path).digest
    assert one is not None
    assert "hunter2" not in one
    assert one != look(SecretPrint(PROJECT, TOKEN, "b"), tmp_path).digest
    monkeypatch.setenv("SHOP_TOKEN", "hunter3")
    assert one != look(SecretPrint(PROJECT, TOKEN, "a"), tmp_path).digest


def test_a_secret_in_a_file_is_its_text_without_the_last_newline(tmp_path: Path) -> None:
    """As editors and `echo` leave it."""
    assert look(SecretPrint(PROJECT, FILE, "a"), tmp_path).presence is Presence.ABSENT
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text("hunter2\n")
    run = with_secrets(Run((), variables=Frozen(TOKEN=FILE, PLAIN="x")), tmp_path)
    assert run.variables == {"TOKEN": "hunter2", "PLAIN": "x"}


def test_what_cannot_be_read_as_text_is_no_secret(tmp_path: Path) -> None:
    """Neither a folder nor bytes that are no UTF-8."""
    (tmp_path / "secrets/token").mkdir(parents=True)
    seen = look(SecretPrint(PROJECT, FILE, "a"), tmp_path)
    assert (seen.presence, seen.problem) == (Presence.UNREACHABLE, "the file `secrets/token`: Is a directory")
    with pytest.raises(ExecutionError, match="secrets/token"):
        with_secrets(Run((), variables=Frozen(TOKEN=FILE)), tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    seen = look(SecretPrint(PROJECT, SecretRef(file="bytes"), "a"), tmp_path)
    assert seen.problem == "the file `bytes`: it is no text in UTF-8"


def test_a_secret_that_went_away_is_missed_by_name(tmp_path: Path) -> None:
    """There when the plan was made, gone when it is applied."""
    with pytest.raises(ExecutionError, match=r"`TOKEN` is read from the variable `SHOP_TOKEN`.*not there"):
        with_secrets(Run((), variables=Frozen(TOKEN=TOKEN)), tmp_path)
    assert with_secrets(Run(()), tmp_path) == Run(())
