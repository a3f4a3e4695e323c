"""A report of drift for other programs: a comment under a pull request, annotations of GitHub, a JUnit report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree as ET

from specforge.core.address import Address
from specforge.planner.drifting import DriftReport
from specforge.planner.plan import Drift
from specforge.render import text
from specforge.render.drift import Positions, since_words, summary_line

_MARKED = str.maketrans({each: "\\" + each for each in "\\`*_[]|~"} | {"<": "&lt;", "&": "&amp;", "@": "&#64;"})
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def render_markdown(report: DriftReport, positions: Positions) -> str:
    """Return the report as Markdown: a heading, the summary, tables; ended by a newline."""
    drift = [
        (
            _code(str(each.address)),
            _cell(each.what),
            _cell(since_words(each, report.at)),
            _where(positions, each.address),
        )
        for each in report.drift
    ]
    away = [
        (_code(str(each.place)), _cell(each.problem), ", ".join(_code(str(item)) for item in each.addresses))
        for each in report.unreachable
    ]
    held = [(_code(str(address)), _cell(text.moment(since))) for address, since in report.held]
    summary = "`".join(_cell(each) if not index % 2 else each for index, each in enumerate(_parts(report)))
    lines = [f"### Drift of {_cell(_title(report))}", "", summary]
    lines += _table(("resource", "what is there", "since", "declared in"), drift)
    lines += _table(("unreachable", "problem", "undecided"), away)
    lines += _table(("on hold", "stopped"), held)
    return "\n".join(lines) + "\n"


def _parts(report: DriftReport) -> list[str]:
    """Return the summary split at its backticks: every second part is code."""
    return summary_line(report).split("`")


def _title(report: DriftReport) -> str:
    return report.project + (f", environment {report.environment}" if report.environment != "default" else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", f"| {' | '.join(head)} |", "|" + "---|" * len(head))
        yield from (f"| {' | '.join(row)} |" for row in rows)


def _cell(words: str) -> str:
    """Return text that means in Markdown what it says, and stays in its cell."""
    return text.plain(words).translate(_MARKED)


def _code(words: str) -> str:
    plain = text.plain(words)
    return _cell(plain) if set(plain) & {"`", "|"} else f"`{plain}`"


def _where(positions: Positions, address: Address) -> str:
    span = positions.get(address)
    return _code(f"{span.file}:{span.line}") if span else ""


def render_github(report: DriftReport, positions: Positions) -> str:
    """Return workflow commands of GitHub Actions: a warning per difference, at its document where that is known."""
    lines = []
    for each in report.drift:
        span = positions.get(each.address)
        where = {"file": span.file, "line": str(span.line), "col": str(span.column)} if span else {}
        lines.append(_annotation("warning", f"Drift: {each.address}", _words(each, report.at), where))
    for away in report.unreachable:
        undecided = ", ".join(map(str, away.addresses))
        words = away.problem + (f"; undecided: {undecided}" if undecided else "")
        lines.append(_annotation("error", f"Unreachable: {away.place.called}", words, {}))
    for address, stopped in report.held:
        words = f"stopped for {text.duration(report.at - stopped)}, since {text.moment(stopped)}"
        lines.append(_annotation("notice", f"On hold: {address}", words, {}))
    lines.append(_annotation("notice", f"Drift of {_title(report)}", summary_line(report), {}))
    return "\n".join(lines) + "\n"


def _annotation(level: str, title: str, words: str, where: dict[str, str]) -> str:
    fields = {**where, "title": title}
    shown = ",".join(f"{key}={text.plain(item).translate(_PROPERTY)}" for key, item in fields.items())
    return f"::{level} {shown}::{text.plain(words).translate(_DATA)}"


def render_junit(report: DriftReport, addresses: Iterable[Address], positions: Positions) -> str:
    """Return a JUnit report with a test case per recorded resource.

    Drift is a failure, what cannot be reached an error, a hold is skipped. `addresses`: all that are recorded.
    """
    drift, away = _drift_of(report), _away_of(report)
    held = dict(report.held)
    every = sorted({*addresses, *drift, *away, *held})
    counts = {
        "tests": len(every),
        "failures": len(drift),
        "errors": len(away.keys() - drift.keys()),
        "skipped": len(held.keys() - drift.keys() - away.keys()),
    }
    numbers = {key: str(many) for key, many in counts.items()}
    root = ET.Element("testsuites", {"name": "spec drift", **numbers})
    stamp = text.moment(report.at).removesuffix(" UTC").replace(" ", "T")
    suite = ET.SubElement(root, "testsuite", {"name": _title(report), **numbers, "time": "0", "timestamp": stamp})
    for address in every:
        span = positions.get(address)
        where = {"file": text.plain(span.file), "line": str(span.line)} if span else {}
        names = {"classname": f"{report.project}.{report.environment}", "name": str(address), "time": "0"}
        case = ET.SubElement(suite, "testcase", {**names, **where})
        if address in drift:
            _outcome(case, "failure", "drift", [*drift[address], *away.get(address, ())])
        elif address in away:
            _outcome(case, "error", "unreachable", away[address])
        elif address in held:
            ET.SubElement(case, "skipped", {"message": f"on hold since {text.moment(held[address])}"})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _drift_of(report: DriftReport) -> dict[Address, list[str]]:
    found: dict[Address, list[str]] = {}
    for each in report.drift:
        found.setdefault(each.address, []).append(_words(each, report.at))
    return found


def _away_of(report: DriftReport) -> dict[Address, list[str]]:
    found: dict[Address, list[str]] = {}
    for each in report.unreachable:
        for address in each.addresses:
            found.setdefault(address, []).append(f"{each.place.called}: {each.problem}")
    return found


def _words(drift: Drift, now: float) -> str:
    since = since_words(drift, now)
    return drift.what + (f" ({since})" if since else "")


def _outcome(case: ET.Element, tag: str, sort: str, lines: Sequence[str]) -> None:
    words = [text.plain(each) for each in lines]
    made = ET.SubElement(case, tag, {"type": sort, "message": words[0]})
    made.text = "\n".join(words)
