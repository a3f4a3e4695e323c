"""The graph of declared resources: who reads what of whom, and an order in which things can be done."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.planner.project import Project
from specforge.schemas.references import references


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` names `target` in its field `path` (dotted); `version` is the pin behind `@`, if any."""

    source: Address
    target: Address
    path: str
    version: str | None = None

    @property
    def field(self) -> tuple[str | int, ...]:
        """The field's path as diagnostics have it: names and indices."""
        return tuple(int(part) if part.isdigit() else part for part in self.path.split("."))


@dataclass(frozen=True, slots=True)
class Graph:
    """`order`: every declared address after all that it refers to; first by depth, then by name, so that the order is
    the same for the same project. `edges`: of each declared address, in the order of its fields. `levels`: the length
    of the longest chain.
    """

    order: tuple[Address, ...]
    edges: Mapping[Address, tuple[Edge, ...]]
    levels: int = 0

    def needs(self, addresses: Iterable[Address]) -> frozenset[Address]:
        """Return the addresses and everything they refer to, directly or not."""
        found: set[Address] = set()
        todo = list(addresses)
        while todo:
            address = todo.pop()
            if address not in found and address in self.edges:
                found.add(address)
                todo.extend(edge.target for edge in self.edges[address])
        return frozenset(found)


def build_graph(project: Project) -> Graph:
    """Derive the graph from the reference fields of the specs; raises ConfigError for a cycle."""
    edges = {address: tuple(_edges_of(project, address)) for address in project.resources}
    # A pinned reference reads a published version: it orders nothing and cannot close a cycle.
    follows = {
        address: tuple(edge.target for edge in own if edge.version is None and edge.target in edges)
        for address, own in edges.items()
    }
    try:
        order = tuple(graphlib.TopologicalSorter(follows).static_order())
    except graphlib.CycleError as error:
        raise ConfigError(_cycle(error.args[1], edges)) from None
    depth: dict[Address, int] = {}
    for address in order:
        depth[address] = 1 + max((depth[target] for target in follows[address]), default=0)
    ordered = sorted(order, key=lambda address: (depth[address], address))
    return Graph(tuple(ordered), edges, max(depth.values(), default=0))


def _edges_of(project: Project, address: Address) -> Iterable[Edge]:
    for found in references(project.resources[address].spec):
        name, version = found.reference.name, found.reference.version
        candidates = [Address(kind, name) for kind in found.ref.kinds]
        target = next((each for each in candidates if each in project.resources), candidates[0])
        yield Edge(address, target, ".".join(map(str, found.path)), version)


def _cycle(members: list[Address], edges: Mapping[Address, tuple[Edge, ...]]) -> Diagnostic:
    # graphlib gives the cycle from the dependency to the dependant; people read it the other way round.
    ring = list(reversed(members))
    start = ring.index(min(ring[:-1]))
    ring = [*ring[start:-1], *ring[:start], ring[start]]
    first = next(edge for edge in edges[ring[0]] if edge.target == ring[1])
    return Diagnostic(
        "SF220",
        "Cycle of references",
        "these wait for each other: " + " → ".join(map(str, ring)),
        hint="take one of the references out, or pin it to a published version with `@VERSION`",
        address=ring[0],
        path=first.field,
    )
