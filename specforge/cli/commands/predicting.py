"""`spec predict`: ask a running service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from specforge.cli.boundary import FAILED, OK
from specforge.cli.output import Output
from specforge.cli.predicting.client import Answer, Client
from specforge.cli.predicting.inputs import inputs_of
from specforge.cli.session import Session, known_addresses
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError, ExecutionError
from specforge.core.state import Resource
from specforge.render import text

AT_A_TIME = 64
"""Lines that are aligned with each other and printed together."""
PATIENCE = 10.0
"""Seconds that a request may take longer than the service allows it."""


def predict(session: Session, output: Output, service: str, given: Sequence[str]) -> int:
    """Send the inputs to the service and print its answers; 1 if any failed."""
    resource = _resource(session, output, service)
    inputs = inputs_of(given)
    address = str(resource.outputs["address"])
    client = Client(address, float(resource.outputs.get("timeout") or 60.0) + PATIENCE)
    printer = _JsonLines(output) if output.as_json else _Table(output, alone=len(inputs) == 1)
    failed = False
    for answer in client.answers(inputs):
        if answer.unreachable:
            printer.flush()
            raise _no_answer(resource.address, address)
        failed = failed or bool(answer.error)
        printer.take(answer)
    printer.flush()
    return FAILED if failed else OK


def _resource(session: Session, output: Output, service: str) -> Resource:
    """Return the record of a service that should be answering; raises with what to do otherwise."""
    state = session.recorded(output.note)
    wanted = service if "." in service else f"service.{service}"
    declared = session.project.resources if "project" in session.__dict__ else ()
    [address] = known_addresses([wanted], (*state.resources, *declared))
    resource = state.resources.get(address)
    if address.kind != "service":
        detail = f"`{address}` is not a service"
        known = ", ".join(f"`{each}`" for each in sorted(state.resources) if each.kind == "service")
        hint = f"these are: {known}" if known else "no service is recorded"
        raise ConfigError(Diagnostic("SF160", "Not a service", detail, hint=hint, address=address))
    if resource is not None and resource.held is not None:
        since = f"{text.duration(time.time() - resource.held)} ago, {text.moment(resource.held)}"
        hint = f"`spec start {address}` starts it"
        raise ExecutionError(Diagnostic("SF162", "Service on hold", f"{address} was stopped {since}", hint=hint))
    if resource is None or not resource.outputs.get("address"):
        detail, hint = f"{address} is declared, but does not serve yet", "`spec apply` makes it serve"
        raise ExecutionError(Diagnostic("SF161", "Service not applied", detail, hint=hint))
    return resource


def _no_answer(address: Address, url: str) -> ExecutionError:
    detail = f"nobody listens at {url}, where {address} is recorded"
    hint = "`spec drift` tells what is gone, `spec apply` repairs it"
    return ExecutionError(Diagnostic("SF163", "No answer", detail, hint=hint))


class _JsonLines:
    """One JSON object a line, as the answers come."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def take(self, answer: Answer) -> None:
        line: dict[str, Any] = {"input": answer.name, "status": answer.status, "seconds": round(answer.seconds, 6)}
        line |= {"error": answer.error} if answer.error else {}
        line |= {"answer": answer.content} if answer.content is not None or not answer.error else {}
        self.output.text(json.dumps(line, ensure_ascii=False))

    def flush(self) -> None:
        """Nothing is kept back."""


class _Table:
    """File, label, score, aligned; what a service answers otherwise as it is; errors on standard error."""

    def __init__(self, output: Output, *, alone: bool) -> None:
        self.output = output
        self.alone = alone
        self.rows: list[tuple[str, ...]] = []

    def take(self, answer: Answer) -> None:
        if answer.error:
            self.flush()
            self.output.note(f"{text.plain(answer.name)}: {text.plain(answer.error)}")
            return
        row = self._row(answer)
        if len(self.rows) >= AT_A_TIME or (self.rows and len(self.rows[0]) != len(row)):
            self.flush()
        self.rows.append(row)

    def _row(self, answer: Answer) -> tuple[str, ...]:
        said = answer.content
        name = text.plain(answer.name)
        if isinstance(said, dict) and isinstance(said.get("predicted_label"), str | int | float):
            label = str(said["predicted_label"])
            return (name, text.plain(label), _score(label, said.get("scores")))
        shown = json.dumps(said, ensure_ascii=False)
        return (shown,) if self.alone else (name, shown)

    def flush(self) -> None:
        """Print what is kept back."""
        if self.rows:
            self.output.text("\n".join(text.table(self.rows)))
            self.rows = []


def _score(label: str, scores: object) -> str:
    """Return the score of the label: of a list of pairs or a mapping, numbers also as texts."""
    pairs: Iterable[Any] = scores.items() if isinstance(scores, Mapping) else scores if isinstance(scores, list) else ()
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2 and str(pair[0]) == label:
            try:
                return f"{float(pair[1]):.4f}"
            except (TypeError, ValueError):
                return str(pair[1])
    return ""
