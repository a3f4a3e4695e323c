"""Plan with the world at hand: call the planner, ask what it wants to know, call it again."""

from __future__ import annotations

from specforge.core.queries import Query, Seen
from specforge.core.state import State
from specforge.engine.observe import DEADLINE, Places, observe
from specforge.planner.compute import plan
from specforge.planner.graph import Graph, build_graph
from specforge.planner.plan import Options, Plan
from specforge.planner.project import Project


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
