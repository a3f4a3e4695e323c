"""Which toolchains `spec lock` makes entries for."""

from __future__ import annotations

from pathlib import Path

from specforge.cli.commands.locking import used_engines
from specforge.cli.session import Session, Where

QUICKSTART = Path(__file__).parents[2] / "specs" / "quickstart"
SPECS = """\
kind: Algorithm
name: a
framework: scikit-learn
code: code
boot: train.py
"""


def test_a_service_needs_its_server():
    """A project that declares a service is locked with the server of each engine that it uses."""
    session = Session(Where(QUICKSTART))
    assert used_engines(session, {}) == ["scikit-learn", "scikit-learn-server"]


def test_without_a_service_there_is_no_server(tmp_path):
    """One that declares none is locked with the engine alone, and keeps what is locked already."""
    (tmp_path / "specforge.yaml").write_text("kind: Project\nname: plain\n", encoding="utf-8")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(SPECS, encoding="utf-8")
    session = Session(Where(tmp_path))
    assert used_engines(session, {}) == ["scikit-learn"]
    assert used_engines(session, {"other": None}) == ["other", "scikit-learn"]
