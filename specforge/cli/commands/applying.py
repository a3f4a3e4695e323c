"""`spec apply` and `spec destroy`: show the plan, ask, perform it, say what came of it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from specforge.cli.boundary import FAILED, INTERRUPTED, OK
from specforge.cli.commands import planning
from specforge.cli.commands.planning import Wishes
from specforge.cli.output import Output
from specforge.cli.progress import Tails, is_live, progress
from specforge.cli.session import Session, command_line, no_collector, principal
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PlanError
from specforge.core.making import dataclass
from specforge.planner.plan import Plan

if TYPE_CHECKING:
    from specforge.engine.apply import ApplyResult
    from specforge.engine.session import ApplySettings, Interrupts

GRACE = 10.0
"""Seconds that a cancelled job has to end by itself."""
_LOOK_EVERY = 0.1  # seconds between two looks at who holds the lock


@dataclass(frozen=True, slots=True)
class How:
    """How an apply goes about it; see the options of the same names."""

    yes: bool = False
    parallelism: int = 8
    fail_fast: bool = False
    finish_running: bool = False
    lock_timeout: float = 0.0


def apply(
    session: Session, output: Output, wishes: Wishes, how: How, plan_file: Path | None, alone: Address | None = None
) -> int:
    """Perform a saved plan or a new one; returns the exit code. A plan about `alone` only needs no approval."""
    how = _after_others(session, output, how)
    with no_collector():
        plan = _plan(session, wishes, plan_file)
        if not output.as_json:
            planning.show(plan, output)
    expected = alone is not None and not plan.runs and {each.address for each in plan.pending} <= {alone}
    if not (how.yes or plan.empty or expected or _approved(plan, output)):
        return FAILED
    result, tails = _perform(session, output, plan, how)
    if not output.as_json:
        _say_result(_located(result, session), tails, output)
    if result.interrupted:
        return INTERRUPTED
    return FAILED if result.failed or plan.unreachable else OK


def _after_others(session: Session, output: Output, how: How) -> How:
    """Wait, as long as the user allows, for who applies now: a plan made meanwhile would be stale."""
    until, told = time.monotonic() + how.lock_timeout, False
    while how.lock_timeout > 0 and time.monotonic() < until:
        holder = session.backend.lock_info()
        if holder is None:
            break
        if not told:
            output.note(f"Waiting for {holder.who} ({holder.command}, pid {holder.pid}).")
            told = True
        time.sleep(_LOOK_EVERY)
    return replace(how, lock_timeout=max(0.0, until - time.monotonic())) if how.lock_timeout > 0 else how


def _plan(session: Session, wishes: Wishes, plan_file: Path | None) -> Plan:
    if plan_file is None:
        return planning.make(session, wishes)
    if wishes.targets or wishes.replace:
        detail = "a saved plan is performed as it was made"
        hint = "give `--target` and `--replace` to `spec plan`"
        raise PlanError(Diagnostic("SF256", "Options that a saved plan cannot take", detail, hint=hint))
    from specforge.cli.planfile import check_belongs, read_plan

    plan = read_plan(plan_file)
    check_belongs(plan, plan_file, session.project.name, session.project.environment)
    return plan


def _approved(plan: Plan, output: Output) -> bool:
    """Ask; without a terminal there is nobody to ask, which is said and taken as no."""
    if not sys.stdin.isatty():
        detail = "there is no terminal to ask on, so nothing was done"
        hint = "look at the plan, then run it again with `--yes`"
        raise PlanError(Diagnostic("SF257", "Not approved", detail, hint=hint))
    return asked("Destroy this?" if plan.destroy else "Do this?", output)


def asked(question: str, output: Output) -> bool:
    """Ask on the terminal."""
    sys.stderr.write(f"\n{question} Only `yes` is taken as a yes: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if answer.strip() == "yes":
        sys.stderr.write("\n")
        return True
    output.note(("" if answer.endswith("\n") else "\n") + "Nothing was done.")
    return False


def settings_of(how: How) -> ApplySettings:
    """Return what the engine is told: how, and who acts."""
    from specforge.engine.session import ApplySettings

    return ApplySettings(
        parallelism=how.parallelism,
        fail_fast=how.fail_fast,
        finish_running=how.finish_running,
        lock_timeout=how.lock_timeout,
        command=command_line(),
        who=principal(),
        host=socket.gethostname(),
        pid=os.getpid(),
        grace=GRACE,
    )


def _perform(session: Session, output: Output, plan: Plan, how: How) -> tuple[ApplyResult, Tails]:
    from specforge.engine.apply import apply as perform
    from specforge.engine.session import Interrupts

    tails, interrupts = Tails(), Interrupts()
    estimates = {each.address: each.estimate for each in plan.pending if each.estimate is not None}
    with (
        session.located(),
        progress(output, tails, estimates, session.locate) as shown,
        handled_signals(interrupts, shown.say),
    ):
        result = perform(
            plan,
            backend=session.backend,
            executors=session.executors,
            sink=shown.sink,
            clock=time.time,
            settings=settings_of(how),
            interrupts=interrupts,
        )
    return result, tails


@contextmanager
def handled_signals(interrupts: Interrupts, say: Callable[[str], None]) -> Iterator[None]:
    """First Ctrl-C: start nothing new. Second, or SIGTERM: cancel what runs. The state is written either way."""
    asked = 0

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if number == signal.SIGINT and asked == 1:
            interrupts.stop()
            say("Stopping: what runs is finished, nothing new is started. Ctrl-C again cancels it.")
        elif not interrupts.token.cancelled:
            interrupts.cancel()
            say(f"Cancelling: what runs is asked to end; what has not ended after {GRACE:g} s is killed.")

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _located(result: ApplyResult, session: Session) -> ApplyResult:
    """Give the diagnostics of every failed change their places in the user's files."""
    outcomes = {
        address: replace(ended, diagnostics=session.locate(ended.diagnostics)) if ended.diagnostics else ended
        for address, ended in result.outcomes.items()
    }
    return replace(result, outcomes=outcomes)


def _say_result(result: ApplyResult, tails: Tails, output: Output) -> None:
    from specforge.render.result import render_result

    if not result.outcomes and not result.interrupted:
        return
    logs = {key: tuple(lines) for key, lines in tails.lines.items()}
    # On a terminal the line of each change has just scrolled by.
    # Who reads both streams has seen a line for each resource already.
    table = not (_one_reader() or (is_live(output) and sys.stdout.isatty()))
    output.text("\n" + render_result(result, logs=logs, table=table, color=output.color, width=output.width))


def _one_reader() -> bool:
    """Whether standard output and standard error lead to the same place."""
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)
