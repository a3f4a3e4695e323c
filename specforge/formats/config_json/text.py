"""JSON texts: read so that every problem has a path and a place in the file, written so that equal values give equal
bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NoReturn

Path = tuple[str | int, ...]
_SPACE = re.compile(r"[ \t\r\n]*")
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the value at `path` (keys and indices); line and column count from 1, None without a file."""

    path: Path
    text: str
    line: int | None = None
    column: int | None = None

    @property
    def where(self) -> str:
        """The path as people write it: `apis[0].request.data`."""
        shown = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        return shown.removeprefix(".")

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}, column {self.column}: "
        return f"{place}`{self.where}` {self.text}" if self.path else f"{place}{self.text}"


class ConfigError(ValueError):
    """The bytes are not a config.json; `problems` has everything that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def parse(data: bytes) -> tuple[Any, str]:
    """Return the value and the text; numbers with a fraction come as Decimal, as exact as they were written.

    Raises ConfigError with one problem where the bytes are no JSON in UTF-8, or have a key twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem((), f"not UTF-8 at byte {error.start}")]) from None
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_no_number, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False, default=str).encode()
        _check_depth(value)
    except json.JSONDecodeError as error:
        raise ConfigError([Problem((), f"not JSON: {error.msg.lower()}", error.lineno, error.colno)]) from None
    except UnicodeEncodeError:
        raise ConfigError([Problem((), r"a text has half of a character: `\ud800` to `\udfff` alone")]) from None
    except RecursionError:
        raise ConfigError([Problem((), "not JSON: nested too deep")]) from None
    except ValueError as error:
        raise ConfigError([Problem((), str(error))]) from None
    return value, text


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [item for each in level for item in _items(each)]
    if level:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if not math.isfinite(float(value)):
        raise ValueError(f"the number `{text}` is too large")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"`{text}` is not a number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise ValueError(f"the key `{twice}` is there twice")
    return found


def placed(problems: Sequence[Problem], text: str) -> list[Problem]:
    """Return the problems with line and column of their values in `text`, which is what `parse` read."""
    found = []
    for each in problems:
        offset = _offset(text, each.path)
        line = text.count("\n", 0, offset) + 1
        found.append(replace(each, line=line, column=offset - text.rfind("\n", 0, offset)))
    return sorted(found, key=lambda each: (each.line, each.column))


def _offset(text: str, path: Path) -> int:
    """Return where the value at `path` begins; of what is not there, where the value around it begins."""
    at = _skip(text, 0)
    for key in path:
        inside = _child(text, at, key)
        if inside is None:
            break
        at = inside
    return at


def _child(text: str, start: int, key: str | int) -> int | None:
    decoder = json.JSONDecoder()
    mapping, number = text[start] == "{", 0
    at = _skip(text, start + 1)
    while text[at] not in "}]":
        name: str | int = number
        if mapping:
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # the colon
        if name == key:
            return at
        at = _skip(text, decoder.raw_decode(text, at)[1])
        number += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def dump(value: Any) -> bytes:
    """Return the value as JSON in UTF-8: two spaces a level, keys in the order given, a newline at the end."""
    return (_dumped(value, "\n") + "\n").encode()


def _dumped(value: Any, newline: str) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        rows = [
            f"{json.dumps(key, ensure_ascii=False)}: {_dumped(item, newline + '  ')}" for key, item in value.items()
        ]
        return _enclosed("{}", rows, newline)
    if isinstance(value, list | tuple):
        return _enclosed("[]", [_dumped(item, newline + "  ") for item in value], newline)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _enclosed(brackets: str, rows: Sequence[str], newline: str) -> str:
    if not rows:
        return brackets
    inner = f"{newline}  "
    return f"{brackets[0]}{inner}{f',{inner}'.join(rows)}{newline}{brackets[1]}"
