"""Serve a model package over HTTP until asked to stop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from specforge.procedures import Failure
from specforge.runtimes.server import Settings, StartError


def main(argv: Sequence[str]) -> None:
    """Serve the package in --package on --socket, or on --port of --host."""
    import argparse  # only the server needs it; the module is also read for its revision

    parser = argparse.ArgumentParser(prog="serve", allow_abbrev=False)
    parser.add_argument("--package", type=Path, required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path)
    where.add_argument("--port", type=int)
    default = Settings(Path())
    parser.add_argument("--host", default=default.host)
    parser.add_argument("--name", default=default.name)
    parser.add_argument("--body", type=int, default=default.body)
    parser.add_argument("--queue", type=int, default=default.queue)
    parser.add_argument("--time", type=float, default=default.time)
    parser.add_argument("--memory", type=int, default=default.memory)
    parser.add_argument("--drain", type=float, default=default.drain)
    parser.add_argument("--grace", type=float, default=default.grace)
    parser.add_argument("--patience", type=float, default=default.patience)
    options = vars(parser.parse_args(argv))
    options["port"] = options["port"] or 0
    from specforge.runtimes.server.process import run

    try:
        code = run(Settings(**options))
    except StartError as error:
        raise Failure(str(error)) from error
    if code:
        sys.exit(code)
