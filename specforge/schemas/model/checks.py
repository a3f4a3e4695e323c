"""What can be wrong with a Model beyond its own document: inference code, schemas, engine, dependencies. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from specforge.core.diagnostics import Diagnostic
from specforge.core.queries import Presence, Seen, is_single_file
from specforge.formats.layouts import LAYOUTS, SERVICE
from specforge.schemas.kind import Subject
from specforge.schemas.model.spec import ModelSpec

_PATHS = "`inference` is relative to the project: a `customize_service.py`, or a folder that holds one"


def diagnostics_of(subject: Subject, engine: Any, apis: Any, dependencies: Any) -> tuple[Diagnostic, ...]:
    """Return every problem: of the engine, of what goes into config.json and is not locked, of the inference code."""
    told = list(_engine(subject, engine))
    if apis is not None or dependencies:
        told += _of_config(subject, engine, apis, dependencies)
    return (*told, *_inference(subject))


def _engine(subject: Subject, engine: Any) -> Iterator[Diagnostic]:
    if engine is None:
        detail = "it is not known which engine made this version of the training"
        hint = "declare the TrainingJob again and name it without `@VERSION`"
        yield Diagnostic("SF226", "Unknown engine", detail, hint=hint, address=subject.address, path=("training",))
    elif isinstance(engine, str) and engine not in LAYOUTS:
        detail = f"there is no package layout for the engine `{engine}`"
        hint = f"there is one for: {', '.join(f'`{each}`' for each in sorted(LAYOUTS))}"
        yield Diagnostic("SF226", "Unknown engine", detail, hint=hint, address=subject.address, path=("training",))


def _of_config(subject: Subject, engine: Any, apis: Any, dependencies: Any) -> Iterator[Diagnostic]:
    """Load what most Models do without only for those that do not."""
    from specforge.formats.config_json import api_problems, dependency_problems
    from specforge.schemas.model.dependencies import unlocked

    problems = [] if apis is None else api_problems(apis, ("apis",))
    problems += dependency_problems(dependencies, ("dependencies",))
    for each in problems:
        detail = f"`{each.where}` {each.text}"
        yield Diagnostic("SF227", "Not for a config.json", detail, hint=None, address=subject.address, path=each.path)
    if not problems:
        yield from unlocked(subject, engine)


def _inference(subject: Subject) -> Iterator[Diagnostic]:
    spec: ModelSpec = subject.spec
    seen = subject.facts.get("inference")
    if spec.inference is None or seen is None:
        return
    for code, summary, detail, hint in _findings(spec.inference, seen, subject.facts.get("service")):
        yield Diagnostic(code, summary, detail, hint=hint, address=subject.address, path=("inference",))


def _findings(path: str, seen: Seen, service: Seen | None) -> Iterator[tuple[str, str, str, str | None]]:
    if seen.presence is Presence.UNREACHABLE:
        yield "SF215", "Folder cannot be read", f"`{path}` cannot be read: {seen.problem}", None
        return
    if seen.presence is Presence.ABSENT:
        yield "SF210", "File or folder not found", f"there is no `{path}`", _PATHS
        return
    for each in seen.facts.get("problems", ()):
        detail = f"`{each['path']}` in `{path}` {each['problem']}"
        yield "SF215", "Folder cannot be read", detail, "take it away, or name it in `.specignore`"
    if is_single_file(seen):
        if posixpath.basename(posixpath.normpath(path)) != SERVICE:
            yield "SF210", "File not found", f"`{path}` is not called `{SERVICE}`", _PATHS
    elif service is not None and (service.presence is Presence.ABSENT or service.facts.get("folders")):
        yield "SF210", "File not found", f"there is no file `{SERVICE}` in `{path}`", _PATHS
