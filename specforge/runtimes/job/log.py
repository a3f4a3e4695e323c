"""A job's log on disk: its beginning and its end are kept, the middle of a very long one is not.

In the run's folder, `log/log.txt` holds the first half of the allowance. What comes after goes to `log.parts/N`, of
which the last two are kept; when the job ends they are joined to `log.txt`, with a line that says what is left out.
`log.parts/times` says sparsely when which byte came. A *position* counts the bytes that the job wrote.
"""

from __future__ import annotations

import json
import os
import struct
import time
from bisect import bisect_left, bisect_right

_TIME = struct.Struct("<dQ")
_FINE = 0.05
_COARSE = 1.0
_FINE_RECORDS = 2000
_RESERVE = 1 << 14
_KEPT_OF_LOST = 1 << 13


def _head_room(limit: int) -> int:
    return max(limit // 2, 1)


def _part_room(limit: int) -> int:
    return max(limit // 4, 1)


def log_path(run: str) -> str:
    """Return where the log of the run in this folder lies."""
    return os.path.join(run, "log", "log.txt")


class LogWriter:
    """Takes a job's output. Never raises for a full disk: what cannot be kept is counted in `lost`."""

    def __init__(self, run: str, limit: int) -> None:
        self._limit = limit
        self._parts = os.path.join(run, "log.parts")
        os.makedirs(os.path.join(run, "log"), exist_ok=True)
        os.makedirs(self._parts, exist_ok=True)
        self._path = log_path(run)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        times = os.path.join(self._parts, "times")
        self._times = os.open(times, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._room = _head_room(limit)
        self._part = -1
        self._position = 0
        self._noted = 0.0
        self._records = 0
        self._at_line_start = True
        self._lost_end = b""
        self.lost = 0
        self.problem = ""
        reserve(os.path.join(self._parts, "reserve"), _RESERVE)

    def write(self, data: bytes) -> None:
        """Keep the bytes, as far as the allowance and the disk permit."""
        if not data:
            return
        self._note_time()
        self._at_line_start = data.endswith(b"\n")
        view = memoryview(data)
        while view:
            if self._room == 0:
                self._next_part()
            try:
                written = os.write(self._file, view[: self._room])
            except OSError as error:
                self.lost += len(view)
                self._lost_end = (self._lost_end + bytes(view[-_KEPT_OF_LOST:]))[-_KEPT_OF_LOST:]
                self.problem = error.strerror or str(error)
                return
            self._room -= written
            self._position += written
            view = view[written:]

    def say(self, text: str) -> None:
        """Put in a line of the wrapper's own."""
        start = b"" if self._at_line_start else b"\n"
        self.write(start + f"[specforge] {text}\n".encode())

    def close(self) -> None:
        """Join what is kept to one file. A full disk has room for the last words: it was set aside."""
        try:
            os.unlink(os.path.join(self._parts, "reserve"))
        except FileNotFoundError:
            self.problem = "the program removed its log"
        if self.lost:
            end, self._lost_end = self._lost_end, b""
            self.say(f"{self.lost:,} bytes of the log could not be written: {self.problem}; they end with:")
            self.write(end)
        os.close(self._file)
        os.close(self._times)
        if self._part < 0:
            return
        try:
            self._join()
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _note_time(self) -> None:
        now = time.time()
        if now - self._noted < (_FINE if self._records < _FINE_RECORDS else _COARSE):
            return
        self._noted = now
        self._records += 1
        try:
            os.write(self._times, _TIME.pack(now, self._position))
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _next_part(self) -> None:
        os.close(self._file)
        self._part += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(os.path.join(self._parts, str(self._part)), flags, 0o644)
        self._room = _part_room(self._limit)
        if self._part >= 2:
            os.unlink(os.path.join(self._parts, str(self._part - 2)))

    def _join(self) -> None:
        head, room = _head_room(self._limit), _part_room(self._limit)
        kept = [part for part in (self._part - 1, self._part) if part >= 0]
        data = b"".join(_content(os.path.join(self._parts, str(part))) for part in kept)
        tail, notice = head + kept[0] * room, b""
        if kept[0] > 0:
            # The first kept line is most likely half a line: begin with the next one.
            skip = data.find(b"\n", 0, 65536) + 1
            data, tail = data[skip:], tail + skip
            notice = f"\n[specforge] … {tail - head:,} bytes of the log are left out here …\n".encode()
        with open(self._path, "ab") as file:
            file.write(notice)
            file.write(data)
        layout = {"head": head, "notice": len(notice), "tail": tail}
        with open(os.path.join(self._parts, "layout.new"), "w") as text:
            json.dump(layout, text)
        os.replace(text.name, os.path.join(self._parts, "layout"))
        for part in kept:
            os.unlink(os.path.join(self._parts, str(part)))


def reserve(path: str, size: int) -> None:
    """Set room aside on the disk, as a file to remove when the room is needed; as much of it as there is."""
    with open(path, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            return  # there is none: whatever is written next says so


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class LogReader:
    """Reads a log from a position on, also while it is written and across the moment it is joined."""

    def __init__(self, run: str, limit: int) -> None:
        self._run = run
        self._head, self._room = _head_room(limit), _part_room(limit)
        self._parts = os.path.join(run, "log.parts")
        self._layout: dict[str, int] | None = None
        self._records: tuple[list[float], list[int]] = ([], [])
        self.position = 0

    def read(self, size: int) -> tuple[int, bytes]:
        """Return how many bytes are left out here, and up to `size` bytes after them; no bytes: nothing new yet."""
        if self.position < self._head:
            data = self._at(log_path(self._run), self.position, min(size, self._head - self.position))
            self.position += len(data)
            return 0, data
        before = self.position
        data = self._read_part(size)
        if not data and (layout := self._joined()):
            self.position = max(self.position, layout["tail"])
            place = layout["head"] + layout["notice"] + self.position - layout["tail"]
            data = self._at(log_path(self._run), place, size)
        start = self.position
        self.position += len(data)
        return start - before, data

    def end(self) -> int:
        """Return the position after the last byte there is now."""
        if layout := self._joined():
            return layout["tail"] + self._size(log_path(self._run)) - layout["head"] - layout["notice"]
        numbers = self._numbers()
        if not numbers:
            return min(self._size(log_path(self._run)), self._head)
        return self._head + numbers[-1] * self._room + self._size(os.path.join(self._parts, str(numbers[-1])))

    def refresh(self) -> None:
        """Take in the times that were written since the last call."""
        times, positions = self._records
        data = self._at(os.path.join(self._parts, "times"), len(times) * _TIME.size, -1)
        for moment, where in _TIME.iter_unpack(data[: len(data) // _TIME.size * _TIME.size]):
            times.append(moment)
            positions.append(where)

    def time_at(self, position: int) -> float | None:
        """Return about when the byte at this position came, in unix seconds, as far as `refresh` found out."""
        times, positions = self._records
        index = bisect_right(positions, position) - 1
        return times[index] if index >= 0 else None

    def position_at(self, moment: float) -> int:
        """Return the position of the first byte that came at or after this unix time."""
        self.refresh()
        times, positions = self._records
        index = bisect_left(times, moment)
        return positions[index] if index < len(times) else self.end()

    def _read_part(self, size: int) -> bytes:
        numbers = self._numbers()
        number, offset = divmod(self.position - self._head, self._room)
        if not numbers or numbers[-1] < number:
            return b""
        if numbers[0] > number:
            number, offset = numbers[0], 0
            self.position = self._head + number * self._room
        return self._at(os.path.join(self._parts, str(number)), offset, size)

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self._parts) if name.isdecimal())
        except FileNotFoundError:
            return []

    def _joined(self) -> dict[str, int] | None:
        if self._layout is None:
            try:
                with open(os.path.join(self._parts, "layout")) as file:
                    self._layout = json.load(file)
            except FileNotFoundError:
                return None
        return self._layout

    @staticmethod
    def _at(path: str, offset: int, size: int) -> bytes:
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            return b""

    @staticmethod
    def _size(path: str) -> int:
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return 0
