"""`spec fmt` as a function of texts: what is laid out anew, and that nothing is lost or changed."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from specforge.cli.formatting import formatted, key_order
from specforge.cli.formatting.tokens import comments_of
from specforge.core.errors import ConfigError
from specforge.loading.plugins import installed_kinds
from specforge.loading.yaml_reader import read

ORDER = key_order(installed_kinds())


def fmt(text: str) -> str:
    """Return the formatted text; formatting it again changes nothing."""
    made = formatted(text, "a.yaml", ORDER)
    assert formatted(made, "a.yaml", ORDER) == made
    return made


CASES = {
    "indentation": ("a:\n    b:\n          c: 1\n", "a:\n  b:\n    c: 1\n"),
    "lists under keys": ("a:\n- 1\n-   b: 2\n    c: 3\n", "a:\n  - 1\n  - b: 2\n    c: 3\n"),
    "lists in lists": ("a:\n-   - 1\n    - 2\n-\n    - 3\n", "a:\n  - - 1\n    - 2\n  -\n    - 3\n"),
    "spaces": ("a :   1\nb: {x:   1 ,y: [ 2,3 ]}   # c \n", "a: 1\nb: {x: 1, y: [2, 3]}   # c\n"),
    "blank lines": ("\n\na: 1\n\n\n\nb: 2\n\n", "a: 1\n\nb: 2\n"),
    "between documents": ("a: 1\n\n---\n\n\nb: 2\n\n\n---\n", "a: 1\n---\nb: 2\n---\n"),
    "no line end": ("a: 1", "a: 1\n"),
    "windows": ("a:\r\n    b: 1\r\n", "a:\r\n  b: 1\r\n"),
    "old mac": ("a: 1\rb: 2\r", "a: 1\nb: 2\n"),
    "a text without a line end": ("a: |\n   x", "a: |\n  x"),
    "quotes": ("a: 'x y'\nb: 'it''s'\nc: 'a \"b\"'\nd: 'a\\b'\n", 'a: "x y"\nb: "it\'s"\nc: \'a "b"\'\nd: \'a\\b\'\n'),
    "quotes that others need": (
        "a: no\nb: 1_000\nc: 12:30\nd: 010\ne: 1e-4\n",
        'a: "no"\nb: "1_000"\nc: "12:30"\nd: 010\ne: 1e-4\n',
    ),
    "keys keep their quotes": ("'a': 1\non: 2\n", "'a': 1\non: 2\n"),
    "texts over lines": (
        "a:\n   b: |\n        x\n          y\n\n        z\n   c: 1\n",
        "a:\n  b: |\n    x\n      y\n\n    z\n  c: 1\n",
    ),
    "texts with an indentation": ("a:\n    b: |2\n         x\n", "a:\n  b: |2\n       x\n"),
    "texts in bare lists": ("a:\n- |2\n   x\n- y\n", "a:\n  - |2\n     x\n  - y\n"),
    "texts that keep their end": (
        "a: |+\n   x\n\n\nb: >-\n     y\n\n\n\nc: 1\n",
        "a: |+\n  x\n\n\nb: >-\n  y\n\nc: 1\n",
    ),
    "spaces inside of texts": ("a: |\n   x  \n     \n  \nb: 1\n", "a: |\n  x  \n    \n\nb: 1\n"),
    "plain texts over lines": ('a: one\n      two\nb: "x\n      y \\\n   z"\n', 'a: one\n  two\nb: "x\n  y \\\n  z"\n'),
    "long lines": (f"a: {'word ' * 60}end\n", f"a: {'word ' * 60}end\n"),
    "anchors": ("a: &x\n    b: 1\nc: *x\nd: [*x , &y 1]\n", "a: &x\n  b: 1\nc: *x\nd: [*x, &y 1]\n"),
    "brackets over lines": (
        "a: [\n 1, # one\n      {b: 2,\n c: 3}\n ]\n",
        "a: [\n  1, # one\n  {b: 2,\n    c: 3}\n]\n",
    ),
    "values on their own line": ("a:\n      x\nb:\n   {\n  c: 1\n }\n", "a:\n  x\nb:\n  {\n    c: 1\n  }\n"),
    "comments": (
        "# top\n\n#second\na:   # eol\n      # deep\n    b: 1\n   # after b\n# about c\nc: 2\n  # in c\n# end\n",
        "# top\n\n#second\na:   # eol\n  # deep\n  b: 1\n# after b\n# about c\nc: 2\n# in c\n# end\n",
    ),
    "comments after a text": (
        "a:\n    b: |  # why\n        x # no comment\n\n    # yes\nc: 1\n",
        "a:\n  b: |  # why\n    x # no comment\n\n  # yes\nc: 1\n",
    ),
    "comments only": ("\n# one\n\n\n   # two\n", "# one\n\n# two\n"),
    "nothing": ("", ""),
    "a byte order mark": ("\ufeffa:   1\n", "\ufeffa: 1\n"),
    "explicit keys": ("? a\n: 1\n", "? a\n: 1\n"),
    "empty values": ("a:\nb: {c: , d: }\ne: []\nf: [ ]\n", "a:\nb: {c: , d: }\ne: []\nf: []\n"),
    "ends of documents": ("a: 1\n...\n# c\n--- # d\nb: 2\n", "a: 1\n...\n# c\n--- # d\nb: 2\n"),
    "tabs before comments": ("a: 1\t# c\n", "a: 1  # c\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_layout(name: str) -> None:
    """Each piece of the layout, and formatting twice is formatting once."""
    before, after = CASES[name]
    assert fmt(before) == after


ORDERS = {
    "block": (
        "folder: x\n# why\nname: a\nkind: Store\ndescription: d\n",
        "kind: Store\n# why\nname: a\ndescription: d\nfolder: x\n",
    ),
    "flow": ("{folder: x, name: a,\n kind: Store}\n", "{kind: Store, name: a,\n  folder: x}\n"),
    "header stays": (
        "# about all\nname: a # n\n  # more\n\n# k\nkind: Store\n# tail\n---\nname: b\nkind: Store\n",
        "# about all\n\n# k\nkind: Store\nname: a # n\n# more\n# tail\n---\nkind: Store\nname: b\n",
    ),
    "unknown keys last": ("zzz: 1\nname: a\nyyy: 2\nkind: Store\n", "kind: Store\nname: a\nzzz: 1\nyyy: 2\n"),
    "unknown kinds as they are": ("name: a\nkind: Nothing\n", "name: a\nkind: Nothing\n"),
    "project": ("variables: {}\nname: a\nkind: Project\n", "kind: Project\nname: a\nvariables: {}\n"),
    "anchor after its alias": ("folder: &x a\nname: *x\nkind: Store\n", "folder: &x a\nname: *x\nkind: Store\n"),
    "anchor before its alias": ("name: &x a\nfolder: *x\nkind: Store\n", "kind: Store\nname: &x a\nfolder: *x\n"),
    "anchor given twice": ("folder: &x a\nname: &x b\nkind: Store\n", "folder: &x a\nname: &x b\nkind: Store\n"),
    "comments in brackets": ("{name: a, # c\n kind: Store}\n", "{name: a, # c\n  kind: Store}\n"),
    "no line end": ("name: a\nkind: Store", "kind: Store\nname: a\n"),
    "a text without a line end": (
        "name: a\nkind: Store\ndescription: |\n  x",
        "name: a\nkind: Store\ndescription: |\n  x",
    ),
    "items without a value": ("{name: a, b, kind: Store}\n", "{name: a, b, kind: Store}\n"),
    "texts over lines": (
        "description: |\n   x\n     \n   y: z\n\nname: a\n  \nkind: Store\n",
        "kind: Store\nname: a\ndescription: |\n  x\n    \n  y: z\n",
    ),
    "texts that keep the blank lines below them": (
        "description: |+\n  x\n\nname: a\nkind: Store\n",
        "description: |+\n  x\n\nname: a\nkind: Store\n",
    ),
    "further in": ("  name: a\n\n  kind: Store\n", "kind: Store\nname: a\n"),
    "a quoted kind": ('name: a\n"kind": "Store"\n', '"kind": "Store"\nname: a\n'),
    "lists under keys": ("outputs:\n- a\nkind: Store\n# n\nname: b\n", "kind: Store\n# n\nname: b\noutputs:\n  - a\n"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_keys(name: str) -> None:
    """`kind`, `name`, `description`, then as declared; comments go with their key; never where it would mean more."""
    before, after = ORDERS[name]
    assert fmt(before) == after


def test_broken_yaml_is_told_as_ever() -> None:
    """What the reader refuses is not formatted: the same diagnostics as of every command."""
    for text in ("a: [1\nb: 2\n", "a: 1\na: 2\n", "a: !!str 1\n", "a: ${x}: 1\n"):
        with pytest.raises(ConfigError) as caught:
            formatted(text, "a.yaml", ORDER)
        assert caught.value.diagnostics == read(text, "a.yaml").diagnostics


WORDS = st.sampled_from(
    [
        "x",
        "no",
        "1",
        "1e-4",
        "1_000",
        "a b",
        "it's",
        'say "x"',
        "a # b",
        "a: b",
        "${var.x}",
        "",
        " ",
        "#",
        "- x",
        "é",
        "~",
        "\\",
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=3)


@st.composite
def scalars(draw: st.DrawFn) -> str:
    """A value on one line, in one of the notations."""
    word = draw(WORDS)
    notation = draw(st.sampled_from(["plain", "single", "double"]))
    if notation == "plain":
        return draw(st.sampled_from(["x", "no", "1", "1e-4", "a b", "~", "a#b", "-x", "true"]))
    return json.dumps(word, ensure_ascii=False) if notation == "double" else "'" + word.replace("'", "''") + "'"


class Writer:
    """Writes a random document: every notation, every indentation, comments everywhere."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0
        self.lines: list[str] = []

    def comment(self) -> str:
        self.count += 1
        return f"# {self.count}" if self.draw(st.booleans()) else f"#{self.count}: [x"

    def end(self, line: str) -> None:
        if self.draw(st.integers(0, 3)) == 0:
            line += " " * self.draw(st.integers(1, 3)) + self.comment()
        self.lines.append(line + " " * self.draw(st.integers(0, 1)))
        for _ in range(self.draw(st.integers(0, 2)) if self.draw(st.booleans()) else 0):
            self.lines.append(self.draw(st.sampled_from(["", "   "])))

    def own_lines(self, below: int) -> None:
        """Comments on lines of their own, left of where a text after `|` could take them for its own."""
        for _ in range(self.draw(st.integers(0, 2)) if self.draw(st.integers(0, 2)) == 0 else 0):
            self.lines.append(" " * self.draw(st.integers(0, below)) + self.comment())

    def flow(self, depth: int) -> str:
        parts = [
            self.draw(scalars()) if depth > 1 or self.draw(st.booleans()) else self.flow(depth + 1)
            for _ in range(self.draw(st.integers(0, 3)))
        ]
        gap = self.draw(st.sampled_from(["", " ", "  "]))
        if self.draw(st.booleans()):
            return "[" + gap + f"{gap}, ".join(parts) + gap + "]"
        return "{" + gap + f"{gap}, ".join(f"k{index}: {gap}{each}" for index, each in enumerate(parts)) + gap + "}"

    def value(self, head: str, column: int, depth: int) -> None:
        """Write what follows `head`, which is `key:` or `-` in this column."""
        choice = self.draw(st.integers(0, 6 if depth < 3 else 3))
        if choice <= 1:
            self.end(f"{head} {self.draw(scalars())}")
        elif choice == 2:
            self.end(f"{head}  {self.flow(0)}")
        elif choice == 3:
            self.end_of_text(head, column)
        else:
            self.end(head)
            inner = column + self.draw(st.integers(1, 5))
            if choice == 4 and head.endswith(":"):
                self.items(self.draw(st.sampled_from([column, inner])) if self.in_map else inner, depth + 1)
            elif choice == 5:
                self.items(inner, depth + 1)
            else:
                self.mapping(inner, depth + 1)

    in_map = False

    def end_of_text(self, head: str, column: int) -> None:
        sign = self.draw(st.sampled_from(["|", ">", "|-", ">+", "|+"]))
        inner = column + self.draw(st.integers(1, 5))
        self.lines.append(f"{head} {sign}")
        for word in self.draw(TEXTS):
            text = word.strip() or ""
            self.lines.append(
                " "
                * (
                    inner
                    + (
                        self.draw(st.integers(0, 2))
                        if self.lines[-1].strip() not in ("", f"{head} {sign}".strip())
                        else 0
                    )
                )
                + text
                if text
                else ""
            )
        self.lines.extend([""] * self.draw(st.integers(0, 2)))

    def mapping(self, column: int, depth: int, keys: list[str] | None = None) -> None:
        for key in keys or [f"k{index}" for index in range(self.draw(st.integers(1, 3)))]:
            self.own_lines(column)
            self.in_map = True
            self.value(" " * column + key + ":", column, depth)

    def items(self, column: int, depth: int) -> None:
        for _ in range(self.draw(st.integers(1, 3))):
            self.own_lines(column)
            self.in_map = False
            self.value(" " * column + "-", column, depth)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file of several documents."""
    writer = Writer(draw)
    for index in range(draw(st.integers(1, 3))):
        if index or draw(st.booleans()):
            writer.lines.append("---")
        kind = draw(st.sampled_from(["Store", "Pool", "TrainingJob", "Nothing"]))
        keys = draw(st.permutations(["name", "zzz", "description", "inputs", "folder"]))[: draw(st.integers(1, 5))]
        writer.mapping(0, 0, list(keys))
        writer.lines.append(f"kind: {kind}")
        writer.own_lines(3)
    return draw(st.sampled_from(["\n", "\r\n"])).join(writer.lines) + draw(st.sampled_from(["", "\n"]))


@settings(max_examples=200)
@given(files())
def test_nothing_is_lost(text: str) -> None:
    """Documents and comments are the same before and after, for our reader and for another one; twice is once."""
    before = read(text.replace("\r\n", "\n"), "a.yaml")
    assume(not before.diagnostics)
    made = fmt(text)
    after = read(made.replace("\r\n", "\n"), "a.yaml")
    assert [each.data for each in after.documents] == [each.data for each in before.documents]
    assert sorted(comments_of(made.replace("\r\n", "\n"))) == sorted(comments_of(text.replace("\r\n", "\n")))
    assert other_reader(made) == other_reader(text)


def other_reader(text: str) -> str:
    """Return what ruamel.yaml reads, as text: a second opinion, by YAML 1.2."""
    return json.dumps(list(YAML(typ="safe", pure=True).load_all(io.StringIO(text))), sort_keys=True, default=str)
