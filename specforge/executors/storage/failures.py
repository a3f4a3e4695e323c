"""What can go wrong at a store, in words a user can act on. Codes SF420 to SF429."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError
from specforge.formats.folder import words

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def fail(code: str, summary: str, detail: str, hint: str | None = None) -> ExecutionError:
    """Return an error to raise; performing the step again may succeed."""
    return ExecutionError(Diagnostic(code, summary, detail, hint=hint))


def no_store(place: str) -> ExecutionError:
    """There is no store where one is needed."""
    return fail("SF420", "Not a place for this", f"there is no store in `{place}`", "`spec apply` the Store first")


def unknown_format(place: str, found: str) -> ExecutionError:
    """The store was written by a release with another format, or its format file is damaged."""
    detail = f"the store `{place}` has {found}, this release knows format 1"
    return fail("SF421", "Unknown store format", detail, "use the release of specforge that wrote it")


def version_taken(version: str, identity: str) -> ExecutionError:
    """The version name that was asked for belongs to other content."""
    detail = f"this version holds something else: `{version}` was published as {identity[:12]}"
    return fail("SF422", "Version name taken", detail, "take away `version:`, or give a name that is free")


def changed(where: str, path: str | None = None) -> ExecutionError:
    """The source is no longer what was planned."""
    detail = f"the files changed since the plan: `{path}` in {where}" if path else f"{where} changed since the plan"
    return fail("SF423", "Files changed", detail, "`spec plan` again")


def in_use(identity: str, build: int, holders: Iterable[str]) -> ExecutionError:
    """Others still refer to the data that should go."""
    detail = f"{identity[:12]}, build {build}, is still used by {', '.join(holders)}"
    found = Diagnostic("SF424", "Still in use", detail, hint="destroy or forget it there first")
    return ExecutionError(found, refusal=True)


def damaged(where: str, path: str) -> ExecutionError:
    """What is published is not whole."""
    detail = f"`{path}` in {where} is missing or damaged"
    return fail("SF428", "Published data damaged", detail, "`spec plan` says what is lost; `spec apply` makes it again")


def impossible(detail: str, hint: str | None = None) -> ExecutionError:
    """The step makes no sense at this place."""
    return fail("SF420", "Not a place for this", detail, hint)


def unfit(where: str, problems: Iterable[tuple[str, str]]) -> ExecutionError:
    """A folder holds what cannot be a part of a tree."""
    few = [f"`{path}` {problem}" for path, problem in problems]
    more = f" and {len(few) - 3} more" if len(few) > 3 else ""
    detail = f"{where}: {'; '.join(few[:3])}{more}"
    return fail("SF427", "Files cannot be read", detail, "take them away, or name them in `.specignore`")


def cancelled() -> Cancelled:
    """The user asked to stop."""
    return Cancelled(Diagnostic("SF429", "Cancelled", "stopped on request before anything was published"))


def explained(error: OSError, place: str) -> ExecutionError:
    """Turn what the system said about the store into an error with a hint."""
    at = f" (`{error.filename}`)" if isinstance(error.filename, str) else ""
    if error.errno in FULL:
        size = error.errno == errno.EFBIG
        why = "the limit on the size of files was met" if size else "there is no space left"
        hint = "raise the limit (`ulimit -f`), then apply again" if size else "make space, then apply again"
        return fail(
            "SF426", "No space", f"the store `{place}` cannot be written: {why}", f"{hint}; nothing was published"
        )
    if error.errno in FORBIDDEN:
        detail = f"the store `{place}` cannot be written: {words(error)}{at}"
        return fail(
            "SF425", "Store cannot be used", detail, "check the folder's owner, rights and mount, then apply again"
        )
    return fail("SF425", "Store cannot be used", f"`{place}`: {words(error)}{at}", "apply again once the cause is gone")
