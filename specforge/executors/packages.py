"""The package installer `uv`, told of what the user's `pip` knows: indexes, folders of wheels, certificates.

uv does not read pip's configuration. What the user says to uv itself (UV_* variables) wins over what pip was told.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from specforge.executors.base import CancelToken

_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
_SECTIONS = ("global", "install")
_ALSO = {"default-timeout": "timeout"}
_LISTS = ("find-links",)
# What belongs to the environment that `spec` was started in, and what would change what a lock means.
_NOT_FOR_UV = ("PYTHON", "VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT", "UV_REQUIRE_HASHES", "UV_NO_VERIFY_HASHES")
_YES = ("1", "true", "yes", "on")
_POLL = 0.05


class Finished(NamedTuple):
    """How a run of uv ended: its exit code, and what it printed."""

    code: int
    output: str
    errors: str


def run_uv(
    words: Sequence[str], cancel: CancelToken | None = None, *, stdin: str = "", extra_indexes: bool = True
) -> Finished | None:
    """Run uv and return how it ended; None if it was stopped because `cancel` was asked for.

    `extra_indexes` False: only the main index is asked. Raises FileNotFoundError if there is no uv.
    """
    import uv

    settings = pip_settings(os.environ, configuration_files(os.environ))
    if not extra_indexes:
        settings.pop("extra-index-url", None)
    variables = uv_variables(os.environ, settings)
    # Files, not pipes: nothing to drain while waiting.
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        command = [uv.find_uv_bin(), "--no-progress", "--color", "never", *words]
        if words[0] == "pip" and settings.get("no-index", "").lower() in _YES:
            command.append("--no-index")
        with subprocess.Popen(command, stdin=given, stdout=out, stderr=err, env=variables, cwd="/") as process:
            while True:
                try:
                    code = process.wait(_POLL)
                    break
                except subprocess.TimeoutExpired:
                    if cancel is not None and cancel.cancelled:
                        process.kill()
                        return None
        out.seek(0)
        err.seek(0)
        return Finished(code, out.read(), err.read().strip())


def has_extra_indexes() -> bool:
    """Return whether pip is told of indexes beside the main one."""
    return "extra-index-url" in pip_settings(os.environ, configuration_files(os.environ))


def uv_variables(variables: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for uv: the user's own, and what `settings` of pip say where uv was told nothing."""
    given = {name: value for name, value in variables.items() if not name.startswith(_NOT_FOR_UV)}
    for name, ours in _NAMES.items():
        if name in settings and not _told(ours, variables):
            given[ours] = _converted(name, settings[name])
    # As pip does: the best version of all indexes, not the best of the first index that has any.
    given.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    given["UV_PYTHON_DOWNLOADS"] = "never"
    return given


def pip_settings(variables: Mapping[str, str], files: Sequence[Path]) -> dict[str, str]:
    """Return what pip is told by these files (later ones win) and, above them, by PIP_* variables."""
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself complains about this file; a guess of ours would not help
        for section in _SECTIONS:
            if parser.has_section(section):
                found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in variables.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value
    for name, same in _ALSO.items():
        if name in found:
            found.setdefault(same, found[name])
    return found


def configuration_files(variables: Mapping[str, str]) -> list[Path]:
    """Return the files that pip reads, in its order: machine, user, environment, the one named by variable."""
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(variables.get("HOME") or Path.home())
    user = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    machine = [Path(each) / "pip/pip.conf" for each in (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    files = [*machine, Path("/etc/pip.conf"), home / ".pip/pip.conf", user / "pip/pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


def _told(name: str, variables: Mapping[str, str]) -> bool:
    same = {"UV_DEFAULT_INDEX": ("UV_INDEX_URL",), "UV_EXTRA_INDEX_URL": ("UV_INDEX",)}
    return any(variables.get(each) for each in (name, *same.get(name, ())))


def _converted(name: str, value: str) -> str:
    """Return pip's value in uv's form: uv separates folders of wheels by commas, indexes by spaces."""
    words = value.split()
    return ",".join(words) if name in _LISTS else " ".join(words)
