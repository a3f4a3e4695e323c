"""From the location that a user wrote to the backend that keeps the state there."""

from __future__ import annotations

import re
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import StateError
from specforge.state.backend import StateBackend

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)


def open_backend(location: str, root: Path) -> StateBackend:
    """Return the backend for a path (relative to `root`) or a `file://` location; StateError for any other scheme."""
    matched = _SCHEME.fullmatch(location)
    scheme, path = matched.groups() if matched else ("file", location)
    if scheme.lower() != "file" or not path:
        detail = f"`{location}` is not a place for a state; known are a path and `file://PATH`"
        raise StateError(
            Diagnostic("SF308", "Unknown place for the state", detail, hint="write `state: .specforge/state.db`")
        )
    from specforge.state.sqlite import SqliteBackend

    return SqliteBackend(root / path, path)
