"""What a label may be called."""

from __future__ import annotations

LONGEST = 32
_OTHERS = frozenset("_-")


def label_problem(label: str) -> str | None:
    """Return what keeps a text from being a label, in words that follow its name, or None.

    A label has 1 to 32 letters, digits, `_`, `-` and Chinese characters.
    """
    if not label:
        return "is empty"
    if len(label) > LONGEST:
        return f"has {len(label)} characters, a label has at most {LONGEST}"
    bad = next((each for each in label if not _allowed(each)), None)
    return None if bad is None else f"has the character `{bad}`, which a label may not have"


def _allowed(character: str) -> bool:
    return (character.isascii() and character.isalnum()) or character in _OTHERS or "一" <= character <= "鿿"
