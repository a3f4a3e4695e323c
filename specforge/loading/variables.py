"""`${var.NAME}` in documents: as a whole value it keeps the variable's type, inside a text it is put in as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from specforge.loading.positions import Path, Problem

_EXPRESSION = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_MANY = 1000
_VARIABLE = re.compile(r"var\.(\S+)")


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that the user most likely meant, if one is near enough."""
    from difflib import get_close_matches

    lower = word.lower()
    by_lower = {each.lower(): each for each in candidates}
    if len(by_lower) > _MANY:
        # Comparing with every name of a large project takes too long: most slips keep the beginning or the end.
        by_lower = {each: by_lower[each] for each in by_lower if each[:3] == lower[:3] and each[-1:] == lower[-1:]}
    found = get_close_matches(lower, by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return the hint for a word that is none of the candidates, or None if none is near."""
    near = closest(word, candidates)
    return f"did you mean `{near}`?" if near is not None else None


def substitute(data: Any, variables: Mapping[str, Any], problems: list[Problem]) -> Any:
    """Return `data` with every `${var.NAME}` replaced and `$${` made `${`; what is wrong is added to `problems`."""
    return _value(data, (), variables, problems)


def expressions_in(data: Any) -> list[Path]:
    """Return the paths of texts that hold an expression."""
    found: list[Path] = []

    def look(value: Any, path: Path) -> None:
        if isinstance(value, str) and "${" in value:
            found.append(path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                look(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                look(item, (*path, index))

    look(data, ())
    return found


def _value(value: Any, path: Path, variables: Mapping[str, Any], problems: list[Problem]) -> Any:
    if isinstance(value, str):
        return _text(value, path, variables, problems) if "${" in value else value
    if isinstance(value, dict):
        for key in value:
            if "${" in key:
                detail = f"the key `{key}` holds an expression"
                problems.append(
                    Problem((*path, key), "SF114", "Bad expression", detail, "only values may hold `${…}`", at_key=True)
                )
        return {key: _value(item, (*path, key), variables, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, (*path, index), variables, problems) for index, item in enumerate(value)]
    return value


def _text(text: str, path: Path, variables: Mapping[str, Any], problems: list[Problem]) -> Any:
    whole = _EXPRESSION.fullmatch(text)
    if whole is not None and whole.group(1) is not None:
        return _evaluate(whole, path, variables, problems)

    def put_in(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "${"
        value = _evaluate(match, path, variables, problems)
        if isinstance(value, dict | list):
            detail = f"`{match.group()}` is a list or mapping, which cannot be put into a text"
            problems.append(Problem(path, "SF114", "Bad expression", detail, "use it as the whole value"))
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _EXPRESSION.sub(put_in, text)


def _evaluate(match: re.Match[str], path: Path, variables: Mapping[str, Any], problems: list[Problem]) -> Any:
    if not match.group(2):
        problems.append(
            Problem(path, "SF114", "Bad expression", "a `${` is not closed", "write `$${` for a plain `${`")
        )
        return ""
    variable = _VARIABLE.fullmatch(match.group(1).strip())
    if variable is None:
        hint = "only `${var.NAME}` is known; write `$${` for a plain `${`"
        problems.append(Problem(path, "SF114", "Bad expression", f"`{match.group()}` means nothing here", hint))
        return ""
    name = variable.group(1)
    if name in variables:
        return variables[name]
    hint = did_you_mean(name, variables) or "declare it in specforge.yaml under `variables`"
    problems.append(Problem(path, "SF113", "Unknown variable", f"no variable is named `{name}`", hint))
    return ""
