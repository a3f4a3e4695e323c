"""The exceptions a user may meet. Each carries diagnostics; anything else that escapes is a bug of ours."""

from __future__ import annotations

from collections.abc import Iterable

from specforge.core.diagnostics import Diagnostic


class SpecforgeError(Exception):
    """An expected failure, shown without a traceback."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        super().__init__("; ".join(f"{each.code} {each.summary}: {each.detail}" for each in self.diagnostics))


class ConfigError(SpecforgeError):
    """The specs, the project file or the command's arguments are wrong (SF1xx)."""


class PlanError(SpecforgeError):
    """No plan can be made, or the plan given cannot be applied (SF2xx)."""


class StateError(SpecforgeError):
    """The state cannot be read, locked or written (SF3xx)."""


class StateLocked(StateError):
    """Somebody else holds the lock; the diagnostic says who and since when."""


class ExecutionError(SpecforgeError):
    """A step failed at its place (SF4xx).

    `ended` says that the run is over and its attempt used up (a job exited); otherwise performing the step again under
    the same key may still succeed (a disk was full, a connection broke). `refusal` says that the place rightly refused
    (data that others still use). `log` is the end of the job's output.
    """

    def __init__(
        self,
        diagnostics: Diagnostic | Iterable[Diagnostic],
        *,
        ended: bool = False,
        refusal: bool = False,
        log: str = "",
    ) -> None:
        super().__init__(diagnostics)
        self.ended = ended
        self.refusal = refusal
        self.log = log


class Cancelled(ExecutionError):
    """The run was cancelled on request; its attempt is used up."""


class Lost(ExecutionError):
    """Nobody will ever know how the run ended, or what it left is gone; its attempt is used up."""


class PluginError(SpecforgeError):
    """A distribution that extends specforge is broken (SF5xx); names the distribution and its entry point."""
