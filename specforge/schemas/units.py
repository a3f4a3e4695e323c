"""Amounts as people write them: `4GiB` of memory, `90s` or `2h` of time. Kept as written, converted where used."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_MEMORY = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_MEMORY |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_TIME = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"([0-9]+(?:\.[0-9]+)?)\s*"
_MEMORY_PATTERN = f"^{_AMOUNT}({'|'.join(unit for unit in _MEMORY if unit)})?$"
_TIME_PATTERN = f"^{_AMOUNT}({'|'.join(_TIME)})$"


def memory_bytes(text: str) -> int:
    """Return the number of bytes that `512MiB`, `4GiB`, `1.5 GB` or a bare number says; raise ValueError otherwise."""
    match = re.fullmatch(_MEMORY_PATTERN, text)
    amount = int(float(match[1]) * _MEMORY[match[2] or ""]) if match else 0
    if amount < 1:
        raise ValueError(f"`{text}` is not an amount of memory; write it like `512MiB` or `4GiB`")
    return amount


def seconds(text: str) -> float:
    """Return the seconds that `500ms`, `90s`, `15m`, `2h` or `1d` says; raise ValueError otherwise."""
    match = re.fullmatch(_TIME_PATTERN, text)
    amount = float(match[1]) * _TIME[match[2]] if match else 0.0
    if amount <= 0:
        raise ValueError(f"`{text}` is not a length of time; write it like `90s`, `15m` or `2h`")
    return amount


def _memory(text: str) -> str:
    try:
        memory_bytes(text)
    except ValueError as error:
        raise PydanticCustomError("memory", "{problem}", {"problem": str(error)}) from None
    return text


def _time(text: str) -> str:
    try:
        seconds(text)
    except ValueError as error:
        raise PydanticCustomError("duration", "{problem}", {"problem": str(error)}) from None
    return text


Memory = Annotated[str, AfterValidator(_memory), WithJsonSchema({"type": "string", "pattern": _MEMORY_PATTERN})]
Duration = Annotated[str, AfterValidator(_time), WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN})]
