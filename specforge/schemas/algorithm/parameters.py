"""Parameters: values brought to their declared types, and what is wrong with them. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from specforge.core.making import dataclass
from specforge.schemas.algorithm.spec import Parameter

_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one parameter: the cause, and what to do."""

    parameter: str
    detail: str
    hint: str | None = None


def convert(value: Any, kind: str) -> Any:
    """Return `value` as the declared type; raise ValueError where it is of another one."""
    if kind == "float" and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    wanted = {"int": int, "float": float, "str": str, "bool": bool}[kind]
    # A bool is an int for Python, not for a person: types are compared exactly.
    if type(value) is wanted and kind != "float":
        return value
    raise ValueError(f"`{shown(value)}` is not {_WORDS[kind]}")


def shown(value: Any) -> str:
    """Return a value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def argument(name: str, value: Any) -> str:
    """Return the option by which a boot file gets a parameter; `value` has its declared type."""
    return f"--{name}={shown(value)}"


def check(name: str, value: Any, declared: Parameter) -> tuple[Any, Problem | None]:
    """Return the converted value, or what is wrong with it."""
    try:
        converted = convert(value, declared.type)
    except ValueError as error:
        quoted = f'write `"{shown(value)}"`' if declared.type == "str" else f"write {_WORDS[declared.type]}"
        return None, Problem(name, f"{error}; `{name}` is declared as `{declared.type}`", quoted)
    if declared.choices is not None and converted not in _choices(declared):
        known = ", ".join(f"`{shown(each)}`" for each in declared.choices)
        return None, Problem(name, f"`{shown(value)}` is not one of its choices", f"choose one of: {known}")
    if declared.type in ("int", "float"):
        if declared.min is not None and converted < declared.min:
            return None, Problem(name, f"`{shown(value)}` is less than its `min` {shown(declared.min)}")
        if declared.max is not None and converted > declared.max:
            return None, Problem(name, f"`{shown(value)}` is more than its `max` {shown(declared.max)}")
    return converted, None


def _choices(declared: Parameter) -> list[Any]:
    found = []
    for each in declared.choices or ():
        try:
            found.append(convert(each, declared.type))
        except ValueError:
            continue  # reported where the algorithm is checked
    return found


def effective(given: Mapping[str, Any], declared: Mapping[str, Parameter]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values a job runs with, defaults filled in and types converted, and every problem."""
    values: dict[str, Any] = {}
    problems = [_unknown(name, declared) for name in given if name not in declared]
    for name, parameter in declared.items():
        value = given.get(name, parameter.default)
        if value is None:
            if parameter.required:
                problems.append(Problem(name, f"the parameter `{name}` is required", f"add `{name}:`"))
            continue
        converted, problem = check(name, value, parameter)
        if problem is None:
            values[name] = converted
        elif name in given:
            problems.append(problem)  # a bad default is the algorithm's own problem
    return values, problems


def _unknown(name: str, declared: Mapping[str, Parameter]) -> Problem:
    near = difflib.get_close_matches(name, declared, n=1)
    known = ", ".join(f"`{each}`" for each in declared) or "none"
    hint = f"did you mean `{near[0]}`?" if near else f"its parameters: {known}"
    return Problem(name, f"the algorithm declares no parameter `{name}`", hint)


def declaration_problems(name: str, declared: Parameter) -> list[Problem]:
    """Return what is wrong with one declaration by itself."""
    problems = []
    numeric = declared.type in ("int", "float")
    if not numeric and (declared.min is not None or declared.max is not None):
        problems.append(Problem(name, f"`min` and `max` are for numbers, `{name}` is declared as `{declared.type}`"))
    if numeric and declared.min is not None and declared.max is not None and declared.min > declared.max:
        problems.append(Problem(name, f"`min` {shown(declared.min)} is more than `max` {shown(declared.max)}"))
    for each in declared.choices or ():
        try:
            convert(each, declared.type)
        except ValueError as error:
            problems.append(Problem(name, f"its choice {error}; `{name}` is declared as `{declared.type}`"))
    if declared.default is not None:
        if declared.required:
            problems.append(Problem(name, "a required parameter has a default", "take one of the two out"))
        problem = check(name, declared.default, declared)[1]
        if problem is not None:
            problems.append(Problem(name, f"its default {problem.detail}", problem.hint))
    return problems
