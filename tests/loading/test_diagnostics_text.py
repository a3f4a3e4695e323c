"""Diagnostics as text: the caret stands under the piece that is meant, whatever the line holds."""

from __future__ import annotations

import pytest

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.source import Span
from specforge.render.diagnostics import diagnostics_json, render_diagnostics
from specforge.render.text import columns


def at(line, begin, end, **more):
    """Return a diagnostic of a piece of one line, columns from 1."""
    return Diagnostic("SF104", "Unknown", "the cause", span=Span("f.yaml", 7, begin, 7, end), snippet=line, **more)


def test_the_form_is_the_documented_one():
    """Severity, code and summary; file, line, caret with the cause; note and hint."""
    given = at("  dataset: flwers", 12, 18, hint="did you mean `flowers`?", note="more")
    assert render_diagnostics([given]) == (
        "error[SF104]: Unknown\n"
        "  ┌ f.yaml:7:12\n"
        "7 │   dataset: flwers\n"
        "  │            ^^^^^^ the cause\n"
        "  = more\n"
        "hint: did you mean `flowers`?\n"
    )


def test_blocks_are_separated_and_nothing_is_nothing():
    """An empty line between two; no text for no diagnostics."""
    two = render_diagnostics([at("a", 1, 2), Diagnostic("SF101", "Other", "x", Severity.WARNING)])
    assert "the cause\n\nwarning[SF101]: Other\n  x\n" in two
    assert render_diagnostics([]) == ""


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("名前: 值 here", "here"),
        ("名前: 值 here", "值"),
        ("🌷🌷: here", "here"),
        ("\tkey: here", "here"),
        ("e\u0301: here", "here"),
        ("👩‍💻x: here", "here"),
        ("\x1b[31m: here", "here"),
    ],
)
def test_the_caret_stands_under_the_word(line, word):
    """Wide characters take two columns, combining ones none, a tab four; control characters cannot do harm."""
    begin = line.index(word) + 1
    shown = render_diagnostics([at(line, begin, begin + len(word))]).splitlines()
    text, caret = shown[2], shown[3]
    assert "\x1b" not in text
    start = caret.index("^")
    assert columns(text[: text.index(word)]) == columns(caret[:start])
    assert caret.count("^") == columns(word)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("begin", [1, 300, 9_990])
def test_long_lines_are_cut_around_the_caret(begin, width):
    """The piece that is meant stays in sight, and nothing is wider than the screen."""
    line = ("x" * (begin - 1) + "HERE").ljust(10_000, "y")
    shown = render_diagnostics([at(line, begin, begin + 4)], width=width).splitlines()
    assert "HERE" in shown[2]
    assert shown[2].index("HERE") == shown[3].index("^^^^")
    assert max(columns(each) for each in shown) <= width


def test_a_long_piece_or_cause_fits_the_screen():
    """A long piece is cut, a long cause goes below in several lines."""
    given = Diagnostic(
        "SF1", "S", "word " * 60 + "end", span=Span("f", 1, 1, 1, 5000), snippet="z" * 5000, hint="h " * 90
    )
    shown = render_diagnostics([given], width=60).splitlines()
    assert max(columns(each) for each in shown) <= 60
    assert any("end" in each for each in shown)


def test_a_piece_of_several_lines_is_marked_to_the_end_of_the_first():
    """The other lines are not shown."""
    given = Diagnostic("SF1", "S", "d", span=Span("f", 3, 4, 9, 2), snippet="a: [1,  ")
    assert render_diagnostics([given]).splitlines()[3] == "  │    ^^^ d"


def test_without_a_line_the_place_is_still_told():
    """Binary files have no line to show; what has no place has perhaps an address."""
    placed = Diagnostic("SF1", "S", "d", span=Span("f", 3, 4, 3, 5))
    assert render_diagnostics([placed]) == "error[SF1]: S\n  ┌ f:3:4\n  │ d\n"
    about = Diagnostic("SF1", "S", "d", address=Address("a", "b"))
    assert render_diagnostics([about]) == "error[SF1]: S\n  a.b: d\n"


def test_colour_adds_only_colour():
    """Without the codes it is the same text."""
    import re

    given = [at("  dataset: flwers", 12, 18, hint="h"), Diagnostic("SF1", "S", "d")]
    coloured = render_diagnostics(given, color=True)
    assert coloured != render_diagnostics(given)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_diagnostics(given)


def test_json_leaves_out_what_is_not_there():
    """Places are numbers, the address is a text."""
    given = at("x", 1, 2, address=Address("a", "b"), path=("c", 0))
    assert diagnostics_json([given, Diagnostic("SF1", "S", "d", Severity.WARNING)]) == [
        {
            "code": "SF104",
            "severity": "error",
            "summary": "Unknown",
            "detail": "the cause",
            "address": "a.b",
            "path": ["c", 0],
            "file": "f.yaml",
            "line": 7,
            "column": 1,
            "end_line": 7,
            "end_column": 2,
        },
        {"code": "SF1", "severity": "warning", "summary": "S", "detail": "d"},
    ]
