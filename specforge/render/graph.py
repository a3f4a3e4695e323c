"""The graph of a project as a text tree, as a Mermaid flowchart, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specforge.core.address import Address
from specforge.planner.graph import Edge, Graph


def render_graph(graph: Graph) -> str:
    """Return the graph as trees, ended by a newline: under each resource what it is made from.

    The roots are those that nothing refers to. What was shown before is not shown again below a second parent: `…`
    stands for it.
    """
    used = {edge.target for edges in graph.edges.values() for edge in edges}
    roots = [address for address in graph.order if address not in used]
    shown: set[Address] = set()
    lines: list[str] = []
    for root in roots:
        lines.append(str(root))
        shown.add(root)
        lines.extend(_below(graph, root, "", shown))
    return "\n".join(lines) + "\n" if lines else "Nothing is declared.\n"


def _below(graph: Graph, address: Address, indent: str, shown: set[Address]) -> Iterator[str]:
    """Give the lines under a resource; walks with a stack of its own, since a chain may be long."""
    stack = [(indent, iter(_last_marked(graph.edges.get(address, ()))))]
    while stack:
        indent, edges = stack[-1]
        step = next(edges, None)
        if step is None:
            stack.pop()
            continue
        edge, last = step
        inner = graph.edges.get(edge.target, ())
        again = bool(inner) and edge.target in shown
        yield f"{indent}{'└─' if last else '├─'} {edge.path}: {_target(edge)}{' …' if again else ''}"
        if not again and edge.version is None:
            shown.add(edge.target)
            stack.append((indent + ("   " if last else "│  "), iter(_last_marked(inner))))


def _last_marked(edges: tuple[Edge, ...]) -> list[tuple[Edge, bool]]:
    return [(edge, index == len(edges) - 1) for index, edge in enumerate(edges)]


def _target(edge: Edge) -> str:
    return f"{edge.target}@{edge.version}" if edge.version else str(edge.target)


def render_mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart; an arrow leads from what is read to what is made from it."""
    nodes = list(graph.order)
    known = set(nodes)
    for edges in graph.edges.values():
        for edge in edges:
            if edge.target not in known:
                known.add(edge.target)
                nodes.append(edge.target)
    names = {address: f"n{index}" for index, address in enumerate(nodes)}
    lines = ["flowchart LR"]
    lines += [f'    {names[address]}["{address}"]' for address in nodes]
    for address in graph.order:
        for edge in graph.edges.get(address, ()):
            arrow = f"-.->|{edge.path}@{edge.version}|" if edge.version else f"-->|{edge.path}|"
            lines.append(f"    {names[edge.target]} {arrow} {names[address]}")
    return "\n".join(lines) + "\n"


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return nodes in an order in which they can be made, and edges from each to what it reads."""
    return {
        "nodes": [str(address) for address in graph.order],
        "edges": [
            {"from": str(edge.source), "to": str(edge.target), "field": edge.path, "version": edge.version}
            for address in graph.order
            for edge in graph.edges.get(address, ())
        ],
    }
