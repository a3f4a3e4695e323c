"""Where every value of a YAML file stands. Made only when a message needs it: a second walk over the events."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.source import Span
from specforge.loading.syntax import split_lines
from specforge.loading.yaml_reader import MAX_DEPTH, parser_of

Path = tuple[str | int, ...]


class Positions:
    """The positions of one document: of each path (keys, indices) the value's span and, in a mapping, its key's.

    `long` are the lists and mappings over several lines.
    """

    def __init__(self) -> None:
        self.values: dict[Path, Span] = {}
        self.keys: dict[Path, Span] = {}
        self.long: set[Path] = set()

    def key(self, path: Path) -> Span | None:
        """Return the span of the key at this path, if there is one."""
        return self.keys.get(path)

    def value(self, path: Path) -> Span | None:
        """Return the span of the value at this path, or of its nearest existing ancestor.

        A list or mapping over several lines is shown by its key. The document itself is shown by its `name`, else by
        its `kind`, else by its beginning.
        """
        for length in range(len(path), 0, -1):
            nearest = path[:length]
            if nearest in self.values:
                return self.keys.get(nearest, self.values[nearest]) if nearest in self.long else self.values[nearest]
        return self.values.get(("name",)) or self.values.get(("kind",)) or self.values.get(())


def positions_of(text: str, file: str) -> list[Positions]:
    """Return the positions of every document, also empty ones, as far as the text can be read."""
    import yaml

    documents: list[Positions] = []
    # The reader has told of an error; what stands before it has its positions.
    with suppress(yaml.YAMLError):
        _fill(parser_of(text), file, documents)
    return documents


def _fill(parser: Any, file: str, documents: list[Positions]) -> None:
    from yaml import events

    frames: list[_Frame] = []
    while True:
        event = parser.get_event()
        if event is None or isinstance(event, events.StreamEndEvent) or len(frames) > MAX_DEPTH:
            return
        if isinstance(event, events.DocumentStartEvent):
            documents.append(Positions())
            frames = []
        elif isinstance(event, events.CollectionEndEvent):
            frame = frames.pop()
            if frame.flow:
                begin, end = documents[-1].values[frame.path], _span(event, file)
                whole = Span(file, begin.line, begin.column, end.end_line, end.end_column)
                documents[-1].values[frame.path] = whole
                if whole.line == whole.end_line:
                    documents[-1].long.discard(frame.path)
        elif isinstance(event, events.CollectionStartEvent) and frames and frames[-1].awaits_key:
            return  # a list or mapping as a key: the reader has told of it, and stopped here too
        elif isinstance(event, events.NodeEvent):
            _place(event, frames, documents[-1], _span(event, file))


class _Frame:
    """A list or mapping that is open; `key` is the key whose value comes next."""

    def __init__(self, path: Path, *, mapping: bool, flow: bool) -> None:
        self.path = path
        self.mapping = mapping
        self.flow = flow
        self.key: str | None = None
        self.count = 0

    @property
    def awaits_key(self) -> bool:
        """Whether the next node is a key."""
        return self.mapping and self.key is None


def _place(event: Any, frames: list[_Frame], positions: Positions, span: Span) -> None:
    from yaml import events

    path: Path = ()
    if frames:
        frame = frames[-1]
        if frame.awaits_key:
            frame.key = getattr(event, "value", "")
            positions.keys.setdefault((*frame.path, str(frame.key)), span)
            return
        path = (*frame.path, frame.count if frame.key is None else frame.key)
        frame.key = None
        frame.count += 1
    positions.values.setdefault(path, span)
    if isinstance(event, events.CollectionStartEvent):
        positions.long.add(path)
        mapping = isinstance(event, events.MappingStartEvent)
        frames.append(_Frame(path, mapping=mapping, flow=bool(event.flow_style)))


def _span(event: Any, file: str) -> Span:
    mark, end = event.start_mark, event.end_mark
    return Span(file, mark.line + 1, mark.column + 1, end.line + 1, end.column + 1)


class Problem(NamedTuple):
    """Something wrong at a path of a document, not yet at its position; `at_key`: the key is wrong, not the value."""

    path: Path
    code: str
    summary: str
    detail: str
    hint: str | None = None
    at_key: bool = False


class SourceFile:
    """A YAML file that was read: its name relative to the project, its text and, once asked for, its positions."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    @cached_property
    def positions(self) -> list[Positions]:
        """The positions of every document."""
        return positions_of(self.text, self.name)

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return split_lines(self.text)

    def span(self, document: int, path: Path, *, at_key: bool = False) -> Span | None:
        """Return where the value (or the key) of this path stands; None if there is no such document."""
        if document >= len(self.positions):
            return None
        positions = self.positions[document]
        return (positions.key(path) if at_key else None) or positions.value(path)

    def snippet(self, span: Span | None) -> str | None:
        """Return the line that the span begins on."""
        return self.lines[span.line - 1] if span is not None and span.line <= len(self.lines) else None

    def diagnostic(self, document: int, problem: Problem, address: Address | None = None) -> Diagnostic:
        """Return the problem as a diagnostic at its position."""
        span = self.span(document, problem.path, at_key=problem.at_key)
        return Diagnostic(
            problem.code,
            problem.summary,
            problem.detail,
            hint=problem.hint,
            address=address,
            path=problem.path,
            span=span,
            snippet=self.snippet(span),
        )
