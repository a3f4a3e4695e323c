"""Do the changes of a plan: each after what it needs, as many at once as asked for; tell of each how it went."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import Cancelled, ExecutionError, SpecforgeError, StateError
from specforge.core.state import Resource, State
from specforge.engine.events import ChangeEnded, ChangeStarted
from specforge.engine.handover import order_handovers
from specforge.engine.observe import where_raised, words_of
from specforge.engine.removing import take_away
from specforge.engine.runs import forget_unstarted, settle_run
from specforge.engine.scheduler import run
from specforge.engine.session import Session
from specforge.engine.work import realise
from specforge.planner.plan import Change, Plan
from specforge.schemas.kind import Lifecycle


def do_changes(session: Session, plan: Plan, state: State) -> dict[Address, ChangeEnded]:
    """Return how each change, and each run that is no longer wanted, ended; a failure skips what depends on it."""
    for address in plan.leftovers:
        forget_unstarted(session, address)
    pending = {change.address: change for change in plan.pending}
    unwanted = {each.address for each in plan.runs if not each.wanted}
    outcomes: dict[Address, ChangeEnded] = {}

    def tell(ended: ChangeEnded) -> None:
        outcomes[ended.address] = ended
        session.sink(ended)

    def work(address: Address) -> bool:
        change = pending.get(address)
        ended = _do(session, address, change, cancels=address in unwanted)
        tell(ended)
        return ended.outcome not in ("failed", "cancelled") and not _leaves_nothing(session, change)

    def skip(address: Address, because: Address | None) -> None:
        action = _word(pending.get(address))
        tell(ChangeEnded(session.clock(), address, action, "skipped", 0.0, because=because))

    waits = _waits(pending, unwanted, state)
    session.early = order_handovers(waits, pending, state)
    run(
        waits,
        work,
        skip,
        parallelism=session.settings.parallelism,
        fail_fast=session.settings.fail_fast,
        stopping=lambda: session.interrupts.stopping,
    )
    return outcomes


def _word(change: Change | None) -> str:
    return change.action.value if change else "cancel run"


def _do(session: Session, address: Address, change: Change | None, *, cancels: bool) -> ChangeEnded:
    """Do one change, or only end its unwanted run; an error becomes the outcome of this change and of no other."""
    begun, action = session.clock(), _word(change)
    session.sink(ChangeStarted(begun, address, action))
    try:
        if cancels and address in session.resources:
            settle_run(session, session.resources[address])
        if change is None:
            return ChangeEnded(session.clock(), address, action, "done", session.clock() - begun)
        if change.spec is None:
            outcome = take_away(session, change, session.resources.get(address))
        else:
            outcome = realise(session, change)
    except SpecforgeError as error:
        return _failure(session, address, action, begun, error)
    except Exception as error:  # noqa: BLE001 - a bug of ours or of a kind: what the others do is recorded all the same
        return _failure(session, address, action, begun, _bug(error))
    return ChangeEnded(
        session.clock(),
        address,
        action,
        outcome.word,
        session.clock() - begun,
        outcome.version,
        outcome.words,
        diagnostics=outcome.diagnostics,
    )


def _leaves_nothing(session: Session, change: Change | None) -> bool:
    """Whether others have nothing to go on with: an artifact of which no version was accepted."""
    if change is None or change.spec is None or change.lifecycle != Lifecycle.ARTIFACT.value:
        return False
    resource = session.resources.get(change.address)
    return resource is None or resource.current is None


def _bug(error: Exception) -> ExecutionError:
    hint = "please report it; apply again to go on with what was done"
    found = Diagnostic("SF499", "This is a bug in specforge", words_of(error), hint=hint, note=where_raised(error))
    return ExecutionError(found)


def _failure(session: Session, address: Address, action: str, begun: float, error: SpecforgeError) -> ChangeEnded:
    word = "cancelled" if isinstance(error, Cancelled) else "failed"
    log = error.log if isinstance(error, ExecutionError) else ""
    # What is wrong with the state is no fault of the change that met it.
    about = None if isinstance(error, StateError) else address
    diagnostics = tuple(
        replace(each, address=each.address or about, note=each.note or (log or None)) for each in error.diagnostics
    )
    now = session.clock()
    return ChangeEnded(now, address, action, word, now - begun, diagnostics=diagnostics)


# ---- what comes before what ----


def _waits(
    pending: Mapping[Address, Change], unwanted: AbstractSet[Address], state: State
) -> dict[Address, set[Address]]:
    """Inputs come before their users; what is taken away comes after all who used it have let go, and in plan order."""
    waits: dict[Address, set[Address]] = {address: set() for address in (*pending, *unwanted)}
    rank = {address: number for number, address in enumerate((*sorted(unwanted - pending.keys()), *pending))}
    taken_away = {address: change for address, change in pending.items() if change.spec is None}
    for address in waits:
        change = pending.get(address)
        if change is not None and change.spec is not None:
            waits[address].update(each for each in change.waits_for if each in pending)
        for target in _used(state.resources.get(address), taken_away):
            if rank[address] < rank[target]:
                waits[target].add(address)
    return waits


def _used(record: Resource | None, taken_away: Mapping[Address, Change]) -> set[Address]:
    """Return what the record was made from, and the places where it lies or a run of it goes on."""
    if record is None or not taken_away:
        return set()
    used = {each for each in record.waits_for if each in taken_away}
    places = [*record.stores(), *(each.place for each in record.groups)]
    if record.intent is not None:
        places += [place for place, _ in record.intent.jobs]
    for address, change in taken_away.items():
        if change.lifecycle == Lifecycle.PLACE.value and change.place is not None:
            used |= {address for place in places if change.place.is_at(place)}
    return used - {record.address}
