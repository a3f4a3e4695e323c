"""YAML text to plain data: our own walk over PyYAML's events, strict and fast.

Scalars follow YAML 1.2. Keys are always texts. Refused, each with its position: duplicate keys, tags, merge keys,
numbers that are not finite, nesting deeper than `MAX_DEPTH` and aliases that blow a file up. The walk keeps no
positions; `positions.py` finds them again when a message needs one.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.source import Span
from specforge.loading import scalars
from specforge.loading.syntax import split_lines, syntax_error

if TYPE_CHECKING:
    from specforge.loading.positions import Positions

MAX_DEPTH = 100
"""Levels of nesting that a document may have."""

MAX_PROBLEMS = 100
"""Problems that are collected in one file before the reading stops."""

MAX_ALIASED = 100_000
"""Values that the aliases of one file may stand for, all together."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its place in the file, counted from 0, and its data; aliased parts are the same object.

    Not `sound`: the reader has refused something in it, so that its data are not all that the user wrote.
    """

    index: int
    data: Any
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds. With `broken`, the reading stopped early: what follows the error is not in `documents`."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    broken: bool = False


def read(text: str, file: str) -> Read:
    """Read every document of a text; `file` is its name in messages. Empty documents are left out."""
    walk = _Walk(text, file)
    broken = False
    try:
        walk.run()
    except _StopReadingError:
        broken = True
    documents = (Document(index, data, index not in walk.unsound) for index, data in enumerate(walk.roots))
    return Read(tuple(each for each in documents if each.data is not None), tuple(walk.diagnostics), broken)


def read_text(path: Path, name: str) -> str | Diagnostic:
    """Return the text of a YAML file, or why it cannot be read; `name` is the file's name in messages."""
    whole = Span(name, 1, 1, 1, 1)
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            # A pipe would be waited for, a device read for ever.
            hint = "take it out of the folder of specs"
            return Diagnostic("SF102", "Unreadable file", f"`{name}` is not a file", hint=hint, span=whole)
        data = path.read_bytes()
    except OSError as error:
        detail = f"`{name}` cannot be read: {(error.strerror or str(error)).lower()}"
        hint = "repair the link, or take it away" if path.is_symlink() else "check who may read it"
        return Diagnostic("SF102", "Unreadable file", detail, hint=hint, span=whole)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        hint = "save it as UTF-8, or take it out of the folder of specs"
        return Diagnostic("SF102", "Not UTF-8", "this file is UTF-16", hint=hint, span=whole)
    if b"\0" in data:
        hint = "take it out of the folder of specs, or give it another ending than .yaml"
        return Diagnostic("SF102", "Binary file", "this file is not a text", hint=hint, span=whole)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        detail = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        span = Span(name, line, column, line, column + 1)
        return Diagnostic("SF102", "Not UTF-8", detail, hint="save the file as UTF-8", span=span)


def parser_of(text: str) -> Any:
    """Return a parser that gives PyYAML events: the one in C, or the one in Python where C is missing."""
    try:
        from yaml.cyaml import CParser  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        return pure_parser_of(text)
    return CParser(text)


def pure_parser_of(text: str) -> Any:
    """Return PyYAML's parser in Python."""
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class PureParser(Reader, Scanner, Parser):
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)

    return PureParser(text)


class _StopReadingError(Exception):
    """The rest of the file cannot be read; its diagnostic is already kept."""


class _Walk:
    """One pass over the events of a text."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.roots: list[Any] = []
        self.diagnostics: list[Diagnostic] = []
        self.stack: list[tuple[Any, str | None, str | None]] = []
        self.anchors: dict[str, Any] = {}
        self.aliased = 0
        self.weights: dict[int, tuple[int, int]] = {}
        self.values = scalars.Values()
        self.unsound: set[int] = set()

    def run(self) -> None:
        """Fill `roots` and `diagnostics`; raises _StopReadingError where the rest cannot be read."""
        import yaml

        try:
            self._build(parser_of(self.text).get_event)
        except yaml.YAMLError as error:
            self.diagnostics.append(syntax_error(error, self.text, self.file))
            raise _StopReadingError from error

    def _build(self, get: Callable[[], Any]) -> None:
        from yaml import events

        scalar, alias, mapping, sequence = (
            events.ScalarEvent, events.AliasEvent, events.MappingStartEvent, events.SequenceStartEvent,
        )  # fmt: skip
        ends = (events.MappingEndEvent, events.SequenceEndEvent)
        stack, values = self.stack, self.values
        into: Any = self.roots
        key: str | None = None
        # One loop with local names: it runs once for every word of every spec.
        while True:
            event = get()
            kind = event.__class__
            if kind is scalar:
                if event.tag is not None or event.anchor is not None:
                    self._mark(event)
                value = event.value
                if key is None and into.__class__ is dict:
                    key = value
                    if key in into or key == "<<":
                        self._check_key(event, into, key)
                    continue
                if not event.style:
                    try:
                        value = values[value]
                    except ValueError as error:
                        self._refuse(event, "Not a number", str(error), 'a text is written in quotes: "…"')
            elif kind is mapping or kind is sequence:
                self._enter(event, into, key)
                into, key = {} if kind is mapping else [], None
                continue
            elif kind in ends:
                value = into
                into, key, anchor = stack.pop()
                if anchor is not None:
                    self.anchors[anchor] = value
            elif kind is alias:
                value = self._aliased(event, into, key)
            elif kind is events.StreamEndEvent:
                return
            else:
                self.anchors.clear()
                continue
            if key is None:
                into.append(value)
            else:
                into.setdefault(key, value)
                key = None

    def _enter(self, event: Any, into: Any, key: str | None) -> None:
        if key is None and into.__class__ is dict:
            self._refuse(event, "Key is not a text", "a list or mapping cannot be a key", None)
            raise _StopReadingError
        if event.tag is not None:
            self._mark(event)
        if len(self.stack) >= MAX_DEPTH:
            detail = f"more than {MAX_DEPTH} levels of lists and mappings inside each other"
            self._refuse(event, "Nested too deeply", detail, "a spec needs only a few levels")
            raise _StopReadingError
        self.stack.append((into, key, event.anchor))

    def _mark(self, event: Any) -> None:
        """Deal with what only few values have: a tag, which is refused, or an anchor on a scalar, which is kept."""
        if event.tag is not None:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, "YAML tag", f"the tag `{shown}` is not allowed", "leave it out; a text is quoted")
        elif event.style:
            self.anchors[event.anchor] = event.value
        else:
            try:
                self.anchors[event.anchor] = self.values[event.value]
            except ValueError:
                self.anchors[event.anchor] = None  # refused where the value is stored

    def _check_key(self, event: Any, into: dict[str, Any], key: str) -> None:
        if key == "<<" and not event.style:
            self._refuse(event, "Merge key", "`<<` is not part of YAML 1.2", "write the fields out")
        elif key in into:
            first = self.positions[len(self.roots)].key((*self._path(), key))
            detail = f"the key `{key}` stands here twice" + (f", first on line {first.line}" if first else "")
            self._refuse(event, "Duplicate key", detail, "keep one of the two", code="SF105")

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return split_lines(self.text)

    @cached_property
    def positions(self) -> list[Positions]:
        """The positions of every document of the text."""
        from specforge.loading.positions import positions_of

        return positions_of(self.text, self.file)

    def _path(self) -> tuple[str | int, ...]:
        """Return where the container that is being filled stands in its document."""
        return tuple(len(into) if key is None else key for into, key, _ in self.stack[1:])

    def _aliased(self, event: Any, into: Any, key: str | None) -> Any:
        if key is None and into.__class__ is dict:
            self._refuse(event, "Key is not a text", "an alias cannot be a key", "write the key out")
            raise _StopReadingError
        if event.anchor not in self.anchors:
            detail = f"no value before this one is marked `&{event.anchor}`"
            self._refuse(event, "Unknown alias", detail, None)
            return None
        value = self.anchors[event.anchor]
        weight, height = self._weigh(value)
        self.aliased += weight
        if self.aliased > MAX_ALIASED or len(self.stack) + height > MAX_DEPTH:
            detail = f"`*{event.anchor}` makes this file stand for more than {MAX_ALIASED:,} values"
            if self.aliased <= MAX_ALIASED:
                detail = f"with `*{event.anchor}` more than {MAX_DEPTH} levels stand inside each other"
            self._refuse(event, "Aliases explode", detail, "write the values out")
            raise _StopReadingError
        return value

    def _weigh(self, value: Any) -> tuple[int, int]:
        """Return how many values an alias stands for, and how many levels; each shared part is counted once here."""
        if not isinstance(value, dict | list):
            return 1, 0
        known = self.weights.get(id(value))
        if known is None:
            parts = [self._weigh(each) for each in (value.values() if isinstance(value, dict) else value)]
            weight = 1 + sum(weight for weight, _ in parts)
            known = self.weights[id(value)] = (weight, 1 + max((height for _, height in parts), default=0))
        return known

    def _refuse(self, event: Any, summary: str, detail: str, hint: str | None, code: str = "SF106") -> None:
        mark, end = event.start_mark, event.end_mark
        span = Span(self.file, mark.line + 1, mark.column + 1, end.line + 1, end.column + 1)
        self.unsound.add(len(self.roots))
        self.diagnostics.append(
            Diagnostic(code, summary, detail, hint=hint, span=span, snippet=self.lines[span.line - 1])
        )
        if len(self.diagnostics) >= MAX_PROBLEMS:
            raise _StopReadingError
