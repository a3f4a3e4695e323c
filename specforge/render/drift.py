"""A report of drift as text and as JSON. Forms for other programs (Markdown, annotations, JUnit) are in drift_forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from specforge.core.address import Address
from specforge.core.source import Span
from specforge.planner.drifting import DriftReport
from specforge.planner.plan import Drift
from specforge.render import text
from specforge.render.text import Paint

FORMAT = 1
"""The version of the JSON form. Fields may be added within a format; none changes its meaning."""
WIDEST_ADDRESS = 40
_DETAIL = " " * 6

Positions = Mapping[Address, Span]
"""Where the document of a resource begins, of those that are known."""


def render_drift(report: DriftReport, *, color: bool = False, width: int = 100) -> str:
    """Return the report as text, ended by a newline; `width` in columns."""
    paint = Paint(color)
    sections = [
        [f"Environment {report.environment}"] if report.environment != "default" else [],
        list(_drift_lines(report, paint, width)),
        list(_unreachable_lines(report, paint, width)),
        list(_held_lines(report, paint)),
        text.wrap(summary_line(report), width, "", ""),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def since_words(drift: Drift, now: float) -> str:
    """Return `for 3 min 05 s, since 2026-11-20 12:03:05 UTC`, when it was last seen well, or nothing."""
    if drift.since is not None:
        return f"for {text.duration(now - drift.since)}, since {text.moment(drift.since)}"
    if drift.last_seen is not None:
        return f"last seen as recorded {text.duration(now - drift.last_seen)} ago, {text.moment(drift.last_seen)}"
    return ""


def summary_line(report: DriftReport) -> str:
    """Return the last line: how many resources differ, or that none does."""
    drifted = len({each.address for each in report.drift})
    undecided = len({address for each in report.unreachable for address in each.addresses})
    beside = [f"{text.count(undecided, 'resource')} cannot be reached"] if undecided else []
    beside += [f"{text.count(len(report.held), 'service is', 'services are')} on hold"] if report.held else []
    if drifted:
        verb = "differs" if drifted == 1 else "differ"
        begin = f"Drift: {text.count(drifted, 'resource')} of {text.number(report.checked)} {verb} from the record"
        return "; ".join([begin, *beside]) + ". `spec apply` repairs what is still declared."
    if not report.checked:
        return "; ".join(["No drift: nothing is recorded that could differ", *beside]) + "."
    seen = report.checked - undecided
    as_recorded = text.count(seen, "resource is", "resources are") + " as recorded"
    begin = f"No drift that can be seen: {as_recorded}" if undecided else f"No drift: {as_recorded}"
    return "; ".join([begin, *beside]) + "."


def _drift_lines(report: DriftReport, paint: Paint, width: int) -> Iterator[str]:
    if not report.drift:
        return
    yield paint("Drift: what is there differs from the record", "bold")
    column = min(max(text.columns(str(each.address)) for each in report.drift), WIDEST_ADDRESS)
    hanging = " " * (2 + 2 + column + 2)
    for each in report.drift:
        head = f" {text.pad(str(each.address), column)}  "
        first, *more = text.wrap(text.plain(each.what), width, " " * (3 + text.columns(head)), hanging)
        yield "  " + paint("!", "yellow") + head + first.lstrip(" ")
        yield from more
        since = since_words(each, report.at)
        if since:
            yield from (paint(line, "dim") for line in text.wrap(since, width, _DETAIL))


def _unreachable_lines(report: DriftReport, paint: Paint, width: int) -> Iterator[str]:
    if not report.unreachable:
        return
    yield paint("Unreachable: nothing is known of what lies there", "bold")
    for each in report.unreachable:
        first, *more = text.wrap(f"! {text.plain(each.place.called)}: {text.plain(each.problem)}", width, "  ", _DETAIL)
        yield "  " + paint("!", "yellow") + first[3:]
        yield from more
        if each.addresses:
            yield from text.wrap("undecided: " + ", ".join(map(str, each.addresses)), width, _DETAIL)


def _held_lines(report: DriftReport, paint: Paint) -> Iterator[str]:
    if not report.held:
        return
    yield paint("On hold: stopped on purpose, no drift", "bold")
    rows = [
        (f"  = {address}", f"for {text.duration(report.at - since)}", f"`spec start {address}` starts it")
        for address, since in report.held
    ]
    yield from text.table(rows)


def drift_json(report: DriftReport, positions: Positions) -> dict[str, Any]:
    """Return the report as JSON values; docs/drift-json.md has its schema."""
    undecided = {address for each in report.unreachable for address in each.addresses}
    return {
        "format": FORMAT,
        "project": report.project,
        "environment": report.environment,
        "at": report.at,
        "checked": report.checked,
        "drift": [
            {
                "address": str(each.address),
                "what": each.what,
                "since": each.since,
                "last_seen": each.last_seen,
                **_place(positions.get(each.address)),
            }
            for each in report.drift
        ],
        "unreachable": [
            {"place": str(each.place), "problem": each.problem, "addresses": _words(each.addresses)}
            for each in report.unreachable
        ],
        "held": [{"address": str(address), "since": since} for address, since in report.held],
        "summary": {
            "drifted": len({each.address for each in report.drift}),
            "undecided": len(undecided),
            "held": len(report.held),
        },
    }


def _place(span: Span | None) -> dict[str, Any]:
    return {"file": span.file if span else None, "line": span.line if span else None}


def _words(addresses: Iterable[Address]) -> list[str]:
    return [str(each) for each in addresses]
