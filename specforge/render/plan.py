"""A plan as text. Calm and aligned, readable without colour; see docs/messages.md for how the lines are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from specforge.core.diagnostics import sorted_diagnostics
from specforge.core.state import Status
from specforge.planner.plan import Action, Change, Drift, FieldChange, Plan, RunInFlight, Unreachable, Verb
from specforge.render import text
from specforge.render.text import Paint

SYMBOLS = {
    Action.NOOP: " ",
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.NEW_VERSION: "~",
    Action.REUSE: "<",
    Action.REPLACE: "±",
    Action.DELETE: "-",
    Action.FORGET: "-",
}
COLORS = {"+": "green", "~": "yellow", "<": "cyan", "±": "magenta", "-": "red", "?": "blue", "!": "yellow"}
DETAIL = " " * 6
SHOWN = 8
"""Lines of one reason that are shown; the JSON form has all."""
WIDEST_ADDRESS = 40
WIDEST_ACTION = 36


def render_plan(plan: Plan, *, color: bool = False, width: int = 100) -> str:
    """Return the plan as text, ended by a newline; `width` in columns."""
    paint = Paint(color)
    sections = [
        _heading(plan, width),
        _drift_section(plan.drift, plan.created, paint, width),
        _runs_section(plan.runs, plan.created, paint, width),
        _changes_section(plan, paint, width),
        _notes_section(plan, paint, width),
        _unreachable_section(plan.unreachable, paint, width),
        _warnings(plan, color, width),
        _last_lines(plan, paint, width),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def counts(plan: Plan) -> dict[str, int]:
    """Return how many changes of each sort the plan has; keys as in the JSON form, zeros left out."""
    found: dict[str, int] = {}
    for change in plan.pending:
        key = sort_of(change)
        found[key] = found.get(key, 0) + 1
    cancelled = sum(1 for run in plan.runs if not run.wanted)
    if cancelled:
        found["cancel_run"] = cancelled
    return found


def sort_of(change: Change) -> str:
    """Return under which word a change is counted: `maybe`, `metadata`, or its action."""
    if change.if_changed:
        return "maybe"
    if is_metadata(change):
        return "metadata"
    return change.action.value.replace(" ", "_").replace("-", "")


def is_metadata(change: Change) -> bool:
    """Return whether the change touches nothing but our own record."""
    return (
        change.action is Action.UPDATE
        and bool(change.fields)
        and all(field.rule == "metadata" for field in change.fields)
        and all(part.verb is Verb.KEEP for part in change.parts)
        and not change.steps
    )


def action_words(change: Change) -> str:
    """Return what happens to the resource, in a few words."""
    if change.if_changed:
        if len(change.if_changed) <= 2:
            verb = "changes" if len(change.if_changed) == 1 else "change"
            return f"if {' or '.join(map(str, change.if_changed))} {verb}"
        return f"if one of {len(change.if_changed)} inputs changes"
    if is_metadata(change):
        return "metadata only"
    known = change.before.version(change.version) if change.before is not None else None
    if change.action is Action.REUSE and known is not None:
        if change.refusals:
            return "refused again"
        return "current again" if known.status is Status.READY else "promote"
    if change.action is Action.NEW_VERSION and change.parts and change.parts[0].replaces is not None:
        return "make again"
    return change.action.value


def version_words(change: Change) -> str:
    """Return `V0001 → V0002`, the one name where only one is known or both are equal, or nothing."""
    before = change.before.current if change.before else None
    after = change.version
    if change.action in (Action.DELETE, Action.FORGET) or before == after:
        return before or ""
    if change.refusals:
        return after or ""
    if before and after:
        return f"{before} → {after}"
    return after or before or ""


def work_words(change: Change) -> str:
    """Return the work to be done and how long it took before: `retrain, evaluate, about 4 s`."""
    words = list(change.work)
    if change.estimate is not None and words:
        words.append(f"about {text.duration(change.estimate)}")
    return ", ".join(words)


def _heading(plan: Plan, width: int) -> list[str]:
    lines = []
    if plan.environment != "default":
        lines.append(f"Environment {plan.environment}")
    if plan.destroy:
        kept = "published data are deleted too" if plan.delete_artifacts else "published data stay in their stores"
        lines += text.wrap(f"Destroy: what was made is taken off the record; {kept}", width, "")
    return lines


def _drift_section(drift: Iterable[Drift], now: float, paint: Paint, width: int) -> list[str]:
    lines = []
    for each in drift:
        since = f", for {text.duration(now - each.since)}" if each.since is not None else ""
        lines += text.wrap(f"! {each.address}  {text.plain(each.what)}{since}", width, "  ", DETAIL)
    return [paint("Drift: what is there differs from the record", "bold"), *_marked(lines, paint)] if lines else []


def _runs_section(runs: Iterable[RunInFlight], now: float, paint: Paint, width: int) -> list[str]:
    lines: list[str] = []
    for run in runs:
        lines += text.wrap(run_words(run, now), width, "  ", DETAIL)
    return [paint("Runs not yet recorded", "bold"), *_marked(lines, paint)] if lines else []


def run_words(run: RunInFlight, now: float) -> str:
    """Return one line about a run in flight: what will become of it, and why."""
    what = f"run of {run.address}"
    details = [run.work] if run.work else []
    if run.state == "running":
        details.append(f"running {text.duration(now - run.started)}")
    elif run.state == "ended":
        details.append("ended, not yet recorded")
    else:
        details.append("its place is unreachable")
    if run.wanted:
        verb = "> attach to" if run.state == "running" else "> finish"
        return f"{verb} {what} ({', '.join(details)})"
    verb = "- cancel" if run.state == "running" else "- clean up"
    return f"{verb} {what} ({', '.join([*details, 'no longer wanted'])})"


def _changes_section(plan: Plan, paint: Paint, width: int) -> list[str]:
    pending = plan.pending
    if not pending:
        return []
    rows = [(str(each.address), action_words(each), version_words(each)) for each in pending]
    first = min(max(text.columns(row[0]) for row in rows), WIDEST_ADDRESS)
    second = min(max(text.columns(row[1]) for row in rows), WIDEST_ACTION)
    third = max(text.columns(row[2]) for row in rows)
    lines = [paint("Changes", "bold")]
    for change, row in zip(pending, rows, strict=True):
        symbol = "?" if change.if_changed else SYMBOLS[change.action]
        cells = f"{text.pad(row[0], first)}  {text.pad(row[1], second)}  {text.pad(row[2], third)}"
        lines += _change_lines(symbol, cells, work_words(change), paint, width)
        lines += _details(change, paint, width)
    return lines


def _change_lines(symbol: str, cells: str, work: str, paint: Paint, width: int) -> list[str]:
    mark = "  " + paint(symbol, COLORS.get(symbol, "bold"))
    if not work:
        return [f"{mark} {cells.rstrip()}"]
    if 4 + text.columns(cells) + 2 + text.columns(work) <= width:
        return [f"{mark} {cells}  {paint(work, 'dim')}"]
    return [f"{mark} {cells.rstrip()}", *text.wrap(work, width, DETAIL)]


def _details(change: Change, paint: Paint, width: int) -> Iterator[str]:
    if change.summary and change.action in (Action.CREATE, Action.REPLACE):
        yield from text.wrap(change.summary, width, DETAIL)
    for each in change.fields:
        yield from text.wrap(field_words(each, is_metadata(change)), width, DETAIL)
    for reason in change.reasons:
        yield from text.wrap(text.plain(reason.text), width, DETAIL)
        for line in first_lines(reason.lines):
            yield from text.wrap(text.plain(line), width, DETAIL + "  ")
    if len(change.if_changed) > 2:
        yield from text.wrap("inputs: " + ", ".join(map(str, change.if_changed)), width, DETAIL)
    for line in refusal_lines(change):
        for part in text.wrap(line, width, DETAIL):
            yield paint(part, "yellow")
    if change.note:
        yield from text.wrap(change.note, width, DETAIL)


def first_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first lines of a reason and how many more there are; its last line may count some already."""
    if len(lines) <= SHOWN + 1:
        return lines
    left_out = re.fullmatch(r"and ([\d,]+) more", lines[-1])
    more = len(lines) - SHOWN + (int(left_out[1].replace(",", "")) - 1 if left_out else 0)
    return (*lines[:SHOWN], f"and {more:,} more")


def field_words(field: FieldChange, all_metadata: bool = False) -> str:
    """Return `parameters.C: 10 → 5`; says `(metadata)` of a field that changes nothing outside our record."""
    words = f"{field.path}: {text.value(field.before)} → {text.value(field.after)}"
    return words + " (metadata)" if field.rule == "metadata" and not all_metadata else words


def refusal_lines(change: Change) -> Iterator[str]:
    """Give what the gate is known to refuse already, with its figures."""
    current = change.before.current if change.before else None
    stays = f"{current} stays current" if current else "nothing becomes current"
    if change.refusals:
        below = ", marked below accept" if current and change.version in (None, current) else ""
        yield f"not accepted: {'; '.join(map(str, change.refusals))}; {stays}{below}"
    elif change.below_accept:
        yield f"below accept: {'; '.join(change.below_accept)}; {stays}"


def _notes_section(plan: Plan, paint: Paint, width: int) -> list[str]:
    """Give what is worth knowing of resources to which nothing happens; said elsewhere of the unreachable ones."""
    said = {address for each in plan.unreachable for address in each.addresses}
    lines: list[str] = []
    for change in plan.changes:
        if change.action is not Action.NOOP or change.address in said:
            continue
        note = change.note or next(refusal_lines(change), "")
        if note:
            lines += text.wrap(f"! {change.address}  {note}", width, "  ", DETAIL)
    return [paint("Notes", "bold"), *_marked(lines, paint)] if lines else []


def _unreachable_section(unreachable: Iterable[Unreachable], paint: Paint, width: int) -> list[str]:
    lines: list[str] = []
    for each in unreachable:
        lines += text.wrap(f"! {each.place.called}: {text.plain(each.problem)}", width, "  ", DETAIL)
        if each.addresses:
            lines += text.wrap("undecided: " + ", ".join(map(str, each.addresses)), width, DETAIL)
    heading = "Unreachable: nothing is created or destroyed there"
    return [paint(heading, "bold"), *_marked(lines, paint)] if lines else []


def _marked(lines: Iterable[str], paint: Paint) -> Iterator[str]:
    """Give the lines with the colour of the symbol that they begin with, if any."""
    for line in lines:
        symbol = line[2:3]
        if line.startswith("  ") and line[3:4] == " " and symbol in COLORS:
            yield "  " + paint(symbol, COLORS[symbol]) + line[3:]
        else:
            yield line


def _warnings(plan: Plan, color: bool, width: int) -> list[str]:
    if not plan.diagnostics:
        return []
    from specforge.render.diagnostics import render_diagnostics

    rendered = render_diagnostics(sorted_diagnostics(plan.diagnostics), color=color, width=width)
    return [rendered.rstrip("\n")]


PHRASES = {
    "create": "{} to create",
    "new_version": ("{} new version", "{} new versions"),
    "update": "{} to update",
    "metadata": "{} metadata only",
    "reuse": "{} to reuse",
    "replace": "{} to replace",
    "delete": "{} to delete",
    "forget": "{} to forget",
    "maybe": ("{} if its inputs change", "{} if their inputs change"),
    "cancel_run": ("{} run to cancel", "{} runs to cancel"),
}


def summary_line(plan: Plan) -> str:
    """Return the last line: counts of what an apply would do, or that there is nothing to do."""
    found = counts(plan)
    if not found:
        undecided = {address for each in plan.unreachable for address in each.addresses}
        if undecided:
            noun = text.count(len(undecided), "resource is", "resources are")
            return f"No changes that can be decided; {noun} undecided."
        if not plan.changes:
            return "No changes. Nothing is declared and nothing is recorded."
        noted = sum(1 for each in plan.changes if each.note)
        as_declared = text.count(len(plan.changes) - noted, "resource is", "resources are")
        beside = f"; {text.count(noted, 'note', 'notes')} above" if noted else ""
        return f"No changes. {as_declared} as declared{beside}."
    phrases = []
    for key, phrase in PHRASES.items():
        many = found.get(key, 0)
        if many:
            form = phrase if isinstance(phrase, str) else phrase[many != 1]
            phrases.append(form.format(text.number(many)))
    return f"{'Destroy' if plan.destroy else 'Plan'}: {', '.join(phrases)}."


def _last_lines(plan: Plan, paint: Paint, width: int) -> list[str]:
    return [paint(line, "bold") for line in text.wrap(summary_line(plan), width, "", "  ")]
