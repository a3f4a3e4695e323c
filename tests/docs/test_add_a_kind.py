"""The code of docs/add-a-kind.md is what it claims to be: a kind that keeps the contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, Document

PAGE = "docs/add-a-kind.md"


@pytest.fixture(name="written")
def _written(tmp_path: Path) -> Path:
    """Write every block that names a file; return the folder."""
    for block in Document(PAGE, (ROOT / PAGE).read_text(encoding="utf-8")).blocks:
        if "file" in block.settings:
            path = tmp_path / block.settings["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return tmp_path


def test_the_kind_of_the_page_keeps_the_contract(written):
    """Whoever follows the page has a kind that passes the shipped suite, with no line of specforge changed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_label_report.py"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_of_the_page_writes_the_report(written, tmp_path):
    """The job of the page counts labels from a manifest and leaves the report and its facts."""
    data, output = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    output.mkdir()
    line = '{"source": "3/a.png", "annotation": [{"name": "3"}]}\n'
    (data / "dataset.manifest").write_text(line * 2, encoding="utf-8")
    program = "from label_report.rules import SCRIPT; import sys; exec(SCRIPT)"
    command = [sys.executable, "-c", program, str(data), str(output), "Labels"]
    subprocess.run(command, cwd=written, check=True, env={**os.environ, "PYTHONPATH": str(written)})
    assert (output / "report" / "labels.txt").read_text(encoding="utf-8") == "Labels\n3: 2\n"
    assert (output / "facts.json").read_text(encoding="utf-8") == '{"labels": 1, "samples": 2}'
