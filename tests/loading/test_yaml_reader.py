"""The YAML reader: scalars of YAML 1.2, what it refuses, and that nothing in a file can make it crash or crawl."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from specforge.loading import yaml_reader
from specforge.loading.scalars import parse
from specforge.loading.yaml_reader import MAX_ALIASED, MAX_DEPTH, MAX_PROBLEMS, Document, read, read_text

SCALARS = {
    "1e-4": 0.0001,
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "-0": 0,
    "+7": 7,
    "1.10": 1.1,
    ".5": 0.5,
    ".5e1": 5.0,
    "1.": 1.0,
    "-1.5E+3": -1500.0,
    "no": "no",
    "on": "on",
    "Yes": "Yes",
    "true": True,
    "FALSE": False,
    "~": None,
    "null": None,
    "": None,
    "1_000": "1_000",
    "12:30:45": "12:30:45",
    "2026-11-20": "2026-11-20",
    "0b11": "0b11",
    "1.2.3": "1.2.3",
    ".": ".",
    "+": "+",
    "1e": "1e",
    "٣": "٣",
    "=": "=",
}


def data_of(text: str) -> list[object]:
    """Return the data of a text's documents, which must be free of problems."""
    result = read(text, "f.yaml")
    assert result.diagnostics == ()
    return [each.data for each in result.documents]


def messages(text: str) -> list[str]:
    """Return what the reader says of a text."""
    return [
        f"{each.code} {each.span.line}:{each.span.column} {each.detail}" for each in read(text, "f.yaml").diagnostics
    ]


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_plain_scalars_follow_yaml_1_2(text, value):
    """Numbers, booleans and null are those of the core schema, with their type; everything else is a text."""
    (document,) = data_of(f"key: {text}\n")
    assert document == {"key": value}
    assert type(document["key"]) is type(value)


def test_quoted_scalars_are_texts():
    """Quotes and block scalars make a text of everything."""
    assert data_of("a: '1'\nb: \"true\"\nc: |\n  1\nd: >-\n  null\n") == [
        {"a": "1", "b": "true", "c": "1\n", "d": "null"}
    ]


def test_keys_are_texts():
    """A key is what is written, whatever it looks like."""
    assert data_of("1: a\ntrue: b\nno: c\n1e3: d\n") == [{"1": "a", "true": "b", "no": "c", "1e3": "d"}]


def test_documents_are_counted_with_the_empty_ones():
    """Empty documents are left out, and the others keep their index."""
    result = read("---\n---\na: 1\n---\n# nothing\n---\n- b\n...\n", "f.yaml")
    assert result.documents == (Document(1, {"a": 1}), Document(3, ["b"]))


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "---\n", "\ufeff"])
def test_a_file_without_document_is_fine(text):
    """Nothing in it, nothing wrong."""
    assert data_of(text) == []


def test_simple_aliases_are_values():
    """An alias stands for what its anchor marks, a scalar or a list; anchors end with their document."""
    assert data_of("a: &x [1, 2]\nb: *x\nc: &y 1e1\nd: *y\ne: &z 'q'\nf: *z\n") == [
        {"a": [1, 2], "b": [1, 2], "c": 10.0, "d": 10.0, "e": "q", "f": "q"}
    ]
    assert messages("a: &x 1\n---\nb: *x\n") == ["SF106 3:4 no value before this one is marked `&x`"]


def test_duplicate_keys_name_the_first_one():
    """Also deep inside, also in another script; the document counts as unsound."""
    text = "a:\n  - x: 1\n    名: {k: 1, k: 2}\n---\nb: 1\n"
    assert messages(text) == ["SF105 3:15 the key `k` stands here twice, first on line 3"]
    assert [each.sound for each in read(text, "f.yaml").documents] == [False, True]


def test_all_problems_of_a_file_are_told():
    """What does not stop the parser is collected, over all documents."""
    found = messages("a: !!int 1\nb: .nan\n---\n<<: {}\nc: 1\nc: 2\n")
    assert found == [
        "SF106 1:4 the tag `!!int` is not allowed",
        "SF106 2:4 `.nan` is not a finite number",
        "SF106 4:1 `<<` is not part of YAML 1.2",
        "SF105 6:1 the key `c` stands here twice, first on line 5",
    ]


def test_endless_problems_stop_the_reading():
    """A file that is wrong on every line is left after a while."""
    result = read("a: 1\n" * 100_000, "f.yaml")
    assert (len(result.diagnostics), result.broken) == (MAX_PROBLEMS, True)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "&a ["])
def test_100_000_nested_levels_are_refused(opening):
    """Deep nesting does not crash the parser, and is one problem."""
    result = read(opening * 100_000, "f.yaml")
    assert result.broken
    assert len(result.diagnostics) == 1


def test_nesting_is_allowed_up_to_the_limit():
    """The limit itself is allowed, one level more is not."""
    deep = data_of("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert str(deep[0]) == "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert "more than 100 levels" in messages("[" * (MAX_DEPTH + 1))[0]


def test_alias_bombs_are_refused_in_width_and_depth():
    """Aliases of aliases are counted as what they stand for."""
    wide = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    wide += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    assert [f"stand for more than {MAX_ALIASED:,} values" in each for each in messages(wide)] == [True]
    deep = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 10_000))
    assert ["levels stand inside each other" in each for each in messages(deep)] == [True]


def test_a_number_of_a_million_digits_is_refused():
    """Python would take very long, or refuse with an error of its own."""
    assert messages("a: " + "9" * 1_000_000) == ["SF106 1:4 a number of 1000000 digits is too long"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {b: ${var.x}, c: 1}", "SF103 1:8 `${var.x}` inside `{}` or `[]` must be quoted"),
        ("a: [x, pre-${var.x}]", "SF103 1:12 `${var.x}` inside `{}` or `[]` must be quoted"),
        ("a: [x, ${var.x", "SF103 1:8 `${…}` inside `{}` or `[]` must be quoted"),
        ("a:\n\tb: 1", "SF103 2:1 a tab cannot indent"),
        ("a: 'x\ny: 2\n", "SF103 1:4 the file ends inside this quoted text"),
        ("名: 1\nb: \x07", "SF103 2:4 the character U+0007 cannot stand in YAML"),
        ("a: {x: 1\n\n\n", "SF103 1:9 `,` or `}` is expected here"),
        ("{a: 1}: 2", "SF106 1:1 a list or mapping cannot be a key"),
        ("&a x: 1\n*a : 2", "SF106 2:1 an alias cannot be a key"),
    ],
)
def test_syntax_errors_are_in_our_words(text, expected):
    """The message says what to change, at the place to change it."""
    assert messages(text) == [expected]


def test_documents_before_a_syntax_error_are_kept():
    """So that what they declare is not reported as missing; the file is marked as broken."""
    result = read("a: 1\n---\nb: [\n", "f.yaml")
    assert result.documents == (Document(0, {"a": 1}),)
    assert result.broken


def test_lines_end_in_every_way():
    """Windows ends of lines give the same data and positions."""
    assert data_of("a: 1\r\nb: |\r\n  x\r\n  y\r\n") == [{"a": 1, "b": "x\ny\n"}]
    assert messages("a: 1\r\nb: 1\r\nb: 2\r\n") == ["SF105 3:1 the key `b` stands here twice, first on line 2"]


@pytest.mark.parametrize(
    ("content", "summary", "line"),
    [
        (b"\x00\x01\x02", "Binary file", 1),
        ("a: 1".encode("utf-16"), "Not UTF-8", 1),
        (b"a: 1\nb: \xff\n", "Not UTF-8", 2),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path, content, summary, line):
    """Binary files and other encodings are named as what they are."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    problem = read_text(path, "x.yaml")
    assert (problem.summary, problem.span.line) == (summary, line)


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path):
    """A broken link is told, not raised."""
    (tmp_path / "x.yaml").symlink_to("nowhere")
    assert "no such file" in read_text(tmp_path / "x.yaml", "x.yaml").detail


def test_a_byte_order_mark_is_skipped(tmp_path):
    """Editors of Windows write one."""
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert data_of(read_text(tmp_path / "x.yaml", "x.yaml")) == [{"a": 1}]


def test_the_parser_in_python_reads_the_same(monkeypatch):
    """Where PyYAML has no C library, documents, problems and positions are the same."""
    text = "a: [1, 2e3, {b: c}]\nd: |\n  text\n名: &x {e: no}\nf: *x\n---\n- 'q'\n- a: 1\n  a: 2\n"
    fast = read(text, "f.yaml")
    monkeypatch.setitem(sys.modules, "yaml.cyaml", None)  # an import of it fails now
    assert type(yaml_reader.parser_of("")).__name__ == "PureParser"
    assert read(text, "f.yaml") == fast
    assert read("[" * 100_000, "f.yaml").diagnostics[0].summary == "Nested too deeply"
    assert "must be quoted" in messages("a: {b: ${var.x}}")[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ('"5"', "5"),
        ("'5'", "5"),
        ("1e-3", 0.001),
        ("no", "no"),
        ("a: b # c", "a: b # c"),
        ("", None),
        ('"', '"'),
    ],
)
def test_values_of_a_command_line_are_scalars(text, value):
    """As in a file, but a comment or a colon is part of the text."""
    assert parse(text) == value


TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=6)
NUMBERS = st.from_regex(r"[-+]?[0-9][0-9.]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True)
# ruamel.yaml still reads these as YAML 1.1 does.
OLD = {"0b11", "1_000", "12:30:45", "2026-11-20", "="}
WORDS = st.sampled_from([each for each in SCALARS if each and each[0] != "." and each not in OLD]) | NUMBERS
LEAVES = WORDS | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
KEYS = st.sampled_from(["a", "b2", "名", "with-dash", "no"])


def flow(inner):
    """Return strategies for lists and mappings in `[]` and `{}`."""
    lists = st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
    mappings = st.dictionaries(KEYS, inner, max_size=3)
    return lists | mappings.map(lambda items: "{" + ", ".join(f"{key}: {item}" for key, item in items.items()) + "}")


def block(items):
    """Return a block mapping of these values, as people write documents."""
    return "".join(f"{key}: {item}\n" for key, item in items.items()) or "{}\n"


def nested(items):
    """Return block mappings and a block list inside each other."""
    return "outer:\n" + "".join(f"  - {key}:\n      inner: {item}\n" for key, item in items.items())


FLOW = st.recursive(LEAVES, flow, max_leaves=6)
DOCUMENTS = st.dictionaries(KEYS, FLOW, max_size=5).map(block) | st.dictionaries(KEYS, FLOW, min_size=1).map(nested)


@settings(max_examples=200, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=2))
def test_agrees_with_ruamel(documents):
    """Any plain documents give the same data as ruamel.yaml with YAML 1.2 gives."""
    text = "---\n" + "---\n".join(documents)
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    expected = list(yaml.load_all(text))
    found = data_of(text)
    assert found == expected
    assert repr(found) == repr(expected)  # 1, 1.0 and True are equal, but not the same
