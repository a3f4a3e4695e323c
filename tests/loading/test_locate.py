"""Diagnostics of later phases are brought to the lines of the files."""

from __future__ import annotations

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.source import Span
from specforge.loading.locate import located
from specforge.loading.positions import positions_of

TEXT = """\
kind: A
name: first
---
kind: A
name: second
inputs:
  data: x
  list: [1, {deep: 2}]
long: >
  many
  lines
"""


def spans(paths, *, keys=False):
    """Return where these paths of the second document stand, as line:column-line:column."""
    positions = positions_of(TEXT, "f.yaml")[1]
    found = [positions.key(each) if keys else positions.value(each) for each in paths]
    return [f"{each.line}:{each.column}-{each.end_line}:{each.end_column}" for each in found]


def test_values_have_positions():
    """Scalars and short lists are shown themselves, long mappings by their key, the document by its name."""
    assert spans(
        [("inputs", "data"), ("inputs", "list"), ("inputs", "list", 1, "deep"), ("inputs",), (), ("long",)]
    ) == [
        "7:9-7:10",
        "8:9-8:23",
        "8:20-8:21",
        "6:1-6:7",
        "5:7-5:13",
        "9:7-12:1",
    ]
    assert spans([("inputs", "data"), ("inputs", "list", 1, "deep")], keys=True) == ["7:3-7:7", "8:14-8:18"]


def test_missing_paths_have_their_nearest_ancestor():
    """What is not there is shown where it should be."""
    assert spans([("inputs", "more"), ("inputs", "data", "x"), ("inputs", "list", 7), ("nothing", "at", "all")]) == [
        "6:1-6:7",
        "7:9-7:10",
        "8:9-8:23",
        "5:7-5:13",
    ]


def test_diagnostics_get_position_and_line(tmp_path):
    """By address and path, in the order of the files; those that have a place keep it."""
    (tmp_path / "f.yaml").write_text(TEXT)
    sources = {Address("a", "first"): ("f.yaml", 0), Address("a", "second"): ("f.yaml", 1)}
    placed = Span("e.yaml", 1, 1, 1, 2)
    given = [
        Diagnostic("SF201", "Nowhere", "about no resource"),
        Diagnostic("SF201", "Second", "d", address=Address("a", "second"), path=("inputs", "data")),
        Diagnostic("SF201", "First", "d", address=Address("a", "first")),
        Diagnostic("SF201", "Other", "d", address=Address("a", "undeclared")),
        Diagnostic("SF201", "Placed", "d", address=Address("a", "first"), span=placed),
    ]
    found = located(given, sources, tmp_path)
    assert [(each.summary, str(each.span), each.snippet) for each in found] == [
        ("Placed", "e.yaml:1:1", None),
        ("First", "f.yaml:2:7", "name: first"),
        ("Second", "f.yaml:7:9", "  data: x"),
        ("Nowhere", "None", None),
        ("Other", "None", None),
    ]


def test_a_file_that_is_gone_leaves_the_diagnostic(tmp_path):
    """It was there a moment ago; the message is still worth telling."""
    given = Diagnostic("SF201", "First", "d", address=Address("a", "first"))
    assert located([given], {Address("a", "first"): ("gone.yaml", 0)}, tmp_path) == (given,)


def test_positions_end_before_a_key_that_is_no_text():
    """The reader stops there too; what stands before it keeps its positions."""
    (positions,) = positions_of("kind: Pool\n? local:\n    slots: 2\n  more: 1\n", "f.yaml")
    assert str(positions.value(("kind",))) == "f.yaml:1:7"
    assert positions.key(("slots",)) is None
