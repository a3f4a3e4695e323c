"""Why something is to be done: field changes and reasons, for people. Nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from specforge.core.address import Address
from specforge.core.queries import Seen
from specforge.core.state import Version
from specforge.core.values import EMPTY
from specforge.planner.diff import field_changes, recipe_differences
from specforge.planner.plan import Action, FieldChange, PlannedPart, Reason, Verb
from specforge.planner.planning import UNSETTLED, Node, Planning
from specforge.schemas.kind import Input, Lifecycle

_DIGEST_LENGTH = 64


def fields_of(node: Node) -> tuple[FieldChange, ...]:
    """Return the fields of a recorded resource that the user changed."""
    return () if node.record is None else field_changes(node.declared.kind, node.record.spec, node.declared.spec_json)


def reasons_of(
    planning: Planning, node: Node, parts: tuple[PlannedPart, ...], *, lost: str = "", said: tuple[Address, ...] = ()
) -> tuple[Reason, ...]:
    """Return why a recorded artifact is not what is wished, beside the fields that the user changed.

    `lost`: what is gone from the store. `said`: inputs of which the plan says already that all depends on them.
    """
    if node.record is None:
        return ()
    reasons: list[Reason] = []
    if node.address in planning.options.replace:
        reasons.append(Reason("asked for by --replace"))
    if lost:
        reasons.append(Reason(lost))
    if node.record.place is not None and node.desire.place is not None and not node.settled_here:
        reasons.append(Reason(f"moved from {node.record.place} to {node.desire.place}"))
    for name, seen in node.facts.items():
        reasons.extend(_scan_reason(name, seen))
    for each in node.inputs.values():
        if each.address not in said:
            reasons.extend(_input_reason(planning, node, each))
    current = node.current
    if current is not None and not reasons and not said and not fields_of(node):
        reasons.extend(_recipe_reasons(current, parts))
    return tuple(dict.fromkeys(reasons))


def _scan_reason(name: str, seen: Seen) -> Iterator[Reason]:
    """Say which files came, went or changed since the recorded version."""
    counts = [(sign, seen.facts.get(key, 0), key) for sign, key in (("+", "added"), ("-", "removed"), ("~", "changed"))]
    if not any(number for _, number, _ in counts):
        return
    parts = [f"{sign}{number} file{'' if number == 1 else 's'}" for sign, number, _ in counts if number]
    lines = [f"{sign} {path}" for sign, _, key in counts for path in seen.facts.get(f"{key}_paths", ())]
    left_out = sum(number for _, number, _ in counts) - len(lines)
    if left_out > 0:
        lines.append(f"and {left_out:,} more")
    yield Reason(f"{name}: {', '.join(parts)}", tuple(lines))


def _input_reason(planning: Planning, node: Node, given: Input) -> Iterator[Reason]:
    settled = planning.settled.get(given.address, UNSETTLED)
    change = settled.change
    if given.version is not None or change is None or change.action is Action.NOOP:
        return
    if change.lifecycle == Lifecycle.ARTIFACT.value:
        current = node.current
        before = None if current is None else current.inputs.get(str(given.address))
        if settled.pending or given.outputs.get("version") != before:
            yield Reason(f"{given.address}: {_version_words(before, change.version, bool(change.if_changed))}")
    elif change.lifecycle == Lifecycle.DEFINITION.value and change.before is not None:
        words = [reason.text for reason in change.reasons] + [field.path + " changed" for field in change.fields]
        if change.outputs != change.before.outputs and words:
            yield Reason(f"{given.address}: {words[0]}")


def _version_words(before: object, after: str | None, maybe: bool) -> str:
    if maybe:
        return "may change"
    return f"{before} → {after}" if before and before != after else f"new output {after or ''}".rstrip()


def _recipe_reasons(current: Version, parts: tuple[PlannedPart, ...]) -> Iterator[Reason]:
    """Nothing the user wrote explains it: name what differs in the recipes, or the new revision of a kind."""
    evidence = current.evidence.recipe if current.evidence is not None else None
    for planned, recorded in zip(parts, (current.recipe, evidence), strict=False):
        part = planned.part
        if planned.verb in (Verb.KEEP, Verb.MAYBE) or planned.replaces is not None or not recorded or recorded == "{}":
            continue
        differences = recipe_differences(recorded, part.recipe)
        yield from (Reason(difference_words(*each)) for each in differences)
        if not differences and planned.identity is not None:
            yield Reason(f"this release makes it in another way ({part.prefix} revision {part.revision})")


def difference_words(path: str, before: object, after: object) -> str:
    """Return `path: 1 → 2`, or only that it changed where the values are digests or large."""
    plain = not any(_is_digest(each) or isinstance(each, Mapping | list | tuple) for each in (before, after))
    return f"{path}: {_shown(before)} → {_shown(after)}" if plain else f"{path} changed"


def _shown(value: object) -> str:
    return "(not set)" if value is None else value if isinstance(value, str) else json.dumps(value)


def output_reasons(node: Node) -> tuple[Reason, ...]:
    """Say which outputs of a definition changed; digests derived from the others are named only if nothing else is."""
    before = node.record.outputs if node.record else EMPTY
    keys = [key for key, value in node.desire.outputs.items() if before.get(key) != value]
    plain = [key for key in keys if not _is_digest(node.desire.outputs[key])]
    return tuple(Reason(f"{key} changed") for key in (plain or keys))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == _DIGEST_LENGTH
