"""`spec drift`: how the world differs from the record. Needs the state; the files only to name their lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from specforge.cli.boundary import CHANGES, FAILED, OK
from specforge.cli.output import Output
from specforge.cli.session import Session, no_collector
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.source import Span

if TYPE_CHECKING:
    from specforge.core.address import Address
    from specforge.core.state import State
    from specforge.planner.drifting import DriftReport


def drift(session: Session, output: Output, form: str, out: Path | None, *, listed: bool) -> int:
    """Look at everything that is recorded and report; 2 on drift, else 1 if anything was unreachable, else 0."""
    from specforge.engine.planning import look_for_drift

    with no_collector():
        state = session.recorded(output.note)
        report = look_for_drift(
            state, state.environment, session.kinds, session.executors, time.time(), hashed=not listed
        )
        shown = _rendered(report, state, session, output if out is None else None, form)
    if out is None:
        output.text(shown)
    else:
        _write(out, shown)
        from specforge.render.drift import summary_line

        output.note(summary_line(report))
    if report.drift:
        return CHANGES
    return FAILED if report.unreachable else OK


def _rendered(report: DriftReport, state: State, session: Session, output: Output | None, form: str) -> str:
    """Return the report in one of the forms; without `output` it goes to a file, which has no colours."""
    from specforge.render import drift as rendering

    if form == "text":
        width, color = (output.width, output.color) if output is not None else (100, False)
        return rendering.render_drift(report, color=color, width=width)
    positions = _positions(report, session)
    if form == "json":
        return json.dumps(rendering.drift_json(report, positions), ensure_ascii=False, indent=2) + "\n"
    from specforge.render import drift_forms

    if form == "markdown":
        return drift_forms.render_markdown(report, positions)
    if form == "github":
        return drift_forms.render_github(report, positions)
    return drift_forms.render_junit(report, state.resources, positions)


def _positions(report: DriftReport, session: Session) -> Mapping[Address, Span]:
    """Return where what drifted is declared, in files named from the top of the repository."""
    if "project" not in session.__dict__:
        return {}
    from specforge.loading.locate import located

    addresses = {each.address for each in report.drift}
    asked = [Diagnostic("", "", "", address=each) for each in addresses]
    prefix = os.path.relpath(session.root, _repository(session.root))
    found = {}
    for each in located(asked, session.project, session.root):
        if each.span is not None and each.address is not None:
            span = each.span
            file = span.file if prefix == "." else f"{prefix}/{span.file}"
            found[each.address] = Span(file, span.line, span.column, span.end_line, span.end_column)
    return found


def _repository(root: Path) -> Path:
    """Return the nearest folder upwards that is a git repository, or the project's own."""
    return next((each for each in (root, *root.parents) if (each / ".git").exists()), root)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        detail = f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}"
        raise ConfigError(Diagnostic("SF158", "Not written", detail, hint="choose another file for `-o`")) from error
