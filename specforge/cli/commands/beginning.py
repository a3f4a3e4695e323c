"""`spec init`: write a project to start from."""

from __future__ import annotations

import re
from pathlib import Path

from specforge.cli.boundary import OK
from specforge.cli.output import Output
from specforge.cli.scaffold import files
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError


def init(directory: Path, output: Output, *, lock: bool) -> int:
    """Write the project's files, none of which may be there already; then resolve specforge.lock."""
    folder = directory.absolute()
    wanted = files(project_name(folder.name))
    # A repository usually has a .gitignore: ours is a convenience, never a reason to stop.
    present = [path for path in wanted if path != ".gitignore" and (folder / path).exists()]
    if present:
        detail = f"`{directory}` already has {', '.join(f'`{each}`' for each in present)}"
        hint = "choose another folder; nothing was written"
        raise ConfigError(Diagnostic("SF154", "Files are in the way", detail, hint=hint))
    try:
        for path, text in wanted.items():
            if (folder / path).exists():
                continue
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
            output.note(f"wrote {directory / path}")
    except OSError as error:
        detail = f"`{error.filename or folder}`: {error.strerror or error}"
        hint = "choose a folder that you may write to"
        raise ConfigError(Diagnostic("SF155", "The project cannot be written", detail, hint=hint)) from error
    if lock:
        from specforge.cli.commands.locking import lock_project
        from specforge.cli.session import Session, Where

        lock_project(Session(Where(folder)), output, None, upgrade=False)
    there = "" if folder == Path.cwd() else f"cd {directory}, "
    output.note(f"Next: {there}put pictures under data/pictures/LABEL/, then `spec plan`.")
    return OK


def project_name(folder: str) -> str:
    """Return a valid project name made from the folder's."""
    name = re.sub(r"[^A-Za-z0-9_\-一-鿿]+", "-", folder).strip("-_")
    return name[:64] or "project"
