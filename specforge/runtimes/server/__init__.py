"""The model server: one process that answers HTTP for one package, on a Unix socket or a port.

The event loop reads and writes; the model runs in one thread beside it, one batch at a time. Nothing that a caller
sends, and nothing that the model does except ending the process, keeps the server from answering others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with: `package` (the folder that holds `model/`), and where it listens: a `socket`, or
    `host` and `port`.

    `body`: the most bytes of one request. `queue`: how many requests may wait for the model. `time`: seconds that one
    may take from its last byte to its answer. `memory`: the most bytes of resident memory, 0 for no limit. `drain`:
    seconds that requests in flight get at a stop. `grace`: seconds beyond `time` after which a model that hangs is
    ended with the process. `patience`: seconds that a caller may take for its head, or between two parts of its body.
    """

    package: Path
    socket: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    name: str = "model"
    body: int = 32 * MEBIBYTE
    queue: int = 128
    time: float = 60.0
    memory: int = 0
    drain: float = 30.0
    grace: float = 30.0
    patience: float = 20.0


class StartError(Exception):
    """The server cannot start; the text is for the user."""
