"""The graph of declared resources: who reads what of whom, and an order in which things can be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.making import dataclass
from specforge.planner.project import Declared, Project


class Edge(NamedTuple):
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
    declared = {(address.kind, address.name): address for address in project.resources}
    edges = {address: _edges_of(address, each, declared) for address, each in project.resources.items()}
    # A pinned reference reads a published version: it orders nothing and cannot close a cycle.
    follows = {
        address: [edge.target for edge in own if edge.version is None and edge.target in edges]
        for address, own in edges.items()
    }
    depth = _depths(follows)
    if len(depth) < len(follows):
        raise ConfigError(_cycle(_ring({each: follows[each] for each in sorted(follows.keys() - depth.keys())}), edges))
    ordered = sorted(depth, key=lambda address: (depth[address], address.kind, address.name))
    return Graph(tuple(ordered), edges, max(depth.values(), default=0))


def _edges_of(address: Address, own: Declared, declared: Mapping[tuple[str, str], Address]) -> tuple[Edge, ...]:
    edges = []
    for path, reference, ref in own.references:
        name = reference.name
        for kind in ref.kinds:
            target = declared.get((kind, name))
            if target is not None:
                break
        else:
            target = Address(ref.kinds[0], name)
        field = str(path[0]) if len(path) == 1 else ".".join(map(str, path))
        edges.append(Edge(address, target, field, reference.version))
    return tuple(edges)


def _depths(follows: Mapping[Address, Sequence[Address]]) -> dict[Address, int]:
    """Return the length of the longest chain below each address; those on a cycle, or above one, are left out."""
    # Addresses are numbered, for each edge is followed twice.
    addresses = list(follows)
    numbers = {address: number for number, address in enumerate(addresses)}
    missing = [len(targets) for targets in follows.values()]
    users: list[list[int]] = [[] for _ in addresses]
    for user, targets in enumerate(follows.values()):
        for target in targets:
            users[numbers[target]].append(user)
    depth: dict[Address, int] = {}
    ready, level = [number for number, count in enumerate(missing) if not count], 1
    while ready:
        following = []
        for number in ready:
            depth[addresses[number]] = level
            for user in users[number]:
                missing[user] -= 1
                if not missing[user]:
                    following.append(user)
        ready, level = following, level + 1
    return depth


def _ring(follows: Mapping[Address, Sequence[Address]]) -> list[Address]:
    """Return one cycle among addresses that all lead to one: each follows the next, the last is the first again."""
    path: dict[Address, None] = {}
    address = next(iter(follows))
    while address not in path:
        path[address] = None
        address = min(target for target in follows[address] if target in follows)
    members = list(path)
    return [*members[members.index(address) :], address]


def _cycle(members: list[Address], edges: Mapping[Address, tuple[Edge, ...]]) -> Diagnostic:
    start = members.index(min(members))
    ring = [*members[start:-1], *members[:start], members[start]]
    first = next(edge for edge in edges[ring[0]] if edge.target == ring[1])
    return Diagnostic(
        "SF220",
        "Cycle of references",
        "these wait for each other: " + " → ".join(map(str, ring)),
        hint="take one of the references out, or pin it to a published version with `@VERSION`",
        address=ring[0],
        path=first.field,
    )
