"""Diagnostics as text with the user's line and a caret under the piece that is meant, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.source import Span
from specforge.render.text import Paint, columns, wrap

_STYLES = {Severity.ERROR: ("bold", "red"), Severity.WARNING: ("bold", "yellow")}
_TAB = "    "
_LEAST = 20
"""Columns of the user's line that are shown even in the narrowest terminal."""


def render_diagnostics(diagnostics: Iterable[Diagnostic], *, color: bool = False, width: int = 100) -> str:
    """Return the diagnostics as text, one block each with an empty line between; empty without diagnostics."""
    paint = Paint(color)
    return "\n".join("\n".join(_block(each, paint, width)) + "\n" for each in diagnostics)


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return the diagnostics as JSON data; what one does not have is left out."""
    return [_json(each) for each in diagnostics]


def _json(each: Diagnostic) -> dict[str, Any]:
    span = each.span
    whole = {
        "code": each.code,
        "severity": each.severity.value,
        "summary": each.summary,
        "detail": each.detail,
        "hint": each.hint,
        "note": each.note,
        "address": str(each.address) if each.address is not None else None,
        "path": list(each.path) or None,
        "file": span.file if span is not None else None,
        "line": span.line if span is not None else None,
        "column": span.column if span is not None else None,
        "end_line": span.end_line if span is not None else None,
        "end_column": span.end_column if span is not None else None,
    }
    return {key: value for key, value in whole.items() if value is not None}


def _block(each: Diagnostic, paint: Paint, width: int) -> list[str]:
    lines = [paint(f"{each.severity.value}[{each.code}]", *_STYLES[each.severity]) + paint(f": {each.summary}", "bold")]
    gutter = ""
    if each.span is None:
        about = f"{each.address}: " if each.address is not None else ""
        lines += wrap(about + _safe(each.detail), width, "  ", "  ")
    elif each.snippet is None:
        lines.append("  " + paint("┌", "blue") + f" {_safe(str(each.span))}")
        lines += [f"  {paint('│', 'blue')} {line}" for line in wrap(_safe(each.detail), width - 4, "", "")]
    else:
        gutter = " " * len(str(each.span.line))
        lines += _snippet(each, each.span, each.snippet, gutter, paint, width)
    if each.note is not None:
        indent = f"{gutter} " if gutter else "  "
        lines += wrap("= " + _safe(each.note), width, indent, indent + "  ")
    if each.hint is not None:
        first, *more = wrap("hint: " + _safe(each.hint), width, "", "      ")
        lines += [paint("hint:", "cyan") + first.removeprefix("hint:"), *more]
    return lines


def _snippet(each: Diagnostic, span: Span, snippet: str, gutter: str, paint: Paint, width: int) -> list[str]:
    before, marked, after = _window(snippet, span, max(width - len(gutter) - 3, _LEAST))
    edge = paint("│", "blue")
    caret = "^" * max(columns(marked), 1)
    offset = " " * columns(before)
    lines = [
        f"{gutter} {paint('┌', 'blue')} {_safe(str(span))}",
        f"{paint(str(span.line), 'blue')} {edge} {before}{marked}{after}".rstrip(),
    ]
    style = _STYLES[each.severity]
    detail = _safe(each.detail)
    under = len(gutter) + 3 + columns(before) + columns(caret) + 1
    if under + columns(detail) <= width:
        return [*lines, f"{gutter} {edge} {offset}{paint(f'{caret} {detail}', *style)}"]
    lines.append(f"{gutter} {edge} {offset}{paint(caret, *style)}")
    # A long cause goes below, as far to the right as leaves room for it.
    room = max(width - len(gutter) - 3, _LEAST)
    indent = offset if columns(offset) + columns(detail) <= room else ""
    return [*lines, *(f"{gutter} {edge} {paint(line, *style)}" for line in wrap(detail, room, indent, indent))]


def _window(snippet: str, span: Span, room: int) -> tuple[str, str, str]:
    """Return the line before, in and after the span, cut at both ends so that the span is in sight."""
    begin = min(span.column - 1, len(snippet))
    end = span.end_column - 1 if span.end_line == span.line else len(snippet.rstrip())
    end = min(max(end, begin), len(snippet))
    before, marked, after = (_safe(each) for each in (snippet[:begin], snippet[begin:end], snippet[end:]))
    if columns(before + marked + after) <= room:
        return before, marked, after
    marked = _head(marked, room - 2)
    spare = room - columns(marked)
    wanted = max(spare - columns(after), spare // 2)
    if columns(before) > wanted:
        before = "…" + _tail(before, wanted - 1)
    return before, marked, _head(after, spare - columns(before))


def _head(text: str, room: int) -> str:
    """Return as much of the beginning as fits, with `…` where something is left out."""
    if columns(text) <= room:
        return text
    while text and columns(text) > room - 1:
        text = text[: max(room - 1, 0)] if len(text) > room else text[:-1]
    return text + "…" if room > 0 else ""


def _tail(text: str, room: int) -> str:
    """Return as much of the end as fits."""
    text = text[max(len(text) - max(room, 0), 0) :]
    while text and columns(text) > room:
        text = text[1:]
    return text


def _safe(text: str) -> str:
    """Return the text without what would steer the terminal; a tab takes four columns."""
    text = text.replace("\t", _TAB)
    return "".join(each if each.isprintable() or each == "\u200d" else "\ufffd" for each in text)
