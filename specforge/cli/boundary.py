"""The one place where exceptions become words and exit codes.

0 nothing to do, or done; 1 an error, usage errors too; 2 changes or drift found (where asked for); 70 a bug of ours;
130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from specforge.core.errors import SpecforgeError

OK = 0
FAILED = 1
CHANGES = 2
BUG = 70
INTERRUPTED = 130


def run(app: typer.Typer, arguments: Sequence[str], name: str) -> int:
    """Run a command line and return its exit code; expected failures are shown, anything else is a bug."""
    _open_streams()
    try:
        return _run(app, arguments, name)
    except OSError as error:
        return _not_written(error)


def _run(app: typer.Typer, arguments: Sequence[str], name: str) -> int:
    as_json = "--json" in arguments
    try:
        result: Any = typer.main.get_command(app).main(args=list(arguments), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return int(result or OK)
    except typer.TyperException as error:
        return _usage(error, name)
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:  # the boundary: what is not expected is a bug, and is reported as one
        if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and (_is_output(error) or _is_full())):
            raise
        from specforge.core.errors import SpecforgeError  # only now: `--help` needs nothing of it

        return _expected(error, as_json=as_json) if isinstance(error, SpecforgeError) else _bug(error, arguments)


def _open_streams() -> None:
    """Let the standard streams that the caller closed lead nowhere: no file of ours may get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _say(text: str) -> None:
    try:
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _usage(error: typer.TyperException, name: str) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else name
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        _say(message)
    elif message:
        _say(f"error: {message}\nhint: `{path} --help` shows how it is used")
    else:
        _say(f"hint: `{path} --help` shows how it is used")
    return FAILED


def _not_written(error: OSError) -> int:
    """Give up: quietly when the reader went away (`spec plan | head`), with a word when the output's disk is full."""
    _silence(sys.stdout)
    if not isinstance(error, BrokenPipeError) and error.errno != errno.EPIPE:
        from specforge.core.diagnostics import Diagnostic
        from specforge.core.errors import ConfigError

        why = "; ".join(filter(None, [(error.strerror or str(error)).lower(), getattr(error, "meanwhile", "")]))
        hint = "look at the file or device that standard output goes to"
        found = Diagnostic("SF156", "The output cannot be written", f"standard output: {why}", hint=hint)
        return _expected(ConfigError(found), as_json=False)
    try:
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)
    return FAILED


def _is_output(error: OSError) -> bool:
    from specforge.cli.output import OutputLostError

    return isinstance(error, OutputLostError)


def _is_full() -> bool:
    """Return whether not even an end of line can be written to standard output."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def _silence(stream: TextIO) -> None:
    """Let the stream lead nowhere: at the exit Python would try again to write what is buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _expected(error: SpecforgeError, *, as_json: bool) -> int:
    from specforge.cli.output import Output
    from specforge.render.diagnostics import render_diagnostics

    output = Output()
    try:
        if as_json:
            import json
            import time

            from specforge.render.events import error_json

            output.text(json.dumps(error_json(time.time(), error.diagnostics), ensure_ascii=False))
    finally:  # also where standard output takes nothing, which is told as well
        _say(render_diagnostics(error.diagnostics, color=output.error_color, width=output.width))
        log = getattr(error, "log", "")
        if log:
            _say("the end of its log:\n" + "\n".join(f"  {line}" for line in log.splitlines()[-20:]))
    return FAILED


def _bug(error: Exception, arguments: Sequence[str]) -> int:
    import platform
    import traceback

    from specforge import __version__
    from specforge.cli.session import cache_folder

    trace = "".join(traceback.format_exception(error))
    words = f"specforge {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    report = f"{words}spec {' '.join(_without_values(arguments))}\n\n{trace}"
    try:
        folder = cache_folder() / "bugs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{type(error).__name__}.txt"
        path.write_text(report, encoding="utf-8")
        where = f"the details are in {path}"
    except OSError:
        where = f"the details could not be saved, so here they are:\n{report}"
    _say(f"error: this is a bug in specforge ({type(error).__name__}: {error})\n{where}\nhint: please report it")
    return BUG


def _without_values(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without the values of variables, which may be secret."""
    return [each.partition("=")[0] + "=…" if "=" in each else each for each in arguments]
