"""Procedures: how data work is done. Functions with declared inputs, outputs and parameters, which know no place and no
kind; also `python -m specforge.procedures NAME --OPTION=VALUE …`, in whatever toolchain they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_SHOWN = 20


class Failure(Exception):
    """The user's data or code is wrong, shown without a traceback.

    `reason` is one line, why the job failed; `details` name each thing that is wrong, for its log; `hint` says in one
    line what to do about it.
    """

    def __init__(self, reason: str, details: Sequence[str] = (), hint: str = "") -> None:
        self.reason = reason
        self.details = tuple(details)
        self.hint = hint
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The reason and the first detail, in one line."""
        more = f" (and {len(self.details) - 1:,} more)" if len(self.details) > 1 else ""
        return f"{self.reason}: {self.details[0]}{more}" if self.details else self.reason

    @property
    def text(self) -> str:
        """The reason and the first twenty details, a line each."""
        if not self.details:
            return self.reason
        more = len(self.details) - _SHOWN
        rest = [f"and {more:,} more"] if more > 0 else []
        return "\n  ".join([f"{self.reason}:", *self.details[:_SHOWN], *rest])


@dataclass(frozen=True, slots=True)
class Procedure:
    """Where a procedure is found (a module with `main(argv)`), and the revision of what it gives.

    The revision is in the identity of what it makes: it is bumped by hand when the same inputs and options would give
    other bytes.
    """

    module: str
    revision: int


PROCEDURES: Mapping[str, Procedure] = {
    "publish_dataset": Procedure("specforge.procedures.dataset", 1),
    "evaluate": Procedure("specforge.procedures.evaluate", 1),
    "serve": Procedure("specforge.procedures.serve", 1),
    "package": Procedure("specforge.procedures.package", 1),
}
"""Every procedure by its name. Known without importing any: a plan needs no more than the revisions."""


def find(name: str) -> Callable[[Sequence[str]], None]:
    """Return the procedure's `main`, which takes its options; raise KeyError if there is no such procedure."""
    from importlib import import_module

    main: Callable[[Sequence[str]], None] = import_module(PROCEDURES[name].module).main
    return main
