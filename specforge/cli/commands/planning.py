"""`spec plan`, and the making of a plan for the commands that apply one."""

from __future__ import annotations

import time
from pathlib import Path

from specforge.cli.boundary import CHANGES, FAILED, OK
from specforge.cli.output import Output
from specforge.cli.session import Session, no_collector
from specforge.core.making import dataclass
from specforge.planner.plan import Options, Plan


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of a plan; addresses as typed."""

    targets: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    destroy: bool = False
    delete_artifacts: bool = False


def plan(session: Session, output: Output, wishes: Wishes, out: Path | None, *, detailed_exitcode: bool) -> int:
    """Make the plan, print it, save it if asked."""
    with no_collector():
        made = make(session, wishes)
        show(made, output)
    holder = session.backend.lock_info()
    if holder is not None:
        output.note(f"{holder.who} is applying now ({holder.command}, pid {holder.pid}): this plan may soon be old.")
    if out is not None:
        from specforge.cli.planfile import write_plan

        write_plan(out, made)
        output.note(f"Saved. `spec apply {out}` performs exactly this plan.")
    if detailed_exitcode and (made.drift or not made.empty):
        return CHANGES
    return FAILED if made.unreachable else OK


def make(session: Session, wishes: Wishes) -> Plan:
    """Load, observe and plan; diagnostics come out located in the user's files."""
    from dataclasses import replace

    from specforge.engine.planning import make_plan

    with session.located():
        options = Options(
            session.addresses(wishes.targets),
            session.addresses(wishes.replace),
            destroy=wishes.destroy,
            delete_artifacts=wishes.delete_artifacts,
        )
        made = make_plan(session.project, session.state(), session.executors, options, time.time())
        warnings = (*session.project.warnings, *made.diagnostics)
        return replace(made, diagnostics=session.locate(tuple(dict.fromkeys(warnings))))


def show(plan: Plan, output: Output) -> None:
    """Print the plan as text or JSON."""
    if output.as_json:
        from specforge.render.plan_json import plan_json

        output.data(plan_json(plan))
    else:
        from specforge.render.plan import render_plan

        output.text(render_plan(plan, color=output.color, width=output.width))
