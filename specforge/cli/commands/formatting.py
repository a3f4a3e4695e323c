"""`spec fmt`: lay YAML files out one way. Writes only what changes, each file at once or not at all."""

from __future__ import annotations

import difflib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from specforge.cli.boundary import FAILED, OK
from specforge.cli.formatting import formatted, key_order
from specforge.cli.formatting.order import OrderOf
from specforge.cli.output import Output
from specforge.cli.session import Session
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.making import dataclass
from specforge.core.source import Span
from specforge.loading.files import matching
from specforge.loading.project_file import DEFAULT_SPECS, PROJECT_FILE
from specforge.loading.yaml_reader import read, read_text
from specforge.render.text import Paint

BOM = b"\xef\xbb\xbf"
ENDINGS = (".yaml", ".yml")
_COLORS = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class How:
    """`check`: write nothing, exit 1 if something would change; `diff`: show the lines that change."""

    check: bool = False
    diff: bool = False


def fmt(session: Session, output: Output, paths: Sequence[str], how: How) -> int:
    """Format the files and folders, or all files of the project; returns the exit code."""
    order_of = key_order(session.kinds)
    if list(paths) == ["-"]:
        return _stream(output, order_of, how)
    files, problems = _files(session, paths)
    changed: list[str] = []
    for file in files:
        name = os.path.relpath(file)
        try:
            before, after = _formatted(file, name, order_of)
            if before != after:
                changed.append(name)
                _show(name, before, after, output, how)
                if not how.check:
                    _write(file, name, after)
        except ConfigError as error:
            problems += error.diagnostics
    if output.as_json:
        from specforge.render.diagnostics import diagnostics_json

        output.data({"files": len(files), "changed": changed, "diagnostics": diagnostics_json(problems)})
        return FAILED if problems or (changed and how.check) else OK
    if problems:
        raise ConfigError(problems)
    return FAILED if changed and how.check else OK


def _stream(output: Output, order_of: OrderOf, how: How) -> int:
    """Format standard input to standard output, for editors."""
    before = sys.stdin.read()
    after = formatted(before, "-", order_of)
    if how.diff:
        output.text(_diff("-", before, after, output))
    elif not how.check:
        output.text(after)
    return FAILED if how.check and before != after else OK


def _files(session: Session, paths: Sequence[str]) -> tuple[list[Path], list[Diagnostic]]:
    """Return the files to format, each once, and what is wrong with what was asked for."""
    problems: list[Diagnostic] = []
    if not paths:
        return list(_project_files(session.root, problems)), problems
    files: dict[str, Path] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found = [each for ending in ENDINGS for each in _below(path, ending, problems)]
            files |= {os.path.realpath(each): each for each in sorted(found)}
        elif path.exists():
            files.setdefault(os.path.realpath(path), path)
        else:
            detail = f"`{given}` is not there"
            problems.append(Diagnostic("SF102", "Unreadable file", detail, hint="give files, folders, or nothing"))
    return list(files.values()), problems


def _below(folder: Path, ending: str, problems: list[Diagnostic]) -> Iterator[Path]:
    names, unreadable = matching(folder, f"**/*{ending}")
    problems += unreadable
    return (folder / each for each in names)


def _project_files(root: Path, problems: list[Diagnostic]) -> Iterator[Path]:
    """Give the project file and every file that its patterns name, also of a project that is not valid."""
    text = read_text(root / PROJECT_FILE, PROJECT_FILE)
    found = read(text, PROJECT_FILE).documents if isinstance(text, str) else ()
    given = next((each.data["specs"] for each in found if isinstance(each.data, dict) and "specs" in each.data), None)
    patterns = [each for each in given if isinstance(each, str)] if isinstance(given, list) else DEFAULT_SPECS
    names: set[str] = set()
    for pattern in patterns:
        matched, unreadable = matching(root, pattern)
        names |= set(matched)
        problems += unreadable
    yield root / PROJECT_FILE
    yield from (root / each for each in sorted(names - {PROJECT_FILE}))


def _formatted(file: Path, name: str, order_of: OrderOf) -> tuple[str, str]:
    text = read_text(file, name)
    if isinstance(text, Diagnostic):
        raise ConfigError(text)
    return text, formatted(text, name, order_of)


def _show(name: str, before: str, after: str, output: Output, how: How) -> None:
    if output.as_json:
        return
    output.text(_diff(name, before, after, output) if how.diff else name)


def _diff(name: str, before: str, after: str, output: Output) -> str:
    paint = Paint(output.color)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "".join((paint(each, _COLORS[each[0]]) if each[0] in _COLORS else each) + "\n" for each in lines)


def _write(file: Path, name: str, text: str) -> None:
    """Put the new text in the old one's place: the whole file or nothing; mode, owner and byte order mark stay."""
    target = Path(os.path.realpath(file))
    made: str | None = None
    try:
        status = target.stat()
        with target.open("rb") as old:
            mark = BOM if old.read(len(BOM)) == BOM else b""
        number, made = tempfile.mkstemp(dir=target.parent, prefix=".spec-fmt-")
        with os.fdopen(number, "wb") as new:
            new.write(mark + text.encode())
            new.flush()
            os.fsync(new.fileno())
        with suppress(PermissionError):
            os.chown(made, status.st_uid, status.st_gid)
        os.chmod(made, stat.S_IMODE(status.st_mode))
        os.replace(made, target)
    except OSError as error:
        if made is not None:
            with suppress(FileNotFoundError):
                os.unlink(made)
        detail = f"`{name}` cannot be written: {(error.strerror or str(error)).lower()}"
        hint = "check who may write there; the file is as it was"
        raise ConfigError(Diagnostic("SF158", "Not written", detail, hint=hint, span=Span(name, 1, 1, 1, 1))) from error
