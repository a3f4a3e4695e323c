"""The graph as a tree, as Mermaid and as JSON."""

from __future__ import annotations

from itertools import pairwise

from specforge.core.address import Address
from specforge.planner.graph import Edge, Graph
from specforge.render.graph import graph_json, render_graph, render_mermaid

DATA, CODE, TRAINING, MODEL = (
    Address(*each.split(".")) for each in ("dataset.d", "algorithm.a", "training.t", "model.m")
)
STORE = Address("store", "s")


def graph() -> Graph:
    """Return a store, data and code, a training of both, a model of the training and of a pinned, gone dataset."""
    return Graph(
        (STORE, DATA, CODE, TRAINING, MODEL),
        {
            STORE: (),
            DATA: (Edge(DATA, STORE, "store"),),
            CODE: (),
            TRAINING: (
                Edge(TRAINING, CODE, "algorithm"),
                Edge(TRAINING, DATA, "inputs.data"),
                Edge(TRAINING, DATA, "evaluate.data"),
            ),
            MODEL: (Edge(MODEL, TRAINING, "training"), Edge(MODEL, Address("dataset", "old"), "data", "V001")),
        },
    )


def test_tree() -> None:
    """Under each resource stands what it is made from; what was shown is not shown twice."""
    assert render_graph(graph()).splitlines() == [
        "model.m",
        "├─ training: training.t",
        "│  ├─ algorithm: algorithm.a",
        "│  ├─ inputs.data: dataset.d",
        "│  │  └─ store: store.s",
        "│  └─ evaluate.data: dataset.d …",
        "└─ data: dataset.old@V001",
    ]


def test_empty() -> None:
    """An empty project has a tree too."""
    assert render_graph(Graph((), {})) == "Nothing is declared.\n"


def test_long_chain() -> None:
    """A chain of thousands is no problem."""
    chain = [Address("dataset", f"d{index}") for index in range(3000)]
    edges = {each: (Edge(each, before, "base"),) for before, each in pairwise(chain)}
    assert len(render_graph(Graph(tuple(chain), {chain[0]: (), **edges})).splitlines()) == 3000


def test_mermaid() -> None:
    """Arrows lead from what is read to what is made; pinned ones are dotted."""
    lines = render_mermaid(graph()).splitlines()
    assert lines[0] == "flowchart LR"
    assert '    n3["training.t"]' in lines
    assert "    n2 -->|algorithm| n3" in lines
    assert "    n5 -.->|data@V001| n4" in lines


def test_json() -> None:
    """Nodes come in an order of work, edges with field and pin."""
    body = graph_json(graph())
    assert body["nodes"][0] == "store.s"
    assert {"from": "model.m", "to": "dataset.old", "field": "data", "version": "V001"} in body["edges"]
