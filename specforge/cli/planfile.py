"""Saved plans: a JSON file that `spec apply FILE` performs, if nothing has moved since."""

from __future__ import annotations

import json
import os
from pathlib import Path

from specforge.core import codec
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import PlanError
from specforge.planner.plan import FORMAT, Plan, plan_registry

KEY = "specforge_plan"
_EDITED = "it was edited, or written by a release that this one does not understand"


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan, all or nothing. Raises PlanError if the file cannot be written."""
    if path.is_dir():
        raise PlanError(_unsaved(path, "is a directory"))
    text = json.dumps({KEY: FORMAT, "plan": codec.encode(plan)}, ensure_ascii=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A plan names the user's paths and values: it is nobody else's business.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PlanError(_unsaved(path, _words(error))) from error


def read_plan(path: Path) -> Plan:
    """Read a saved plan; raises PlanError if it is none, or was written by a newer release."""
    text = ""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise PlanError(_not_a_plan(path, "it is not a file"))
    try:
        text = path.read_text(encoding="utf-8")
        body = json.loads(text)
    except OSError as error:
        detail = f"`{path}`: {_words(error)}"
        hint = "make one with `spec plan -o FILE`"
        raise PlanError(Diagnostic("SF252", "The plan cannot be read", detail, hint=hint)) from error
    except ValueError as error:
        why = "it is cut off" if text.startswith(f'{{"{KEY}"') else "it was not written by `spec plan -o`"
        raise PlanError(_not_a_plan(path, why)) from error
    if not isinstance(body, dict) or type(body.get(KEY)) is not int:
        raise PlanError(_not_a_plan(path, "it was not written by `spec plan -o`"))
    if body[KEY] > FORMAT:
        detail = f"`{path}` has format {body[KEY]}; this release reads formats up to {FORMAT}"
        hint = "apply it with the release that made it, or plan again"
        raise PlanError(Diagnostic("SF253", "A plan from the future", detail, hint=hint))
    try:
        plan = codec.decode(body["plan"], plan_registry())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(_not_a_plan(path, _EDITED)) from error
    if not isinstance(plan, Plan):
        raise PlanError(_not_a_plan(path, _EDITED))
    return plan


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _unsaved(path: Path, why: str) -> Diagnostic:
    return Diagnostic("SF251", "The plan cannot be saved", f"`{path}`: {why}", hint="choose another file")


def _not_a_plan(path: Path, why: str) -> Diagnostic:
    return Diagnostic("SF254", "Not a saved plan", f"`{path}`: {why}", hint="make one with `spec plan -o FILE`")


def check_belongs(plan: Plan, path: Path, project: str, environment: str) -> None:
    """Refuse a plan that was made for another project or environment; raises PlanError."""
    if (plan.project, plan.environment) == (project, environment):
        return
    detail = (
        f"`{path}` was made for project `{plan.project}`, environment `{plan.environment}`; "
        f"this is project `{project}`, environment `{environment}`"
    )
    hint = f"add `--env {plan.environment}`" if plan.project == project else "run it in the project it was made for"
    raise PlanError(Diagnostic("SF255", "The plan is of another project or environment", detail, hint=hint))
