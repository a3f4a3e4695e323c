"""Widths, durations, sizes and values in words."""

from __future__ import annotations

import pytest

from specforge.render import text


def test_columns() -> None:
    """Chinese characters and emoji take two columns, combining marks none."""
    assert text.columns("手写") == 4
    assert text.columns("e\u0301") == 1
    assert text.columns("🙂") == 2


def test_cut_keeps_whole_characters() -> None:
    """A cut text ends with an ellipsis within the width."""
    assert text.cut("手写数字", 5) == "手写…"
    assert text.cut("short", 5) == "short"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (0.96, "1 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (400_000, "4 days"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """Durations are said in the unit that fits."""
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(12, "12 B"), (1400, "1.4 kB"), (2_500_000, "2.5 MB"), (7.25e9, "7.25 GB"), (3e12, "3 TB")]
)
def test_size(amount: float, words: str) -> None:
    """Sizes are said in the unit that fits."""
    assert text.size(amount) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "(not set)"),
        ("", '""'),
        ("a b", "a b"),
        (" a", '" a"'),
        ("a\nb", '"a\\nb"'),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, 2]}, '{"a": [1, 2]}'),
    ],
)
def test_value(value: object, words: str) -> None:
    """A value is one line, quoted where its edges could not be seen."""
    assert text.value(value) == words


def test_wrap() -> None:
    """Lines are broken at spaces; a long word stays whole."""
    assert text.wrap("one two three", 9, "  ") == ["  one two", "    three"]
    assert text.wrap("averyveryverylongword", 9, "  ") == ["  averyveryverylongword"]


def test_table_is_aligned_by_columns() -> None:
    """Cells are filled by their width on the screen."""
    assert text.table([("手写", "a"), ("abcd", "b")]) == ["手写  a", "abcd  b"]
