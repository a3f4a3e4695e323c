"""Toolchains: virtual environments made from a lock entry, in the user's cache, found by the entry's digest.

A toolchain is made by one process while others wait, in a folder that gets its `ready` file last: one that was
interrupted is thrown away and made anew. No path of a project is in it, so that every project shares it.
"""

from __future__ import annotations

import fcntl
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import digest_of
from specforge.core.errors import Cancelled, ExecutionError
from specforge.executors.base import CancelToken, StepContext, StepEvent
from specforge.executors.packages import run_uv

_POLL = 0.05
_NO_ROOM = ("no space left", "file too large", "file size limit", "quota exceeded")


def toolchain_folder(cache: Path, lock: Mapping[str, Any]) -> Path:
    """Return where the toolchain of this lock entry lies, or will lie; wheels differ per system and processor."""
    system = f"{sys.platform}-{platform.machine()}"
    return cache / "toolchains" / digest_of(["toolchain", 1, system, lock])[:32]


def toolchain_python(cache: Path, lock: Mapping[str, Any]) -> Path:
    """Return the interpreter of this lock entry's toolchain, whether or not it has been made."""
    return toolchain_folder(cache, lock) / "bin" / "python"


def is_ready(cache: Path, lock: Mapping[str, Any]) -> bool:
    """Return whether the toolchain is there; costs no process."""
    return (toolchain_folder(cache, lock) / "ready").exists()


def ensure_toolchain(cache: Path, lock: Mapping[str, Any], context: StepContext) -> Path:
    """Have the toolchain ready and return its interpreter; raises ExecutionError, Cancelled if asked to stop."""
    python = toolchain_python(cache, lock)
    if is_ready(cache, lock):
        return python
    folder = toolchain_folder(cache, lock)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock"), context):
            if not is_ready(cache, lock):
                try:
                    _make(folder, lock, context)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
    except OSError as error:
        raise _failed(context, f"`{error.filename or folder}`: {(error.strerror or str(error)).lower()}") from error
    return python


@contextmanager
def _alone(path: Path, context: StepContext) -> Iterator[None]:
    """Hold the lock file; say so where somebody else has it."""
    with path.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    context.emit(StepEvent("state", "waiting: another process is making this toolchain"))
                    told = True
                if context.cancel.wait(_POLL):
                    raise _cancelled(context) from None
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _make(folder: Path, lock: Mapping[str, Any], context: StepContext) -> None:
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    packages = lock["packages"]
    python = _interpreter(lock["python"], context)
    context.emit(StepEvent("state", f"making the toolchain: Python {lock['python']}, {len(packages)} packages"))
    _uv(["venv", "--quiet", "--no-project", "--python", python, str(folder)], context)
    requirements = folder / "requirements.txt"
    requirements.write_text(requirements_text(packages), encoding="utf-8")
    if packages:
        options = ["--quiet", "--require-hashes", "--no-deps", "--compile-bytecode"]
        into = ["--python", str(folder / "bin" / "python"), "--requirements", str(requirements)]
        _uv(["pip", "install", *options, *into], context)
    (folder / "ready").write_text(f"{time.monotonic() - began:.1f} s\n")


def requirements_text(packages: Sequence[Mapping[str, Any]]) -> str:
    """Return the packages of a lock entry as a requirements file with hashes."""
    lines = []
    for each in packages:
        marker = f" ; {each['marker']}" if each.get("marker") else ""
        hashes = "".join(f" \\\n    --hash={value}" for value in each["hashes"])
        lines.append(f"{each['name']}=={each['version']}{marker}{hashes}\n")
    return "".join(lines)


def missing_python(minor: str) -> Diagnostic | None:
    """Return what to tell the user if this machine has no Python of this minor version."""
    return None if isinstance(_find_python(minor, CancelToken()), str) else _no_python(minor)


def _find_python(minor: str, cancel: CancelToken) -> str | None:
    """Return an interpreter of this minor version, or None; none is ever downloaded."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == minor:
        return sys.executable
    found = run_uv(["python", "find", "--no-project", minor], cancel)
    return found.output.strip() if found is not None and found.code == 0 else None


def _no_python(minor: str) -> Diagnostic:
    detail = (
        f"the lock is for Python {minor}, which this machine does not have; `spec` runs on {platform.python_version()}"
    )
    hint = f"install Python {minor}, or make a lock for this one with `spec lock --upgrade`"
    return Diagnostic("SF461", "No Python for the toolchain", detail, hint=hint)


def _interpreter(minor: str, context: StepContext) -> str:
    found = _find_python(minor, context.cancel)
    if context.cancel.cancelled:
        raise _cancelled(context)
    if found is None:
        raise ExecutionError(replace(_no_python(minor), address=context.key.address))
    return found


def _uv(words: Sequence[str], context: StepContext) -> None:
    done = run_uv(words, context.cancel)
    if done is None:
        raise _cancelled(context)
    if done.code != 0:
        ended = f"exit code {done.code}" if done.code > 0 else f"signal {-done.code}, {signal.strsignal(-done.code)}"
        raise _failed(context, done.errors or f"uv ended with {ended}")


def _failed(context: StepContext, why: str) -> ExecutionError:
    hint = None
    if any(word in why.lower() for word in _NO_ROOM):
        return ExecutionError(
            Diagnostic(
                "SF462",
                "No room for the toolchain",
                why,
                hint="free some space in the cache folder; what was half made is thrown away at the next apply",
                address=context.key.address,
            )
        )
    if "Failed to fetch" in why or "error sending request" in why:
        hint = "check the network and the package index that pip is configured with, and apply again"
    elif "hash" in why.lower():
        hint = "the index has other files than were locked; `spec lock --upgrade` locks them anew"
    return ExecutionError(
        Diagnostic("SF460", "The toolchain cannot be made", why, hint=hint, address=context.key.address)
    )


def _cancelled(context: StepContext) -> Cancelled:
    return Cancelled(
        Diagnostic("SF441", "The toolchain was not made", "a stop was asked for", address=context.key.address)
    )
