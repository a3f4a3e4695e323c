"""Golden folders: wrong projects and exactly what is said of them. UPDATE_GOLDEN=1 writes the texts anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from specforge.core.errors import ConfigError
from specforge.loading import load
from specforge.render.diagnostics import render_diagnostics

CASES = Path(__file__).parent.parent / "cases_invalid"


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir() if each.is_dir()))
def test_wrong_project_is_explained(case, real_kinds):
    """Everything that is wrong is told at once, each at its line, in the words of the golden file."""
    folder = CASES / case
    file = folder / "arguments.json"
    arguments = json.loads(file.read_text("utf-8")) if file.exists() else {}
    with pytest.raises(ConfigError) as raised:
        load(folder, kinds=real_kinds, **arguments)
    text = render_diagnostics(raised.value.diagnostics)
    expected = folder / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text, "utf-8")
    assert text == expected.read_text("utf-8")
