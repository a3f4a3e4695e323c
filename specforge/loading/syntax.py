"""What the YAML parser's errors mean to the user, in our words and at their positions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.source import Span

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_INDENTATION = "check the indentation"
_PROBLEMS = (
    ("mapping values are not allowed", "a `:` cannot stand here", f"quote a text that holds `: `, and {_INDENTATION}"),
    ("expected key", "a `key: value` of this mapping is expected here", _INDENTATION),
    ("could not find expected ':'", "`key:` is expected here", "is a `:` missing, or a quote not closed?"),
    ("expected node content", "a value, or the end of a `{` or `[`, is expected here", "close the bracket"),
    ("expected '-' indicator", "a `- ` item of this list is expected here", _INDENTATION),
    ("expected ',' or '}'", "`,` or `}` is expected here", "close the `{`, or quote a text that holds `{ } [ ] ,`"),
    ("expected ',' or ']'", "`,` or `]` is expected here", "close the `[`, or quote a text that holds `{ } [ ] ,`"),
    ("character that cannot start any token", "no value can begin with this character", "quote the text"),
    ("unexpected end of stream", "the file ends inside this quoted text", "close the quote"),
    ("unknown escape character", "this escape means nothing", "write a backslash twice, or use single quotes"),
    ("unexpected document indicator", "the document ends inside this quoted text", "close the quote"),
)
"""How the parser's message begins, the cause in our words, the hint."""


_BEGINNINGS = {
    "while parsing a block collection": "the list",
    "while parsing a block mapping": "the mapping",
    "while parsing a flow mapping": "the `{`",
    "while parsing a flow sequence": "the `[`",
    "while scanning a simple key": "what should be a key",
}
"""What the parser says of where it is, and the thing that began there."""


def split_lines(text: str) -> list[str]:
    """Return the lines as the YAML parser counts them, without their ends."""
    return _LINE_BREAK.split(text)


def one_character(file: str, line: int, column: int) -> Span:
    """Return the span of one character; line and column count from 1."""
    return Span(file, line, column, line, column + 1)


def syntax_error(error: Any, text: str, file: str) -> Diagnostic:
    """Return what a YAMLError of PyYAML says of `text`, as a diagnostic."""
    lines = split_lines(text)
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _unprintable(text, lines, file, str(error))
    problem = (error.problem or "the text cannot be read").removeprefix("found ")
    problem = problem.replace("did not find expected", "expected")
    if problem.startswith("unexpected") and error.context_mark is not None:
        mark = error.context_mark
    line, column = mark.line, mark.column
    if line >= len(lines) or (column == 0 and not lines[line].strip()):
        # The parser stops after the last line; people look at the last line that says something.
        line = max((number for number, each in enumerate(lines[: line + 1]) if each.strip()), default=0)
        column = len(lines[line].rstrip())
    return _explained(error, problem, lines[line], one_character(file, line + 1, column + 1))


def _explained(error: Any, problem: str, line: str, span: Span) -> Diagnostic:
    before, here = line[: span.column - 1], line[span.column - 1 :]
    if before.endswith("$") and here.startswith("{"):
        shown = "$" + here[: here.find("}") + 1] if "}" in here else "${…}"
        span = Span(span.file, span.line, span.column - 1, span.line, span.column - 1 + len(shown))
        detail = f"`{shown}` inside `{{}}` or `[]` must be quoted"
        return Diagnostic("SF103", "Unquoted `${…}`", detail, hint=f'write `"{shown}"`', span=span, snippet=line)
    if here.startswith("\t"):
        hint = "YAML is indented with spaces"
        return Diagnostic("SF103", "Tab in the indentation", "a tab cannot indent", hint=hint, span=span, snippet=line)
    cause, todo = _in_words(problem)
    context, note = error.context_mark, None
    if context is not None and context.line + 1 < span.line and error.context in _BEGINNINGS:
        note = f"{_BEGINNINGS[error.context]} begins on line {context.line + 1}"
    return Diagnostic("SF103", "Invalid YAML", cause, hint=todo, span=span, snippet=line, note=note)


def _in_words(problem: str) -> tuple[str, str | None]:
    for start, cause, todo in _PROBLEMS:
        if problem.startswith(start):
            return cause, todo
    return problem, None


def _unprintable(text: str, lines: Sequence[str], file: str, otherwise: str) -> Diagnostic:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return Diagnostic("SF103", "Invalid YAML", otherwise, span=one_character(file, 1, 1), snippet=lines[0])
    before = split_lines(text[: found.start()])
    span = one_character(file, len(before), len(before[-1]) + 1)
    escape = f"\\x{ord(found.group()):02X}" if ord(found.group()) < 0x100 else f"\\u{ord(found.group()):04X}"
    detail = f"the character U+{ord(found.group()):04X} cannot stand in YAML"
    hint = f"in double quotes, write it as `{escape}`"
    return Diagnostic("SF103", "Control character", detail, hint=hint, span=span, snippet=lines[span.line - 1])
