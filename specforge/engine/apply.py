"""Apply a plan: lock, check that the state is the plan's, look ahead, work in graph order, record every change."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity, has_errors
from specforge.core.errors import Cancelled, ExecutionError, PlanError, SpecforgeError, StateError
from specforge.core.state import LockInfo, State, StateRef
from specforge.core.steps import Step, place_of_step
from specforge.core.values import Place, holes_in
from specforge.engine.events import ChangeEnded, ChangeStarted, Ended, Sink, Started
from specforge.engine.observe import DEADLINE, Places
from specforge.engine.runs import settle_run
from specforge.engine.scheduler import run
from specforge.engine.session import ApplySettings, Interrupts, Session
from specforge.engine.work import realise
from specforge.engine.writer import StateWriter
from specforge.planner.plan import Action, Change, Plan, Verb
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
    settings, interrupts = settings or ApplySettings(), interrupts or Interrupts()
    begun, operation = clock(), uuid.uuid4().hex
    if plan.empty and not plan.unreachable:
        return ApplyResult({}, 0.0, failed=False, interrupted=False)
    info = LockInfo(operation, settings.who, settings.command, begun, settings.pid, settings.host)
    with backend.lock(info, settings.lock_timeout):
        state = backend.read()
        check_fresh(plan, state)
        warnings = _preflight(plan, executors)
        lineage = state.ref.lineage or str(uuid.uuid4())
        ref = backend.begin(lineage, plan.project, plan.environment) if state.ref.lineage is None else state.ref
        session = _session(plan, state, ref, lineage, operation, backend, executors, sink, clock, settings, interrupts)
        pending = {change.address: change for change in plan.pending}
        sink(Started(begun, operation, plan.project, plan.environment, len(pending), warnings))
        outcomes = _run(session, plan, pending)
    outcomes.update(_unreachable_outcomes(plan, clock()))
    for ended in (each for each in outcomes.values() if each.outcome == "unreachable"):
        sink(ended)
    failed = any(each.outcome in _FAILING for each in outcomes.values())
    counts: dict[str, int] = {}
    for each in outcomes.values():
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    word = "interrupted" if interrupts.stopping else "failed" if failed else "done"
    sink(Ended(clock(), word, clock() - begun, tuple(sorted(counts.items()))))
    return ApplyResult(outcomes, clock() - begun, failed, interrupts.stopping)


def check_fresh(plan: Plan, state: State) -> None:
    """Raise PlanError unless the state is still the one that the plan was made from."""
    if plan.base == state.ref:
        return
    if plan.base.lineage != state.ref.lineage:
        detail = "the plan was made from another state (another lineage)"
    else:
        detail = f"the plan was made at serial {plan.base.serial}, the state is at {state.ref.serial} now"
    raise PlanError(Diagnostic("SF206", "The plan is stale", detail, hint="make a new plan with `spec plan`"))


def _session(
    plan: Plan,
    state: State,
    ref: StateRef,
    lineage: str,
    operation: str,
    backend: StateBackend,
    places: Places,
    sink: Sink,
    clock: Callable[[], float],
    settings: ApplySettings,
    interrupts: Interrupts,
) -> Session:
    return Session(
        lineage,
        operation,
        clock,
        places,
        StateWriter(backend, operation, clock, ref),
        sink,
        settings,
        interrupts,
        dict(state.resources),
        dict(state.attempts),
        Session.outputs_of_state(state, {change.address: change for change in plan.changes}),
    )


# ---- before anything runs ----


def _preflight(plan: Plan, places: Places) -> tuple[Diagnostic, ...]:
    """Let every place say what would keep the steps from succeeding, before the first effect; return its warnings."""
    steps: dict[Place, list[Step]] = {}
    for change in plan.pending:
        made = [s for each in change.parts if each.verb in (Verb.MAKE, Verb.MAYBE) for s in each.part.steps]
        for step in (*made, *change.steps):
            place = place_of_step(step)
            if not holes_in(place):
                steps.setdefault(place, []).append(step)
    found: list[Diagnostic] = []
    for place, own in steps.items():
        found.extend(places.of(place).preflight(place, own, DEADLINE))
    if has_errors(found):
        raise ExecutionError([each for each in found if each.severity is Severity.ERROR])
    return tuple(dict.fromkeys(found))


# ---- the run ----


def _run(session: Session, plan: Plan, pending: dict[Address, Change]) -> dict[Address, ChangeEnded]:
    outcomes: dict[Address, ChangeEnded] = {}
    unwanted = {each.address for each in plan.runs if not each.wanted}

    def work(address: Address) -> bool:
        change = pending.get(address)
        action = change.action.value if change else "cancel run"
        at = session.clock()
        session.sink(ChangeStarted(at, address, action))
        try:
            if address in unwanted and address in session.resources:
                settle_run(session, session.resources[address])
            if change is None:
                ended = ChangeEnded(session.clock(), address, action, "done", session.clock() - at)
            else:
                outcome = realise(session, change)
                ended = ChangeEnded(
                    session.clock(),
                    address,
                    action,
                    outcome.word,
                    session.clock() - at,
                    outcome.version,
                    outcome.words,
                    diagnostics=outcome.diagnostics,
                )
        except SpecforgeError as error:
            ended = _failure(session, address, action, at, error)
        outcomes[address] = ended
        session.sink(ended)
        return ended.outcome not in ("failed", "cancelled") and not _leaves_nothing(session, ended, change)

    def skip(address: Address, because: Address | None) -> None:
        change = pending.get(address)
        action = change.action.value if change else "cancel run"
        ended = ChangeEnded(session.clock(), address, action, "skipped", 0.0, because=because)
        outcomes[address] = ended
        session.sink(ended)

    run(
        _waits(pending, unwanted),
        work,
        skip,
        parallelism=session.settings.parallelism,
        fail_fast=session.settings.fail_fast,
        stopping=lambda: session.interrupts.stopping,
    )
    return outcomes


def _leaves_nothing(session: Session, ended: ChangeEnded, change: Change | None) -> bool:
    """A refused first version leaves nothing that others could go on with."""
    if ended.outcome != "refused" or change is None or change.spec is None:
        return False
    resource = session.resources.get(ended.address)
    return resource is None or resource.current is None


def _failure(session: Session, address: Address, action: str, at: float, error: SpecforgeError) -> ChangeEnded:
    word = "cancelled" if isinstance(error, Cancelled) else "failed"
    log = error.log if isinstance(error, ExecutionError) else ""
    # What is wrong with the state is no fault of the change that met it.
    about = None if isinstance(error, StateError) else address
    diagnostics = tuple(
        replace(each, address=each.address or about, note=each.note or (log or None)) for each in error.diagnostics
    )
    now = session.clock()
    return ChangeEnded(now, address, action, word, now - at, diagnostics=diagnostics)


def _waits(pending: Mapping[Address, Change], unwanted: set[Address]) -> dict[Address, frozenset[Address]]:
    """What comes before what: inputs before their users; what is taken away only after all who used it let go."""
    waits: dict[Address, set[Address]] = {address: set() for address in (*pending, *unwanted)}
    for address, change in pending.items():
        if change.spec is not None:
            waits[address].update(each for each in change.waits_for if each in pending)
        used = change.before.waits_for if change.before is not None else ()
        for target in used:
            if target in pending and pending[target].spec is None:
                waits[target].add(address)
    return {address: frozenset(targets) for address, targets in waits.items()}


def _unreachable_outcomes(plan: Plan, now: float) -> dict[Address, ChangeEnded]:
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
