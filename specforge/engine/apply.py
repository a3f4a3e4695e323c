"""Apply a plan: lock, check that the state is the plan's, look ahead, do the changes, say what came of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity, has_errors
from specforge.core.errors import ExecutionError, PlanError, SpecforgeError
from specforge.core.making import dataclass
from specforge.core.state import LockInfo, State
from specforge.core.steps import Step, place_of_step
from specforge.core.values import Place, holes_in
from specforge.engine.changes import do_changes
from specforge.engine.events import ChangeEnded, Ended, Reporter, Sink, Started
from specforge.engine.observe import Places, blamed, in_time, late_words
from specforge.engine.runs import forget_unstarted
from specforge.engine.session import ApplySettings, Interrupts, Means, Session
from specforge.planner.plan import Action, Plan, Verb
from specforge.state.backend import StateBackend


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What came of an apply. `failed`: the command must exit 1; `interrupted`: it must exit 130."""

    outcomes: Mapping[Address, ChangeEnded]
    seconds: float
    failed: bool
    interrupted: bool


_AGAIN = "apply again when it answers; nothing was created or destroyed there"
_FAILING = frozenset({"failed", "refused", "skipped", "unreachable", "cancelled"})
_STOPPED = frozenset({"skipped", "cancelled"})


def apply(
    plan: Plan,
    *,
    backend: StateBackend,
    executors: Places,
    sink: Sink,
    clock: Callable[[], float],
    settings: ApplySettings | None = None,
    interrupts: Interrupts | None = None,
) -> ApplyResult:
    """Make the plan true. Raises StateLocked, PlanError (stale) or ExecutionError (refused before anything began)."""
    report = Reporter(sink)
    means = Means(backend, executors, report, clock, settings or ApplySettings(), interrupts or Interrupts())
    begun, operation = clock(), uuid.uuid4().hex
    if plan.empty and not plan.unreachable:
        with suppress(SpecforgeError):  # nobody asked for it: the next apply may do it as well
            _clear_leftovers(plan, means, operation)
        return ApplyResult({}, 0.0, failed=False, interrupted=False)
    with backend.lock(_lock_info(means.settings, operation, begun), means.settings.lock_timeout):
        state = backend.read()
        check_fresh(plan, state)
        warnings = _preflight(plan, executors, means.settings.deadline)
        if state.ref.lineage is None:
            state = replace(state, ref=backend.begin(str(uuid.uuid4()), plan.project, plan.environment))
        report(Started(begun, operation, plan.project, plan.environment, len(plan.pending), warnings))
        outcomes = do_changes(Session.begin(plan, state, operation, means), plan, state)
    result = _result(means, plan, outcomes, begun)
    report.finish()
    return result


def _clear_leftovers(plan: Plan, means: Means, operation: str) -> None:
    """Clear what a killed apply was about to begin, and nobody wants any more, from the record."""
    if not plan.leftovers:
        return
    with means.backend.lock(_lock_info(means.settings, operation, means.clock()), 0.0):
        state = means.backend.read()
        check_fresh(plan, state)
        session = Session.begin(plan, state, operation, means)
        for address in plan.leftovers:
            forget_unstarted(session, address)


def _lock_info(settings: ApplySettings, operation: str, now: float) -> LockInfo:
    return LockInfo(operation, settings.who, settings.command, now, settings.pid, settings.host)


def check_fresh(plan: Plan, state: State) -> None:
    """Raise PlanError unless the state is still the one that the plan was made from."""
    if plan.base == state.ref:
        return
    if plan.base.lineage != state.ref.lineage:
        detail = "the plan was made from another state (another lineage)"
    else:
        detail = f"the plan was made at serial {plan.base.serial}, the state is at {state.ref.serial} now"
    raise PlanError(Diagnostic("SF206", "The plan is stale", detail, hint="make a new plan with `spec plan`"))


def _preflight(plan: Plan, places: Places, deadline: float) -> tuple[Diagnostic, ...]:
    """Let every place say what would keep the steps from succeeding, before the first effect; returns warnings."""
    steps: dict[Place, list[Step]] = {}
    for change in plan.pending:
        made = [s for each in change.parts if each.verb in (Verb.MAKE, Verb.MAYBE) for s in each.part.steps]
        for step in (*made, *change.steps):
            place = place_of_step(step)
            if not holes_in(place):
                steps.setdefault(place, []).append(step)

    def look_ahead(place: Place) -> Sequence[Diagnostic]:
        executor = places.of(place)
        with blamed(place, "while it looked ahead"):
            return executor.preflight(place, steps[place], deadline)

    found: list[Diagnostic] = []
    for place, said in in_time(look_ahead, dict.fromkeys(steps, deadline)).items():
        found += [_late(place, deadline)] if said is None else said
    if has_errors(found):
        raise ExecutionError([each for each in found if each.severity is Severity.ERROR])
    return tuple(dict.fromkeys(found))


def _late(place: Place, deadline: float) -> Diagnostic:
    return Diagnostic("SF403", "Place unreachable", f"{place}: {late_words(deadline)}", hint=_AGAIN)


def _result(means: Means, plan: Plan, outcomes: dict[Address, ChangeEnded], begun: float) -> ApplyResult:
    """Tell what was out of reach, and the end."""
    for address, ended in _out_of_reach(plan, means.clock()).items():
        if address not in outcomes:
            outcomes[address] = ended
            means.report(ended)
    counts = Counter(each.outcome for each in outcomes.values())
    failed = not _FAILING.isdisjoint(counts)
    interrupted = means.interrupts.stopping and not _STOPPED.isdisjoint(counts)
    word = "interrupted" if interrupted else "failed" if failed else "done"
    seconds = means.clock() - begun
    means.report(Ended(means.clock(), word, seconds, tuple(sorted(counts.items()))))
    return ApplyResult(outcomes, seconds, failed, interrupted)


def _out_of_reach(plan: Plan, now: float) -> dict[Address, ChangeEnded]:
    return {
        address: ChangeEnded(
            now,
            address,
            Action.NOOP.value,
            "unreachable",
            0.0,
            words=f"{each.place.called} cannot be reached",
            diagnostics=(
                Diagnostic("SF403", "Place unreachable", f"{each.place.called}: {each.problem}", hint=_AGAIN),
            ),
        )
        for each in plan.unreachable
        for address in each.addresses
    }
