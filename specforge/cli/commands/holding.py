"""`spec stop` and `spec start`: put a service on hold, and let it serve again."""

from __future__ import annotations

import sys
import time

from specforge.cli.boundary import FAILED, OK
from specforge.cli.commands import applying
from specforge.cli.commands.applying import How
from specforge.cli.commands.planning import Wishes
from specforge.cli.output import Output
from specforge.cli.progress import Tails, progress
from specforge.cli.session import Session, known_addresses
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PlanError
from specforge.render import text


def stop(session: Session, output: Output, address_text: str, how: How) -> int:
    """End a service's replicas and give its address up until `start`; works from the record alone."""
    from specforge.engine import holding

    state = session.recorded(output.note)
    declared = session.project.resources if "project" in session.__dict__ else ()
    [address] = known_addresses([address_text], (*state.resources, *declared))
    if not how.yes and not _approved(address, output):
        return FAILED
    with progress(Output(), Tails(), {}) as shown:
        held = holding.stop(
            address,
            backend=session.backend,
            executors=session.executors,
            sink=shown.sink,
            clock=time.time,
            settings=applying.settings_of(how),
        )
    if output.as_json:
        output.data({"address": str(address), "changed": held.changed, "held_since": held.since})
    elif held.changed:
        output.text(f"{address} is stopped. `spec start {address}` starts it; until then it is no drift.")
    else:
        output.text(f"{address} has been stopped since {text.moment(held.since or 0.0)}; nothing was done.")
    return OK


def start(session: Session, output: Output, address_text: str, how: How) -> int:
    """Take the hold away and apply what the service needs; asks only if that is more than starting it."""
    from specforge.engine import holding

    address = session.address(address_text)
    if address not in session.project.resources:
        detail = f"`{address}` is recorded but no longer declared, so that an apply takes it away"
        raise PlanError(Diagnostic("SF204", "No longer declared", detail, hint="declare it again, or `spec apply`"))
    held = holding.start(address, backend=session.backend, clock=time.time, settings=applying.settings_of(how))
    if not held.changed and not output.as_json:
        output.note(f"{address} is not on hold.")
    wishes = Wishes((str(address),))
    return applying.apply(session, output, wishes, how, None, alone=address)


def _approved(address: Address, output: Output) -> bool:
    if not sys.stdin.isatty():
        detail = "there is no terminal to ask on, so nothing was done"
        raise PlanError(Diagnostic("SF257", "Not approved", detail, hint=f"`spec stop {address} --yes`"))
    return applying.asked(f"Stop {address}? Its clients get no answers until `spec start {address}`.", output)
