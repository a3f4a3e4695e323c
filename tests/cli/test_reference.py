"""The generated reference is up to date and complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from specforge.cli import reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator as a process of its own, as `make docs` does."""
    command = [sys.executable, "-m", "specforge.cli.reference", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_up_to_date() -> None:
    """docs/reference is what the source gives; `make docs` writes it."""
    done = generate("--check", str(REFERENCE))
    assert done.returncode == 0, done.stderr


def test_check_finds_an_old_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that was edited by hand, is missing, or is left over is named."""
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "cli.md").write_text("old", encoding="utf-8")
    (tmp_path / "gone.md").write_text("old", encoding="utf-8")
    assert reference.main(["--check", str(tmp_path)]) == 1
    named = capsys.readouterr().err
    assert "cli.md" in named
    assert "gone.md" in named


def test_pages_name_every_kind_and_field(tmp_path: Path) -> None:
    """Every kind has a page with nested fields, defaults and an example."""
    reference.main([str(tmp_path)])
    page = (tmp_path / "training.md").read_text(encoding="utf-8")
    assert "`evaluate.accept.NAME.min`" in page
    assert "name of a dataset, `NAME` or `NAME@VERSION`" in page
    assert "```yaml\nkind: TrainingJob" in page
    assert {"dataset.md", "algorithm.md", "store.md", "pool.md", "project.md"} <= {
        each.name for each in tmp_path.iterdir()
    }


def test_usage() -> None:
    """Without a folder the usage is said."""
    assert reference.main([]) == 1
