"""The options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

AnAddress = Annotated[str, typer.Argument(metavar="ADDRESS", help="Like training.digits.")]
Directory = Annotated[
    Path | None,
    typer.Option("--project", "-C", metavar="DIR", help="The project's folder; default: the nearest one upwards."),
]
Environment = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="The environment; each has a state of its own.")
]
Variables = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Give a variable a value; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="ADDRESS", help="Only this resource and what it needs; repeatable."),
]
Replace = Annotated[
    list[str] | None,
    typer.Option("--replace", metavar="ADDRESS", help="Make this again though nothing changed; repeatable."),
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
