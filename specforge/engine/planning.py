"""Plan, or look for drift, with the world at hand: call the planner, ask what it wants to know, call it again."""

from __future__ import annotations

from specforge.core.queries import Query, Seen
from specforge.core.state import State
from specforge.engine.observe import DEADLINE, Places, observe
from specforge.planner.compute import plan
from specforge.planner.drifting import DriftReport, drift
from specforge.planner.graph import Graph, build_graph
from specforge.planner.plan import Options, Plan
from specforge.planner.project import Project
from specforge.schemas.kind import Kinds


def make_plan(
    project: Project,
    state: State,
    executors: Places,
    options: Options,
    now: float,
    deadline: float | None = DEADLINE,
    graph: Graph | None = None,
) -> Plan:
    """Return the plan; writes nothing. Raises ConfigError for a cycle, PlanError for wishes that cannot be."""
    graph = graph or build_graph(project)
    observed: dict[Query, Seen] = {}
    for _ in range(2 * graph.levels + 3):
        answer = plan(project, graph, state, observed, options, now)
        if isinstance(answer, Plan):
            return answer
        observed.update(observe(answer.queries, executors, deadline))
    raise AssertionError("the planner went on asking; this is a bug in a kind's readings or in the planner")


def look_for_drift(
    state: State,
    environment: str,
    kinds: Kinds,
    executors: Places,
    now: float,
    *,
    hashed: bool = True,
    deadline: float | None = DEADLINE,
) -> DriftReport:
    """Return how the world differs from the record; writes nothing, reads no source and needs no YAML."""
    observed: dict[Query, Seen] = {}
    while True:
        answer = drift(state, environment, kinds, observed, now, hashed=hashed)
        if isinstance(answer, DriftReport):
            return answer
        observed.update(observe(answer.queries, executors, deadline))
