"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


def _completes(what: str) -> Callable[[typer.Context, str], list[str]]:
    """Return a function for the shell's completion that looks for `what` when it is asked."""

    def find(ctx: typer.Context, incomplete: str) -> list[str]:
        from specforge.cli import completion

        return completion.complete(getattr(completion, what), ctx.params, incomplete)

    return find


ADDRESSES = _completes("addresses")
AnAddress = Annotated[str, typer.Argument(metavar="ADDRESS", help="Like training.digits.", autocompletion=ADDRESSES)]
MaybeAnAddress = Annotated[
    str | None, typer.Argument(metavar="ADDRESS", help="Only of this resource.", autocompletion=ADDRESSES)
]
AService = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="Like service.digits.", autocompletion=_completes("services"))
]
AServiceName = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE",
        help="Its name or address: digits, service.digits.",
        autocompletion=_completes("service_names"),
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option("--project", "-C", metavar="DIR", help="The project's folder; default: the nearest one upwards."),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        help="The environment; each has a state of its own.",
        autocompletion=_completes("environments"),
    ),
]
Variables = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Give a variable a value; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="ADDRESS",
        help="Only this resource and what it needs; repeatable.",
        autocompletion=ADDRESSES,
    ),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="ADDRESS",
        help="Make this again though nothing changed; repeatable.",
        autocompletion=ADDRESSES,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Parallelism = Annotated[int, typer.Option("--parallelism", min=1, metavar="N", help="At most so many changes at once.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Start nothing more after the first failure.")]
LockTimeout = Annotated[
    float, typer.Option("--lock-timeout", min=0, metavar="SECONDS", help="Wait so long for another apply to end.")
]
FinishRunning = Annotated[
    bool, typer.Option("--finish-running", help="Keep runs that are no longer wanted instead of cancelling them.")
]


class DriftForm(Enum):
    """How a report of drift is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    JUNIT = "junit"
