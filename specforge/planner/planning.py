"""One round of planning: what is known so far, what must still be asked, what was decided about each address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.making import dataclass
from specforge.core.queries import FindVersion, LookAtArtifact, Presence, Query, Seen
from specforge.core.state import Resource, State, Version
from specforge.core.steps import place_of_step
from specforge.core.values import EMPTY, Place, VersionSeries
from specforge.planner.graph import Edge, Graph
from specforge.planner.outputs import found_outputs, recorded_outputs, version_outputs
from specforge.planner.plan import Action, Change, Drift, Options, PlannedPart, Verb
from specforge.planner.project import Declared, Project
from specforge.schemas.kind import Desire, Input, Part, Subject

# Working notes of one round, ten thousand of each: not frozen, which would make each cost three times as much.


@dataclass(slots=True)
class Settled:
    """What was decided about one address.

    `change` is None while an answer is missing. `outputs` are what others read; a key that is missing will be known at
    apply (`pending`), or never (`blocked`: nothing below can be decided; says why). `given` is what those that follow
    it get: the same for all of them.
    """

    change: Change | None
    outputs: Mapping[str, Any] = EMPTY
    pending: bool = False
    blocked: str | None = None
    given: Input | None = None


UNSETTLED = Settled(None)


@dataclass(slots=True)
class Node:
    """All that is known about one declared resource when its fate is decided. `current`: its recorded version."""

    declared: Declared
    record: Resource | None
    current: Version | None
    desire: Desire
    subject: Subject
    looks: Mapping[str, Seen]

    @property
    def address(self) -> Address:
        """The address of the resource."""
        return self.declared.address

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What its references lead to."""
        return self.subject.inputs

    @property
    def facts(self) -> Mapping[str, Seen]:
        """The answers to its readings."""
        return self.subject.facts

    def with_steps(self, part: Part) -> Part:
        """Return the part with the steps that make it: asked of the kind only where there is something to do."""
        return replace(part, steps=self.declared.kind.steps(self.subject, part))

    @property
    def here(self) -> Resource | None:
        """What is recorded of it in the store that is wished; None: nothing."""
        wished = self.desire.place
        return None if self.record is None or wished is None else self.record.at(wished)

    @property
    def settled_here(self) -> bool:
        """Whether what is recorded lies where it is wished to lie."""
        wished = self.desire.place
        return self.record is not None and wished is not None and wished.is_at(self.record.place)


@dataclass(slots=True)
class Planning:
    """The working memory of one round. Filled by the functions of this package, read by `plan`."""

    project: Project
    graph: Graph
    state: State
    observed: Mapping[Query, Seen]
    options: Options
    now: float
    wanted: dict[Query, None] = field(default_factory=dict)
    settled: dict[Address, Settled] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    unreachable: dict[Place, tuple[str, list[Address]]] = field(default_factory=dict)
    lost_pins: list[tuple[Edge, Place, Version]] = field(default_factory=list)

    def ask(self, query: Query) -> Seen | None:
        """Return the answer, or note the question and return None."""
        seen = self.observed.get(query)
        if seen is None:
            self.wanted[query] = None
        return seen

    def answers(self, queries: Mapping[str, Query]) -> dict[str, Seen]:
        """Return the answers there are, by the queries' names, and note the questions that have none."""
        found = {}
        for name, query in queries.items():
            seen = self.observed.get(query)
            if seen is None:
                self.wanted[query] = None
            else:
                found[name] = seen
        return found

    def refuse(
        self,
        address: Address,
        code: str,
        summary: str,
        detail: str,
        hint: str | None = None,
        path: tuple[str | int, ...] = (),
    ) -> None:
        """Note an error that stops the plan."""
        self.diagnostics.append(Diagnostic(code, summary, detail, hint=hint, address=address, path=path))

    def cannot_reach(self, place: Place, seen: Seen, address: Address) -> None:
        """Note that nothing is decided about the address because its place cannot be asked."""
        _, addresses = self.unreachable.setdefault(place, (seen.problem or "it does not answer", []))
        if address not in addresses:
            addresses.append(address)

    def out_of_reach(self, address: Address, parts: Iterable[PlannedPart]) -> Place | None:
        """Return a place that cannot be asked and that the work, if there is any, would need; noted for the address."""
        for each in parts:
            if each.verb in (Verb.MAKE, Verb.MAYBE):
                for place in map(place_of_step, each.part.steps):
                    if place in self.unreachable:
                        self.unreachable[place][1].append(address)
                        return place
        return None

    def inputs_of(self, address: Address) -> tuple[dict[str, Input], str | None, bool]:
        """Return what the references of an address lead to, why it is blocked (or None), and whether all is settled."""
        inputs: dict[str, Input] = {}
        blocked: str | None = None
        complete = True
        for edge in self.graph.edges[address]:
            settled = self._pinned(edge) if edge.version else self.settled.get(edge.target, UNSETTLED)
            if not settled.outputs:
                complete = complete and (settled.change is not None or settled.blocked is not None)
                blocked = blocked or settled.blocked
            inputs[edge.path] = self._input(edge, settled)
        return inputs, blocked, complete

    def _input(self, edge: Edge, settled: Settled) -> Input:
        if settled.given is not None:
            return settled.given
        declared = self.project.resources.get(edge.target)
        given = Input(edge.target, None if declared is None else declared.spec, settled.outputs, edge.version)
        if settled is not UNSETTLED:
            settled.given = given
        return given

    def _pinned(self, edge: Edge) -> Settled:
        """Resolve `NAME@VERSION`: from the record, else from the store that the referring resource uses."""
        record = self.state.resources.get(edge.target)
        known = None if record is None else record.version(edge.version)
        if edge.target not in self.project.resources:
            self._warn_undeclared(edge)
        if record is not None and record.place is not None and known is not None:
            return self._kept_version(edge, record.place, known)
        store = self._store_for(edge)
        kind = self.project.kinds.by_prefix[edge.target.kind]
        if store is None or edge.version is None or kind.version_pattern is None:
            return Settled(None, blocked=f"there is no store to look for {edge.target}@{edge.version} in")
        series = VersionSeries(self.project.name, edge.target.kind, edge.target.name, kind.version_pattern)
        seen = self.ask(FindVersion(store, series, edge.version))
        if seen is None:
            return UNSETTLED
        if seen.presence is Presence.UNREACHABLE:
            self.cannot_reach(store, seen, edge.source)
            return Settled(None, blocked=f"{store} cannot be reached")
        if seen.presence is Presence.ABSENT:
            published = ", ".join(each.version for each in record.versions) if record else ""
            self.refuse(
                edge.source,
                "SF201",
                "Unknown version",
                f"{edge.target}@{edge.version} was never published (published: {published or 'nothing yet'})",
                hint="pin a published version, or leave `@VERSION` out to follow the current one",
                path=edge.field,
            )
            return Settled(None, blocked=f"there is no {edge.target}@{edge.version}")
        return Settled(None, found_outputs(store, seen, str(seen.facts.get("identity")), edge.version))

    def _kept_version(self, edge: Edge, place: Place, known: Version) -> Settled:
        """Resolve a pinned version that is recorded; that its data are gone is noted, see `refuse_lost_pins`."""
        seen = self.ask(LookAtArtifact(place, known.identity, known.build))
        if seen is None:
            return UNSETTLED
        if seen.presence is Presence.ABSENT:
            self.lost_pins.append((edge, place, known))
        return Settled(None, version_outputs(place, known))

    def refuse_lost_pins(self) -> None:
        """Refuse what is pinned and lost, unless just that is made again: known once all is settled."""
        for edge, place, known in self.lost_pins:
            change = self.settled.get(edge.target, UNSETTLED).change
            if change is not None and any(each.identity == known.identity for each in change.parts):
                continue
            detail = f"the data of {edge.target}@{edge.version} are gone from {place}, and {edge.source} needs them"
            declared = edge.target in self.project.resources
            why = "is declared otherwise by now" if declared else "is no longer declared"
            hint = (
                f"{edge.target} {why}, so it is not made again: leave `@{edge.version}` out, pin another version, or "
                "bring back what it was made from"
            )
            self.refuse(edge.source, "SF207", "A pinned version is lost", detail, hint=hint, path=edge.field)

    def _warn_undeclared(self, edge: Edge) -> None:
        self.diagnostics.append(
            Diagnostic(
                "SF202",
                "Pinned to something no longer declared",
                f"`{edge.path}` uses {edge.target}@{edge.version}, kept from an earlier declaration",
                severity=Severity.WARNING,
                address=edge.source,
                path=edge.field,
            )
        )

    def _store_for(self, edge: Edge) -> Place | None:
        record = self.state.resources.get(edge.target)
        if record is not None and record.place is not None:
            return record.place
        own = next((each for each in self.graph.edges[edge.source] if each.path == "store"), None)
        place = self.settled.get(own.target, UNSETTLED).outputs.get("place") if own else None
        return place if isinstance(place, Place) else None


def undecided(declared: Declared, record: Resource | None, note: str, blocked: str | None = None) -> Settled:
    """Return that nothing is decided now, and why: others go on reading the record; without one they wait.

    `blocked`: what those that wait say, default the address and the note.
    """
    return Settled(
        noop(declared, record, note), recorded_outputs(record), blocked=blocked or f"{declared.address}: {note}"
    )


def noop(declared: Declared, record: Resource | None, note: str = "", **more: Any) -> Change:
    """Return the change that does nothing."""
    return Change(
        declared.address,
        declared.kind.document,
        declared.kind.lifecycle.value,
        Action.NOOP,
        before=record,
        spec=declared.spec_json,
        version=None if record is None else record.current,
        place=None if record is None else record.place,
        note=note,
        **more,
    )
