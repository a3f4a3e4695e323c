"""What the progress view knows: fed by events, asked for lines. No clock, no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.engine.events import ChangeEnded, ChangeStarted, Event, RunEnded, Started, StepProgress, StepStarted
from specforge.render import text
from specforge.render.result import outcome_words


@dataclass
class Node:
    """A change that is being worked on; times in unix seconds."""

    address: Address
    action: str
    began: float
    words: str = ""
    state: str = ""
    log: str = ""
    first: tuple[float, float] | None = None
    latest: tuple[float, float] | None = None
    total: float | None = None
    unit: str = ""

    def begin_step(self, words: str) -> None:
        """Forget the step before."""
        self.words, self.state, self.log = words, "", ""
        self.first = self.latest = self.total = None

    def report(self, event: StepProgress) -> None:
        """Take a log line, a state or a measure of progress."""
        if event.kind == "log":
            self.log = text.plain(event.text).strip() or self.log
        elif event.kind == "state":
            self.state = text.plain(event.text)
            self.first = self.latest = self.total = None  # how far it got was of what it did before
        elif event.done is not None:
            if self.first is None or event.done < self.first[1] or event.unit != self.unit:
                self.first = (event.at, event.done)
            self.latest, self.total, self.unit = (event.at, event.done), event.total, event.unit


@dataclass
class Board:
    """The changes under way. `estimates`: seconds that each took before."""

    estimates: Mapping[Address, float] = field(default_factory=dict)
    total: int = 0
    ended: int = 0
    active: dict[Address, Node] = field(default_factory=dict)
    notice: str = ""

    def say(self, message: str) -> None:
        """Show a message below the tree from now on."""
        self.notice = message

    def take(self, event: Event) -> str | None:
        """Note the event; return the calm line of a change or run that is over, else None."""
        if isinstance(event, Started):
            self.total = event.total
        elif isinstance(event, ChangeStarted):
            self.active[event.address] = Node(event.address, event.action, event.at)
        elif isinstance(event, StepStarted):
            node = self._node(event)
            node.begin_step(event.words)
        elif isinstance(event, StepProgress):
            self._node(event).report(event)
        elif isinstance(event, RunEnded):
            return f"run of {event.address}: {event.outcome}" + (f", {event.words}" if event.words else "")
        elif isinstance(event, ChangeEnded):
            self.active.pop(event.address, None)
            self.ended += 1
            return ended_words(event)
        return None

    def _node(self, event: StepStarted | StepProgress) -> Node:
        return self.active.setdefault(event.address, Node(event.address, "", event.at))

    def lines(self, now: float, width: int) -> list[str]:
        """Return the tree of what is under way, each line at most `width` columns."""
        nodes = list(self.active.values())
        notice = [text.cut(self.notice, width)] if self.notice else []
        if not nodes:
            return notice
        first = max(text.columns(str(node.address)) for node in nodes)
        lines = [text.cut(f"{self.ended} of {self.total} done, {len(nodes)} under way", width)]
        for index, node in enumerate(nodes):
            last = index == len(nodes) - 1
            doing = ", ".join(each for each in (node.words or node.action, node.state) if each)
            took = text.duration(now - node.began)
            head = f"{'└─' if last else '├─'} {text.pad(str(node.address), first)}  {took:>10}  {doing}"
            lines.append(text.cut(head, width))
            rail = "   " if last else "│  "
            below = [each for each in (self._measure(node, now), node.log) if each]
            lines += [text.cut(f"{rail}  {each}", width) for each in below]
        return lines + notice

    def _measure(self, node: Node, now: float) -> str:
        """Return how far the step is, how fast, and how long it may take still."""
        if node.latest is None or node.first is None:
            return self._by_history(node, now)
        done, total = node.latest[1], node.total
        words = _amount(done, node.unit)
        if total:
            words = f"{words} of {_amount(total, node.unit)} ({min(done / total, 1):.0%})"
        elapsed, gained = node.latest[0] - node.first[0], done - node.first[1]
        if elapsed > 0.2 and gained > 0:
            rate = gained / elapsed
            words += f", {_amount(rate, node.unit)}/s"
            if total and total > done:
                words += f", about {text.duration((total - done) / rate)} left"
        return words

    def _by_history(self, node: Node, now: float) -> str:
        estimate = self.estimates.get(node.address)
        if estimate is None:
            return ""
        left = estimate - (now - node.began)
        return f"about {text.duration(left)} left, by the last time" if left > 0.5 else ""


def _amount(value: float, unit: str) -> str:
    if unit in ("bytes", "B", ""):
        return text.size(value) if unit else f"{value:,.4g}"
    return f"{value:,.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


def ended_words(event: ChangeEnded) -> str:
    """Return one calm line about a change that is over."""
    if event.outcome == "skipped":
        return f"{event.address}  skipped" + (f" because of {event.because}" if event.because else "")
    took = text.took(event.seconds)
    return f"{event.address}  {outcome_words(event)}" + (f"  ({took})" if took else "")
