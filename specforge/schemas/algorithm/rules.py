"""What an Algorithm reads and gives: `runnable`, the digest of everything that decides what its code does."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache

from specforge.core.diagnostics import Diagnostic, has_errors
from specforge.core.digest import digest_of
from specforge.core.queries import Presence, Reading, ScanTree, is_single_file
from specforge.core.values import PROJECT, Frozen, Tree
from specforge.schemas.algorithm.parameters import declaration_problems
from specforge.schemas.kind import Desire, Subject


def readings(subject: Subject) -> Mapping[str, Reading]:
    """Return what is asked of the user's files: the code folder, and whether the boot file is in it."""
    spec = subject.spec
    return {
        "code": ScanTree(PROJECT, spec.code),
        "boot": ScanTree(PROJECT, posixpath.join(spec.code, spec.boot)),
    }


def desire(subject: Subject) -> Desire:
    """Return what others read of the algorithm; nothing is made."""
    spec = subject.spec
    diagnostics = tuple(_diagnostics(subject))
    code = subject.facts.get("code")
    lock = subject.locks.get(spec.framework)
    if has_errors(diagnostics) or code is None or code.digest is None or lock is None:
        return Desire(diagnostics=diagnostics)
    boot = posixpath.normpath(spec.boot)
    outputs = Frozen(
        {
            "runnable": digest_of([spec.framework, _toolchain(lock), code.digest, boot]),
            "code": Tree(PROJECT, spec.code, code.digest),
            "lock": lock,
            "toolchain": _toolchain(lock),
            "framework": spec.framework,
            "boot": boot,
        }
    )
    files = int(code.facts.get("files", 0))
    summary = f"{files:,} {'file' if files == 1 else 'files'} of code"
    return Desire(outputs=outputs, summary=summary, diagnostics=diagnostics)


@lru_cache(maxsize=64)
def _toolchain(lock: Frozen) -> str:
    """Return the digest of an engine's entry: long, and the same for all algorithms of the engine."""
    return digest_of(lock)


def _diagnostics(subject: Subject) -> Iterator[Diagnostic]:
    spec, address = subject.spec, subject.address
    for name, parameter in spec.parameters.items():
        for problem in declaration_problems(name, parameter):
            path = ("parameters", name)
            yield Diagnostic(
                "SF216", "Bad parameter declaration", problem.detail, hint=problem.hint, address=address, path=path
            )
    if spec.framework not in subject.locks:
        detail = f"`specforge.lock` has no entry for `{spec.framework}`, so its jobs have no toolchain"
        yield Diagnostic(
            "SF217", "Toolchain not locked", detail, hint="run `spec lock`", address=address, path=("framework",)
        )
    yield from _code_diagnostics(subject)


def _code_diagnostics(subject: Subject) -> Iterator[Diagnostic]:
    spec, address = subject.spec, subject.address
    code, boot = subject.facts.get("code"), subject.facts.get("boot")
    if code is None:
        return
    if code.presence is Presence.UNREACHABLE:
        detail = f"`{spec.code}` cannot be read: {code.problem}"
        yield Diagnostic("SF215", "Folder cannot be read", detail, address=address, path=("code",))
        return
    if code.presence is Presence.ABSENT or is_single_file(code):
        detail = (
            f"`{spec.code}` is a file, not a folder" if is_single_file(code) else f"there is no folder `{spec.code}`"
        )
        hint = "`code` is a folder relative to the project, with the boot file in it"
        yield Diagnostic("SF210", "Folder not found", detail, hint=hint, address=address, path=("code",))
        return
    for each in code.facts.get("problems", ()):
        detail, hint = (
            f"`{each['path']}` in `{spec.code}` {each['problem']}",
            "take it away, or name it in `.specignore`",
        )
        yield Diagnostic("SF215", "Folder cannot be read", detail, hint=hint, address=address, path=("code",))
    if posixpath.normpath(spec.boot).startswith(("../", "/")):
        detail = f"`{spec.boot}` is outside of `{spec.code}`"
        yield Diagnostic(
            "SF210", "File not found", detail, hint="`boot` is relative to `code`", address=address, path=("boot",)
        )
    elif boot is not None and (boot.presence is Presence.ABSENT or boot.facts.get("folders")):
        absent = boot.presence is Presence.ABSENT
        detail = f"there is no file `{spec.boot}` in `{spec.code}`" if absent else f"`{spec.boot}` is a folder"
        yield Diagnostic(
            "SF210", "File not found", detail, hint="`boot` is relative to `code`", address=address, path=("boot",)
        )
