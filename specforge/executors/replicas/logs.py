"""Lines of what the replicas of a group printed, also while they print.

The log of a replica is rotated: `N.log` is the newest file, `N.log.1` the one before it. When a line was written is
known where the line itself says so: it is JSON with `time` or `at`, or begins with a moment in ISO form; lines without
count with the last that has one.
"""

from __future__ import annotations

import heapq
import json
import re
import time
from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

from specforge.core.making import dataclass
from specforge.executors.base import LogLine
from specforge.executors.local.pool import Pool
from specforge.executors.replicas import programs
from specforge.executors.replicas.group import Group
from specforge.executors.replicas.programs import program_id
from specforge.executors.replicas.supervisord import NoAnswer

_POLL = 0.1
_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 16
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?")


def has_logs(pool: Pool, group: str) -> bool:
    """Return whether the pool has or had such a group."""
    return (Group(pool, group).folder / "log").is_dir()


def lines_of(pool: Pool, name: str, since: float | None, follow: bool) -> Iterator[LogLine]:
    """Give what all replicas printed, from unix time `since` on, in order as far as that is known.

    With more than one replica each line begins with the number. `follow`: until nobody keeps up the group any more.
    """
    group = Group(pool, name)
    logs = {number: _Log(group.log(number), since) for number in _numbers(group)}
    many = len(logs) > 1
    yield from (_shown(number, line, many=many) for number, line in _merged(logs))
    if not follow:
        yield from (_shown(number, line, many=many) for number in logs for line in logs[number].rest())
    while follow:
        over = not _goes_on(group)
        for number in _numbers(group):
            logs.setdefault(number, _Log(group.log(number), since))
        for number, log in sorted(logs.items()):
            yield from (_shown(number, line, many=len(logs) > 1) for line in log.take())
        if over:
            yield from (_shown(number, line, many=len(logs) > 1) for number in logs for line in logs[number].rest())
            return
        time.sleep(_POLL)


def _numbers(group: Group) -> list[int]:
    names = (file.name.partition(".")[0] for file in (group.folder / "log").glob("*.log*"))
    return sorted({int(name) for name in names if name.isdecimal()})


def _merged(logs: dict[int, _Log]) -> Iterator[tuple[int, LogLine]]:
    """Give the lines of all logs by their times; lines of one log stay in their order."""

    def keyed(number: int, log: _Log) -> Iterator[tuple[float, int, int, LogLine]]:
        latest = 0.0
        for count, line in enumerate(log.old()):
            latest = max(latest, line.at or 0.0)
            yield latest, number, count, line

    for _, number, _, line in heapq.merge(*(keyed(number, log) for number, log in sorted(logs.items()))):
        yield number, line


def _goes_on(group: Group) -> bool:
    try:
        kept = programs.look_at_programs(group.pool) or {}
    except NoAnswer:
        return False
    return any(program_id(group.program(number)) in kept for number in group.numbers())


def _shown(number: int, line: LogLine, *, many: bool) -> LogLine:
    return LogLine(line.at, f"{number} | {line.text}") if many else line


@dataclass
class _Log:
    """One replica's log, read on from where it was read last, over rotations."""

    path: Path
    since: float | None
    _inode: int = 0
    _position: int = 0
    _rest: bytes = b""
    _at: float | None = field(default=None)

    def old(self) -> Iterator[LogLine]:
        """Give the lines that are there now, the oldest file first."""
        for file in reversed(self._rotated()):
            yield from self._lines(file, 0)
        yield from self.take()

    def take(self) -> Iterator[LogLine]:
        """Give the lines that came since."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return
        if now.st_ino != self._inode:
            if self._inode:
                for file in reversed(self._rotated()):
                    if file.stat().st_ino == self._inode:
                        yield from self._lines(file, self._position)
            self._inode, self._position = now.st_ino, 0
        elif now.st_size < self._position:
            self._position = 0  # somebody emptied it
        yield from self._lines(self.path, self._position)

    def rest(self) -> Iterator[LogLine]:
        """Give what came after the last end of a line."""
        rest, self._rest = self._rest, b""
        yield from filter(None, map(self._line, filter(None, [rest])))

    def _rotated(self) -> list[Path]:
        """Return the older files, the newest first."""
        found = {}
        for file in self.path.parent.glob(f"{self.path.name}.*"):
            number = file.name.rpartition(".")[2]
            if number.isdecimal() and (self.since is None or file.stat().st_mtime >= self.since):
                found[int(number)] = file
        return [found[number] for number in sorted(found)]

    def _lines(self, file: Path, position: int) -> Iterator[LogLine]:
        if self.since is not None and file.stat().st_mtime < self.since:
            self._position = file.stat().st_size
            return
        with file.open("rb") as stream:
            stream.seek(position)
            while block := stream.read(_BLOCK):
                self._position = stream.tell()
                *whole, self._rest = (self._rest + block).split(b"\n")
                if len(self._rest) > _LONGEST_LINE:
                    whole, self._rest = [*whole, self._rest], b""
                yield from filter(None, map(self._line, whole))

    def _line(self, raw: bytes) -> LogLine | None:
        text = raw.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
        self._at = time_of(text) or self._at
        early = self.since is not None and self._at is not None and self._at < self.since
        return None if early else LogLine(self._at, text)


def time_of(text: str) -> float | None:
    """Return the unix time that a line says it was written at; None: it does not say."""
    if text.startswith("{"):
        try:
            body = json.loads(text)
        except ValueError:
            return None
        said = body.get("time", body.get("at")) if isinstance(body, dict) else None
        if isinstance(said, int | float):
            return float(said)
        text = said if isinstance(said, str) else ""
    matched = _MOMENT.match(text)
    if matched is None:
        return None
    moment = datetime.fromisoformat(matched[0].replace(",", "."))
    # Replicas run in UTC.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
