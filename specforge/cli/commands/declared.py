"""The commands that need the files only: `spec validate`, `spec schema`, `spec graph`."""

from __future__ import annotations

from specforge.cli.boundary import FAILED, OK
from specforge.cli.output import Output
from specforge.cli.session import Session, no_collector
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError


def validate(session: Session, output: Output) -> int:
    """Load the project and order it; say what is wrong, or that nothing is."""
    from specforge.planner.graph import build_graph
    from specforge.render.diagnostics import diagnostics_json, render_diagnostics

    problems: tuple[Diagnostic, ...] = ()
    with no_collector():
        try:
            with session.located():
                build_graph(session.project)
        except ConfigError as error:
            problems = error.diagnostics
    warnings = session.locate(session.project.warnings) if not problems else ()
    if output.as_json:
        output.data({"valid": not problems, "diagnostics": diagnostics_json((*problems, *warnings))})
    elif problems or warnings:
        shown = render_diagnostics((*problems, *warnings), color=output.error_color, width=output.width)
        output.note(shown)
    if problems:
        return FAILED
    if not output.as_json:
        many = len(session.project.resources)
        output.text(f"Valid: project {session.project.name}, {many} resource{'s' * (many != 1)}.")
    return OK


def schema(session: Session, output: Output) -> int:
    """Print the JSON Schema of every kind that is installed."""
    from specforge.loading.schema import json_schema

    output.data(json_schema(session.kinds))
    return OK


def graph(session: Session, output: Output, *, mermaid: bool) -> int:
    """Print the graph as a text tree, a Mermaid flowchart or JSON."""
    from specforge.planner.graph import build_graph
    from specforge.render import graph as rendering

    with session.located():
        made = build_graph(session.project)
    if output.as_json:
        output.data(rendering.graph_json(made))
    elif mermaid:
        output.text(rendering.render_mermaid(made))
    else:
        output.text(rendering.render_graph(made))
    return OK
