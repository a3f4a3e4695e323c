"""The keys of documents in the order in which their kinds declare them. A comment above a key moves with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field

from specforge.cli.formatting.tokens import Token, tokens_of
from specforge.core.making import dataclass

_STARTS = ("BlockMappingStart", "BlockSequenceStart", "FlowMappingStart", "FlowSequenceStart")
_ENDS = ("BlockEnd", "FlowMappingEnd", "FlowSequenceEnd")

_SPACES = re.compile(r"^[ \t]+\n", re.MULTILINE)

OrderOf = Callable[[str], Sequence[str]]
"""From the word after `kind:` to the keys of its documents in order; empty: not known."""


@dataclass
class _Entry:
    """One key of a document with its value: where its first word begins, where its last one ends.

    `before` is the end of the last word before it; `names` are its anchors (`&x`) and aliases (`*x`) in order.
    """

    name: str
    start: int
    before: int
    end: int = 0
    value: str = ""
    names: list[str] = field(default_factory=list)


@dataclass
class _Root:
    """The mapping that a document is; `whole`: it is one that can be taken apart."""

    is_block: bool
    column: int
    end: int = 0
    entries: list[_Entry] = field(default_factory=list)
    whole: bool = True


def ordered(text: str, order_of: OrderOf) -> str:
    """Return the text with the keys of each document in order; `text` is one that the reader accepts."""
    for root in reversed(list(_roots(text))):
        kind = next((each.value for each in root.entries if each.name == "kind"), "")
        order = {name: index for index, name in enumerate(order_of(kind))}
        wanted = sorted(root.entries, key=lambda each: order.get(each.name, len(order)))
        if order and root.whole and wanted != root.entries and _anchors_come_first(wanted):
            text = _block(text, root, wanted) if root.is_block else _flow(text, root, wanted)
    return text


def _roots(text: str) -> Iterator[_Root]:
    """Give the mapping of every document that is one."""
    depth, before = 0, 0
    root: _Root | None = None
    awaits = ""  # what the next scalar of the root is: the name of a key, the value of `kind`
    for token in tokens_of(text):
        if token.kind in _STARTS:
            depth += 1
            if depth == 1:
                root = _Root(token.kind == "BlockMappingStart", token.column)
                root.whole = "MappingStart" in token.kind
        elif token.kind in _ENDS:
            depth -= 1
            if depth == 0 and root is not None:
                root.end = before
                yield root
                root = None
        if root is not None and depth:
            awaits = _note(root, token, depth, before, awaits)
        if token.is_text:
            if root is not None and _is_tied(token, text, before, root):
                root.whole = False
            before = token.end


def _is_tied(token: Token, text: str, before: int, root: _Root) -> bool:
    """Return whether the root cannot be taken apart: comments inside of `{…}`, texts that keep blank lines below."""
    if not root.is_block:
        return "#" in text[before : token.start]
    return token.is_block_scalar and "+" in text[token.start : token.end].partition("\n")[0].partition("#")[0]


def _note(root: _Root, token: Token, depth: int, before: int, awaits: str) -> str:
    """Note what the token says of the root's entries; return what the next scalar of the root is."""
    entries = root.entries
    if depth == 1 and token.kind == "Key":
        root.whole = root.whole and not token.is_text
        entries.append(_Entry("", token.start, before, token.end))
        return "key"
    if depth == 1 and token.kind == "FlowEntry":
        return "item"
    if not entries:
        return awaits
    if token.is_text and awaits != "item":
        entries[-1].end = token.end
    if token.kind in ("Anchor", "Alias"):
        entries[-1].names.append(token.kind + token.value)
    if token.kind == "Anchor":
        return awaits
    if token.kind == "Scalar" and awaits == "key":
        entries[-1].name = token.value
    elif token.kind == "Scalar" and awaits == "value":
        entries[-1].value = token.value
    elif token.kind == "Value" and depth == 1:
        return "value"
    elif awaits == "item" and token.is_text:
        root.whole = False  # an item of a flow mapping without `:`
    return ""


def _anchors_come_first(entries: Sequence[_Entry]) -> bool:
    """Return whether every alias stands after its anchor, and no anchor is given twice."""
    seen: set[str] = set()
    for name in (each for entry in entries for each in entry.names):
        word = name.removeprefix("Anchor").removeprefix("Alias")
        if name.startswith("Anchor") == (word in seen):
            return False
        seen.add(word)
    return True


def _flow(text: str, root: _Root, wanted: Sequence[_Entry]) -> str:
    """Put the entries of `{…}` into each other's places; what stands between them stays."""
    pieces, at = [], root.entries[0].start
    for place, entry in zip(root.entries, wanted, strict=True):
        pieces += [text[at : place.start], text[entry.start : entry.end]]
        at = place.end
    return text[: root.entries[0].start] + "".join(pieces) + text[at:]


def _block(text: str, root: _Root, wanted: Sequence[_Entry]) -> str:
    """Put the lines of each key with those of the comments above it; what stands above the first key stays there."""
    begins = [_line_start(text, root.entries[0].start)]
    begins += [_own_lines(text, each.before, each.start, root.column) for each in root.entries[1:]]
    stop = _own_lines(text, root.end, len(text), root.column)
    if not text[:stop].endswith("\n"):
        return text  # a last line without an end: adding one may change a text after `|`
    lines = {
        # Spaces on a blank line would belong to a text after `|` that now stands above it.
        id(each): _SPACES.sub("\n", text[begin : each.start]) + text[each.start : end]
        for each, begin, end in zip(root.entries, begins, [*begins[1:], stop], strict=True)
    }
    return text[: begins[0]] + "".join(lines[id(each)] for each in wanted) + text[stop:]


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _own_lines(text: str, before: int, start: int, column: int) -> int:
    """Return where the lines begin that belong to what begins at `start`: comments above it that are not further in.

    `before` is the end of the last word above them.
    """
    first = before if text[:before].endswith("\n") else text.find("\n", before) + 1
    if not first:
        return len(text)
    own = at = first
    while at < _line_start(text, start):
        end = text.find("\n", at) + 1
        line = text[at:end]
        words = line.lstrip()
        if words and not words.startswith("#"):
            break  # the end of the document
        if words and len(line) - len(words) > column:
            own = end
        at = end
    return own
