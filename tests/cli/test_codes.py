"""The registry of codes and the source agree."""

from __future__ import annotations

import re
from pathlib import Path

import specforge
from specforge.core.codes import CODES

SOURCE = Path(specforge.__file__).parent


def used() -> set[str]:
    """Return every code that the source mentions outside of the registry."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.name != "codes.py":
            found.update(re.findall(r'"(SF[1-5]\d{2})"', path.read_text(encoding="utf-8")))
    return found


def test_every_code_has_a_row() -> None:
    """No diagnostic is without an explanation in the reference."""
    assert used() - CODES.keys() == set()


def test_no_row_is_left_over() -> None:
    """The reference explains only codes that can occur."""
    assert CODES.keys() - used() == set()


def test_rows_are_sorted_and_written_like_messages() -> None:
    """Codes ascend; titles begin with a capital letter; explanations are sentences."""
    assert list(CODES) == sorted(CODES)
    for title, explanation in CODES.values():
        assert title[0].isupper() or title.startswith(("uv ", "`supervisor` "))
        assert not title.endswith(".")
        assert explanation.endswith(".")
