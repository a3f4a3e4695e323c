"""The commands that look at one resource or at the record: `show`, `state list`, `state show`, `state history`."""

from __future__ import annotations

from specforge.cli.boundary import OK
from specforge.cli.output import Output
from specforge.cli.session import Session
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import StateError
from specforge.core.state import Resource
from specforge.render import state as rendering


def show(session: Session, output: Output, address_text: str) -> int:
    """Show one resource, declared or recorded."""
    address = session.address(address_text)
    resource = session.state().resources.get(address)
    declared = session.project.resources.get(address)
    if output.as_json:
        recorded = None if resource is None else rendering.resource_json(resource)
        spec = None if declared is None else declared.spec.model_dump(mode="json", by_alias=True)
        output.data({"address": str(address), "declared": spec, "recorded": recorded})
        return OK
    if resource is not None:
        output.text(rendering.render_resource(resource, width=output.width))
        if declared is None:
            output.text("\nNo longer declared: the next apply takes it off the record.")
        elif declared.spec_json != resource.spec:
            output.text("\nThe declaration differs from this; `spec plan` shows how.")
    elif declared is not None:
        output.text(f"{address}\n  declared, not made yet; `spec plan` shows what would be done\n")
        output.text(rendering.render_spec(declared.spec_json, width=output.width))
    return OK


def state_list(session: Session, output: Output) -> int:
    """List what is recorded."""
    state = session.state()
    if output.as_json:
        output.data(rendering.list_json(state))
    else:
        output.text(rendering.render_list(state))
    return OK


def state_show(session: Session, output: Output, address_text: str) -> int:
    """Show everything recorded of one resource."""
    resource = _recorded(session, address_text)
    if output.as_json:
        output.data(rendering.resource_json(resource))
    else:
        output.text(rendering.render_resource(resource, width=output.width))
    return OK


def state_history(session: Session, output: Output, address_text: str | None) -> int:
    """Show the journal."""
    address = None if address_text is None else _address(session, address_text)
    entries = tuple(session.backend.history(address))
    if output.as_json:
        output.data(rendering.history_json(entries))
    else:
        output.text(rendering.render_history(entries))
    return OK


def _address(session: Session, address_text: str) -> Address:
    """Read an address that may be gone from record and files: the journal still knows it."""
    try:
        return Address.parse(address_text)
    except ValueError:
        return session.address(address_text)


def _recorded(session: Session, address_text: str) -> Resource:
    address = session.address(address_text)
    resource = session.state().resources.get(address)
    if resource is None:
        detail = f"`{address}` is declared, but nothing is recorded of it yet"
        raise StateError(Diagnostic("SF351", "Nothing recorded", detail, hint="`spec plan` shows what would be done"))
    return resource
