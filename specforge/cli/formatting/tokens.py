"""The words of a YAML text; between them stand only spaces, line ends and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from specforge.loading.yaml_reader import parser_of

_COMMENT = re.compile(r"#[^\n\x85\u2028\u2029]*")


class Token(NamedTuple):
    """One token of the YAML scanner.

    `kind` is the scanner's word for it (`Scalar`, `BlockEntry`, …); `start` and `end` are offsets in the text, equal
    for what is no characters (the beginning of a mapping); `line` and `column` count from 0; `value` is what a scalar
    says, or the name of an anchor or alias; `style` how it is written (a quote, `|`, `>`; empty: plain).
    """

    kind: str
    start: int
    end: int
    line: int
    column: int
    value: str = ""
    style: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the token is made of characters."""
        return self.end > self.start

    @property
    def is_block_scalar(self) -> bool:
        """Whether it is a text over lines of its own, after `|` or `>`."""
        return self.style in ("|", ">")


def tokens_of(text: str) -> Iterator[Token]:
    """Give the tokens of a text that the reader accepts; its lines end in a newline only."""
    get = parser_of(text).get_token
    while (token := get()) is not None:
        begin, kind = token.start_mark, _kind(token.__class__)
        value = style = ""
        if kind == "Scalar":
            value, style = token.value, token.style or ""
        elif kind in ("Anchor", "Alias"):
            value = token.value
        yield Token(kind, begin.index, token.end_mark.index, begin.line, begin.column, value, style)


@cache
def _kind(token: type) -> str:
    return token.__name__.removesuffix("Token")


def comments_of(text: str) -> list[str]:
    """Return the comments of a text, in order, without the spaces at their ends."""
    found: list[str] = []
    before = 0
    for token in tokens_of(text):
        if not token.is_text:
            continue
        found += _comments(text[before : token.start])
        if token.is_block_scalar:
            found += _comments(text[token.start : token.end].partition("\n")[0])
        before = token.end
    return found + _comments(text[before:])


def _comments(gap: str) -> list[str]:
    return [each.rstrip() for each in _COMMENT.findall(gap)]
