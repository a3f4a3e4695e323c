"""Secrets: read where the user keeps them, at the moment they are needed, and told apart by prints."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError
from specforge.core.queries import Presence, SecretPrint, Seen, unreachable
from specforge.core.values import Frozen, Run, SecretRef

_LARGEST = 1 << 20


def value_of(ref: SecretRef, root: Path) -> str | None:
    """Return the secret's text, of a file without the newline at its end; None if there is none. Raises OSError."""
    if ref.env is not None:
        return os.environ.get(ref.env)
    try:
        with (root / str(ref.file)).expanduser().open(encoding="utf-8") as file:
            return file.read(_LARGEST).removesuffix("\n")
    except FileNotFoundError:
        return None


def look(query: SecretPrint, root: Path) -> Seen:
    """Answer the question for a secret's print."""
    try:
        value = value_of(query.ref, root)
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        return unreachable(f"{query.ref}: {words}")
    return Seen(Presence.ABSENT) if value is None else Seen(Presence.PRESENT, _print(value, query.salt))


@lru_cache(maxsize=256)
def _print(value: str, salt: str) -> str:
    """Slow on purpose (RFC 7914): whoever reads a record shall not find a short secret by trying."""
    return hashlib.scrypt(value.encode(), salt=salt.encode(), n=1 << 14, r=8, p=1, dklen=32).hex()


def with_secrets(run: Run, root: Path) -> Run:
    """Return the run with the values of its secrets; raises ExecutionError if one is not to be had."""
    filled = {}
    for name, given in run.variables.items():
        if not isinstance(given, SecretRef):
            continue
        try:
            value = value_of(given, root)
        except (OSError, UnicodeDecodeError) as error:
            raise _missing(name, given, str(error)) from error
        if value is None:
            raise _missing(name, given, "it is not there")
        filled[name] = value
    return replace(run, variables=Frozen({**run.variables, **filled})) if filled else run


def _missing(name: str, ref: SecretRef, why: str) -> ExecutionError:
    detail = f"`{name}` is read from {ref}, and cannot be: {why}"
    return ExecutionError(Diagnostic("SF408", "A secret is missing", detail, hint="set it, and apply again"))
