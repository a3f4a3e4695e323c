"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write the whole file or nothing of it, whoever else writes it at the same time. Not durable by itself."""
    made = path.with_name(f".{path.name[:200]}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        made.write_bytes(data)
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
