"""What goes wrong with replicas, in words: one function per kind of failure, each gives the exception to raise."""

from __future__ import annotations

from collections.abc import Iterator

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.steps import EnsureReplicas
from specforge.core.values import Key
from specforge.executors.replicas.supervisord import is_installed

INSTALL = "`pip install 'specforge[serve]'`, where `spec` is installed"


def not_ready(key: Key, why: str, log: str) -> ExecutionError:
    """Return the error of replicas that do not get ready; `log` is the end of what one of them printed."""
    detail = f"step `{key.step}` of {key.address}: {why}"
    hint = f"`spec logs {key.address}` shows what they printed"
    found = Diagnostic("SF450", "The replicas are not ready", detail, hint=hint, address=key.address)
    return ExecutionError(found, ended=True, log=log)


def not_installed(key: Key | None = None) -> Diagnostic:
    """Return what to say where supervisor is not installed."""
    detail = "replicas are kept up by supervisor, which is not installed"
    return Diagnostic(
        "SF451", "supervisor is missing", detail, hint=INSTALL, address=None if key is None else key.address
    )


def no_answer(key: Key, why: str) -> ExecutionError:
    """Return the error of a supervisor that cannot be started or asked; performing the step again may succeed."""
    detail = f"step `{key.step}` of {key.address}: {why}"
    hint = "`supervisor/supervisord.log` in the pool's folder says more; apply again"
    return ExecutionError(Diagnostic("SF452", "Supervisor does not work", detail, hint=hint, address=key.address))


def cancelled(key: Key) -> Cancelled:
    """Return what is raised when a stop was asked for; what was started is left as it is."""
    detail = f"step `{key.step}` of {key.address} was stopped before its replicas were as wanted"
    return Cancelled(Diagnostic("SF441", "Cancelled", detail, address=key.address))


def unfit(step: EnsureReplicas) -> Iterator[Diagnostic]:
    """Return what keeps these replicas from being started anywhere on this machine."""
    if step.run is not None and step.count > 0 and not is_installed():
        yield not_installed()
