"""A YAML text laid out anew: indentation, spaces, blank lines, quotes. Every word and every comment stays.

The text is walked by its tokens; only what stands between them is written anew, and the lines of a text over several
lines are moved as a whole. So there is nothing that could be lost on a way through objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import field
from functools import cache
from typing import Any

from specforge.cli.formatting.tokens import Token, tokens_of
from specforge.core.making import dataclass
from specforge.loading import scalars

STEP = 2
"""Columns of one level."""
_OPEN = ("FlowMappingStart", "FlowSequenceStart")
_CLOSE = ("FlowMappingEnd", "FlowSequenceEnd")
_OUTSIDE = ("DocumentStart", "DocumentEnd", "StreamEnd", "Directive")
_LINE_END = re.compile("[\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class _Block:
    """A block mapping or list that is open: its column in the old text and in the new one.

    `bare`: a list whose dashes stand right under its key, whose beginning the scanner does not tell. `base` is the old
    column that the number of `|2` inside of it counts from.
    """

    old: int
    new: int
    is_list: bool
    base: int
    bare: bool = False


def laid_out(text: str) -> str:
    """Return the text laid out; `text` is one that the reader accepts, whose lines end in a newline only."""
    return _Layout(text).run()


@dataclass
class _Layout:
    """One walk over the tokens: what is written so far, and where the walk is.

    `around` are the blocks that were open at the last word; `end` is where that word ended in the old text; `flow`
    counts the open brackets, the first of which stands on a line that begins in column `base`; `at_key`: the next
    scalar is a key.
    """

    text: str
    out: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    around: list[_Block] = field(default_factory=list)
    previous: Token | None = None
    end: int = 0
    flow: int = 0
    base: int = 0
    line_begins: int = 0
    at_key: bool = False

    @property
    def inside(self) -> int:
        """The new column of what stands inside the innermost block."""
        return self.blocks[-1].new + STEP if self.blocks else 0

    def run(self) -> str:
        """Return the new text."""
        for token in tokens_of(self.text):
            self._structure(token)
            if not token.is_text and token.kind != "StreamEnd":
                continue
            self._between(token)
            self.end = token.end
            self.out.append(self._word(token))
            self.around = [] if token.kind in _OUTSIDE else list(self.blocks)
            self.previous = token
            if token.kind in _OPEN:
                if not self.flow:
                    self.base = max(self.line_begins, self.blocks[-1].new if self.blocks else 0)
                self.flow += 1
            self.at_key = self.at_key and token.kind != "Scalar"
        return "".join(self.out)

    def _structure(self, token: Token) -> None:
        """Open and close blocks."""
        blocks = self.blocks
        if token.kind in ("BlockMappingStart", "BlockSequenceStart"):
            blocks.append(_Block(token.column, self.inside, token.kind == "BlockSequenceStart", token.column))
        elif token.kind == "BlockEntry" and not blocks[-1].is_list:
            blocks.append(_Block(token.column, self.inside, True, blocks[-1].base, bare=True))
        elif token.kind == "BlockEnd" or (token.kind == "Key" and not self.flow):
            if blocks[-1].bare:
                blocks.pop()
            if token.kind == "BlockEnd":
                blocks.pop()
        elif token.kind in _CLOSE:
            self.flow -= 1
        if token.kind in ("Key", "Value"):
            self.at_key = token.kind == "Key"

    # ---- between two words ----

    def _between(self, token: Token) -> None:
        """Write the spaces, comments and line ends before a word."""
        first, *lines = _LINE_END.split(self.text[self.end : token.start])
        if self.previous is None:
            first, lines = "", [first, *lines]
        if "#" in first:
            spaces, _, comment = first.partition("#")
            self.out.append(f"{spaces.expandtabs(STEP) or ' '}#{comment.rstrip()}")
        if token.kind == "StreamEnd":
            self._comment_lines(lines, token)
            if self.out and not (not lines and self.previous is not None and self.previous.is_block_scalar):
                self.out.append("\n")  # a text after `|` that ends without a line end would get one
        elif lines:
            self._comment_lines(lines[:-1], token)
            self._begin_line(self._indent(token))
        else:
            self.out.append(self._space(token))

    def _begin_line(self, column: int) -> None:
        self.out.append(("\n" if self.out else "") + " " * column)
        self.line_begins = column

    def _comment_lines(self, lines: list[str], token: Token) -> None:
        """Write the comments between two words: never two blank lines, and none beside `---`."""
        blank = False
        begins = self.previous is None or self.previous.kind in _OUTSIDE
        for line in lines:
            comment = line.strip()
            if not comment:
                blank = not begins
                continue
            if blank:
                self.out.append("\n")
            self._begin_line(self._comment_column(len(line) - len(line.lstrip()), token))
            self.out.append(comment)
            blank = begins = False
        if blank and token.kind not in _OUTSIDE:
            self.out.append("\n")

    def _comment_column(self, old: int, token: Token) -> int:
        """Return where a comment line goes: with the word after it, or with the block before it if it is in that."""
        if self.flow or token.kind in _CLOSE:
            return self.base + STEP * (self.flow + (token.kind in _CLOSE))
        after = self._indent(token)
        if token.kind not in _OUTSIDE and old <= token.column:
            return after
        return max([after, *(each.new for each in self.around if each.old <= old)])

    def _indent(self, token: Token) -> int:
        """Return the column of a word that begins a line."""
        if token.kind in _OUTSIDE:
            return 0
        if self.flow or token.kind in _CLOSE:
            return self.base + STEP * self.flow
        if self.at_key or token.kind in ("BlockEntry", "Value"):
            return self.blocks[-1].new if self.blocks else 0
        return self.inside

    def _space(self, token: Token) -> str:
        """Return what stands between this word and the one before it on the same line."""
        before = self.previous.kind if self.previous else ""
        if token.kind == "Value":
            return " " if before == "Alias" else ""
        if before == "Value":
            return " "
        return "" if before in _OPEN or token.kind in (*_CLOSE, "FlowEntry") else " "

    # ---- words ----

    def _word(self, token: Token) -> str:
        written = self.text[token.start : token.end]
        if token.kind != "Scalar":
            return written.rstrip()
        if token.is_block_scalar:
            return self._block_scalar(token, written)
        if "\n" in written:
            first, *lines = written.split("\n")
            column = self.base + STEP * (self.flow + 1) if self.flow else self.inside
            moved = (each.lstrip(" \t") for each in lines)
            return "\n".join([first, *(" " * column + each if each else "" for each in moved)])
        return written if self.at_key else _quoted(token, written)

    def _block_scalar(self, token: Token, written: str) -> str:
        """Return a text after `|` or `>` at its new column; the blank lines that do not belong to it are left out."""
        header, *lines = written.split("\n")
        signs = header.partition("#")[0]
        number = re.search(r"\d", signs)
        if number:
            base = self.blocks[-1].base if self.blocks else 0
            old, new = base + int(number[0]), self.inside - (STEP if self.blocks else 0) + int(number[0])
        else:
            old = next((len(each) - len(each.lstrip(" ")) for each in lines if each.strip(" ")), len(written))
            new = self.inside if self.blocks else old
        if "+" in signs:
            lines = lines[:-1] if lines and not lines[-1] else lines
        else:
            while lines and not lines[-1].strip(" ") and len(lines[-1]) <= old:
                lines.pop()
        self.end = token.start + len("\n".join([header, *lines]))
        return "\n".join([header.rstrip(), *_shifted(lines, old, new)])


def _shifted(lines: list[str], old: int, new: int) -> Iterator[str]:
    for line in lines:
        yield " " * new + line[old:] if line[old:] else ""


def _quoted(token: Token, written: str) -> str:
    """Return a value with the quotes it needs: where another reader would take a text for something else, too."""
    plain = not token.style
    if token.style == "'" and token.value.isprintable() and not set('"\\') & set(token.value):
        return f'"{token.value}"'
    if plain and isinstance(scalars.resolve(written), str) and _is_ambiguous(written):
        return json.dumps(written, ensure_ascii=False)
    return written


@cache
def _is_ambiguous(text: str) -> bool:
    """Return whether YAML 1.1, which many tools still read, takes the text for a number, a date or a truth value."""
    from yaml.nodes import ScalarNode

    return bool(_resolver().resolve(ScalarNode, text, (True, False)) != "tag:yaml.org,2002:str")


@cache
def _resolver() -> Any:
    from yaml.resolver import Resolver

    return Resolver()
