"""Plain YAML scalars by the core schema of YAML 1.2: `1e-4` is a number, `no` and `on` are texts, `010` is ten."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> Scalar:
    """Return the value of an unquoted scalar; raises ValueError for a number that JSON cannot say."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > 1000:
            raise ValueError(f"a number of {len(text)} digits is too long")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError(f"`{text}` is too large for a number")
        return number
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _ENDLESS.fullmatch(text):
        raise ValueError(f"`{text}` is not a finite number")
    return text


def parse(text: str) -> Scalar:
    """Return the value of a scalar as a user types it on a command line: quoted it is a text, else as in a file."""
    quote = text[:1]
    if len(text) >= 2 and quote in ('"', "'") and text.endswith(quote):
        return text[1:-1]
    return resolve(text)


class Values(dict[str, Scalar]):
    """The values of plain scalars, each text resolved once."""

    def __missing__(self, text: str) -> Scalar:
        value = resolve(text)
        self[text] = value
        return value
