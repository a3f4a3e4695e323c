"""A plan as JSON: a stable form for programs. Every field is described in docs/plan-json.md."""

from __future__ import annotations

from typing import Any

from specforge.core.serving import Serving
from specforge.core.values import Frozen, OutputRef, StepRef
from specforge.planner.plan import Action, Change, Plan, PlannedPart, RunInFlight
from specforge.render.plan import counts, is_metadata

FORMAT = 1
"""The version of this form. Fields may be added within a format; none changes its meaning."""


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    from specforge.render.diagnostics import diagnostics_json

    return {
        "format": FORMAT,
        "project": plan.project,
        "environment": plan.environment,
        "created": plan.created,
        "base": {"lineage": plan.base.lineage, "serial": plan.base.serial},
        "destroy": plan.destroy,
        "delete_artifacts": plan.delete_artifacts,
        "changes": [_change(each) for each in plan.pending],
        "unchanged": [str(each.address) for each in plan.changes if each.action is Action.NOOP],
        "below_accept": [
            {"address": str(each.address), "refusals": list(each.below_accept)}
            for each in plan.changes
            if each.below_accept
        ],
        "drift": [{"address": str(each.address), "what": each.what, "since": each.since} for each in plan.drift],
        "runs": [_run(each) for each in plan.runs],
        "unreachable": [
            {"place": str(each.place), "problem": each.problem, "addresses": [str(item) for item in each.addresses]}
            for each in plan.unreachable
        ],
        "diagnostics": diagnostics_json(plan.diagnostics),
        "summary": {**counts(plan), "unchanged": len(plan.changes) - len(plan.pending)},
        "empty": plan.empty,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "address": str(change.address),
        "kind": change.document,
        "lifecycle": change.lifecycle,
        "action": change.action.value,
        "metadata_only": is_metadata(change),
        "certainty": "if" if change.if_changed else "definite",
        "if": [str(each) for each in change.if_changed],
        "version": {"from": change.before.current if change.before else None, "to": change.version},
        "reasons": [{"text": each.text, "lines": list(each.lines)} for each in change.reasons],
        "fields": [
            {"path": each.path, "before": json_value(each.before), "after": json_value(each.after), "rule": each.rule}
            for each in change.fields
        ],
        "parts": [_part(each) for each in change.parts],
        "place": str(change.place) if change.place else None,
        "refusals": [
            {"figure": each.figure, "value": each.value, "min": each.minimum, "max": each.maximum, "text": str(each)}
            for each in change.refusals
        ],
        **({} if change.serving is None else {"serving": _serving(change.serving, repoint=change.repoint)}),
        "work": list(change.work),
        "estimate_seconds": change.estimate,
        "summary": change.summary,
        "note": change.note,
        "waits_for": [str(each) for each in change.waits_for],
    }


def _serving(serving: Serving, *, repoint: bool) -> dict[str, Any]:
    return {
        "listen": str(serving.listen),
        "address": serving.listen.url,
        "shares": [{"serves": each.serves, "weight": each.weight, "replicas": each.count} for each in serving.shares],
        "repoint": repoint,
    }


def _part(planned: PlannedPart) -> dict[str, Any]:
    return {
        "name": planned.part.name,
        "verb": planned.verb.value,
        "work": planned.part.work,
        "identity": planned.identity,
        "replaces": planned.replaces,
    }


def _run(run: RunInFlight) -> dict[str, Any]:
    return {
        "address": str(run.address),
        "part": run.part_name,
        "identity": run.identity,
        "state": run.state,
        "wanted": run.wanted,
        "started": run.started,
        "work": run.work,
    }


def json_value(value: object) -> Any:
    """Return a field's value as JSON values; a hole becomes what it waits for."""
    if isinstance(value, OutputRef):
        return {"known_after": str(value.address), "key": value.key}
    if isinstance(value, StepRef):
        return {"known_after_step": value.step, "key": value.key}
    if isinstance(value, Frozen | dict):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
