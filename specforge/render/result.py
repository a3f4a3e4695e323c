"""What an apply came to: versions and figures, root causes with the end of their logs, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.render import text
from specforge.render.text import Paint

MARKS = {
    "done": ("✓", "green"),
    "reused": ("<", "cyan"),
    "cut off": ("=", "cyan"),
    "refused": ("!", "yellow"),
    "failed": ("✗", "red"),
    "cancelled": ("✗", "red"),
    "unreachable": ("!", "yellow"),
    "skipped": ("·", "dim"),
}
"""The mark and colour of each outcome; the word always stands beside it."""

ORDER = tuple(MARKS)
LOG_LINES = 15


class Outcome(Protocol):
    """How one change ended: the fields that are read here of the engine's event."""

    @property
    def address(self) -> Address:
        """What was changed."""
        ...

    @property
    def action(self) -> str:
        """The action of the plan."""
        ...

    @property
    def outcome(self) -> str:
        """A key of `MARKS`."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...

    @property
    def version(self) -> str | None:
        """What became current."""
        ...

    @property
    def words(self) -> str:
        """The result, for people."""
        ...

    @property
    def because(self) -> Address | None:
        """The root cause of a skip."""
        ...

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What went wrong."""
        ...


class Result(Protocol):
    """How an apply ended: the fields that are read here of the engine's result."""

    @property
    def outcomes(self) -> Mapping[Address, Any]:
        """How each change ended."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...

    @property
    def failed(self) -> bool:
        """Whether anything failed, was refused or skipped."""
        ...


def render_result(
    result: Result,
    *,
    logs: Mapping[Address, Sequence[str]] | None = None,
    table: bool = True,
    color: bool = False,
    width: int = 100,
) -> str:
    """Return the end of an apply as text: what became of each change, the root causes of failures, counts.

    `logs`: the last lines of the output of each change's jobs; shown for those that failed. `table=False` leaves out
    what became of each change, where the progress has shown it.
    """
    paint = Paint(color)
    outcomes: list[Outcome] = list(result.outcomes.values())
    sections = [
        _table(outcomes, paint, width) if table else [],
        *(_root_cause(each, (logs or {}).get(each[0].address, ()), paint, width) for each in _causes(outcomes)),
        _skipped(outcomes, paint, width),
        [paint(last_line(result), "bold")],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def outcome_words(outcome: Outcome) -> str:
    """Return the end of one change in words: `V0002  accuracy 0.98`, `cut off`, `refused: …`."""
    words = text.plain(outcome.words)
    if outcome.outcome == "refused":
        return f"refused  {words}".rstrip()  # its words name the refused version and the one that stays
    if outcome.version and not words.startswith(outcome.version):
        words = f"{outcome.version}  {words}" if words else outcome.version
    if outcome.outcome == "done" and words:
        return words
    return f"{outcome.outcome}  {words}".rstrip()


def _table(outcomes: Sequence[Outcome], paint: Paint, width: int) -> list[str]:
    shown = [each for each in outcomes if each.outcome != "skipped"]
    if not shown:
        return []
    first = min(max(text.columns(str(each.address)) for each in shown), 40)
    second = min(max(text.columns(outcome_words(each)) for each in shown), max(width - first - 20, 20))
    lines = []
    for each in shown:
        mark, style = MARKS.get(each.outcome, ("?", "bold"))
        words, *others = text.wrap(outcome_words(each), second, "", "")
        cells = f"{text.pad(str(each.address), first)}  {text.pad(words, second)}"
        lines.append(f"  {paint(mark, style)} {cells}  {paint(text.took(each.seconds), 'dim')}".rstrip())
        lines += [" " * (first + 6) + line for line in others]
    return lines


def _causes(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Return the failures, those with the very same diagnostics (a full disk of the state) together."""
    found: dict[tuple[str, tuple[Diagnostic, ...]], list[Outcome]] = {}
    for each in outcomes:
        if each.outcome not in ("skipped", "cancelled") and each.diagnostics:
            found.setdefault((each.outcome, tuple(each.diagnostics)), []).append(each)
    return list(found.values())


def _root_cause(outcomes: Sequence[Outcome], log: Sequence[str], paint: Paint, width: int) -> list[str]:
    from specforge.render.diagnostics import render_diagnostics

    outcome = outcomes[0]
    diagnostics, noted = _without_log(outcome.diagnostics, log)
    rendered = render_diagnostics(diagnostics, color=paint.color, width=width).rstrip("\n")
    lines = [paint(f"{', '.join(str(each.address) for each in outcomes)}: {outcome.outcome}", "bold"), rendered]
    ending = noted if len(noted) >= len(log) else log
    if outcome.outcome == "failed" and _says_more(ending, diagnostics):
        lines.append("the end of its log:")
        lines += ["  " + text.cut(text.plain(line), max(width, 200)) for line in ending[-LOG_LINES:]]
    return lines


def _says_more(log: Sequence[str], diagnostics: Sequence[Diagnostic]) -> bool:
    """Return whether the program printed anything that the diagnostics do not say already."""
    printed = " ".join(word for line in log if not line.startswith("[specforge]") for word in line.split())
    return bool(printed) and not any(printed in " ".join(each.detail.split()) for each in diagnostics)


def _without_log(diagnostics: Sequence[Diagnostic], tail: Sequence[str]) -> tuple[list[Diagnostic], list[str]]:
    """Take the end of a job's log, which travels as a note, out of the diagnostics.

    It is told from other notes by having several lines, or by being the last line that was printed.
    """
    kept, log = [], []
    for each in diagnostics:
        lines = (each.note or "").strip("\n").splitlines()
        if len(lines) > 1 or (lines and tail and lines[-1] == tail[-1]):
            log = lines
            kept.append(replace(each, note=None))
        else:
            kept.append(each)
    return kept, log


def _skipped(outcomes: Sequence[Outcome], paint: Paint, width: int) -> list[str]:
    causes: dict[str, list[str]] = {}
    for each in outcomes:
        if each.outcome == "skipped":
            cause = f"because of {each.because}" if each.because else each.words or "not started"
            causes.setdefault(cause, []).append(str(each.address))
    lines: list[str] = []
    for cause, addresses in causes.items():
        lines += text.wrap(f"Skipped {cause}: {', '.join(addresses)}", width, "", "  ")
    return [paint(line, "dim") for line in lines]


def last_line(result: Result) -> str:
    """Return how it ended, how long it took, and the counts."""
    counts: dict[str, int] = {}
    for each in result.outcomes.values():
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    phrases = [f"{text.number(counts[name])} {name}" for name in ORDER if counts.get(name)]
    state = "Interrupted" if result.interrupted else "Failed" if result.failed else "Done"
    tail = f": {', '.join(phrases)}" if phrases else ""
    return f"{state} in {text.duration(result.seconds)}{tail}."
