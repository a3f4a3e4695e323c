"""Processes that programs became: known again by their cards, found with everything they started, ended.

A card lies in a file, and files are copied with a project: a process counts as ours only if it also lives in this
pool's folder, so that a copy of a project never ends what runs for the original.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from specforge.runtimes.job import process

Card = dict[str, Any]

_POLL = 0.005
_PATIENCE = 5.0


def runs_here(card: Card, pool: Path) -> bool:
    """Return whether the process of this card still runs, and belongs to this pool."""
    return process.is_same(card) and _lives_in(int(card["pid"]), pool)


def end_all(cards: Iterable[Card], pool: Path, grace: float) -> None:
    """End these processes of the pool with everything they started: politely, after `grace` seconds by force."""
    ours = [card for card in cards if runs_here(card, pool)]
    ask_to_end(ours)
    until = time.monotonic() + grace
    while count(ours) and time.monotonic() < until:
        time.sleep(_POLL)
    kill_all(ours, pool)


def ask_to_end(cards: Iterable[Card]) -> None:
    """Ask the processes of these cards to end, if they still run."""
    for card in cards:
        process.signal_same(card, signal.SIGTERM)


def count(cards: Iterable[Card]) -> int:
    """Return how many of the processes of these cards still run."""
    return sum(map(process.is_same, cards))


def card_of(pid: int) -> Card:
    """Return what this running process is known by."""
    return process.card(pid)


def kill_all(cards: Iterable[Card], pool: Path) -> None:
    """Kill what is left of these processes of the pool: themselves, their process groups, and whoever hid elsewhere.

    The processes themselves may have ended: their groups are looked for all the same.
    """
    groups = {int(card["pid"]) for card in cards}
    marks = {f"{name}={folder}" for card in cards for name, folder in card.get("owned", {}).items()}
    until = time.monotonic() + _PATIENCE
    while (left := _related(groups, marks, pool)) and time.monotonic() < until:
        for each in left:
            process.signal_same(each, signal.SIGKILL)
        time.sleep(_POLL)


def _related(groups: set[int], marks: set[str], pool: Path) -> list[Card]:
    """Return the cards of the living processes in these process groups, or with one of these variables."""
    if not groups:
        return []
    boot, found = process.boot_id(), []
    wanted = {mark.encode() for mark in marks}
    for name in os.listdir("/proc"):
        if not name.isdecimal() or not (fields := _stat(name)) or fields[0] == b"Z":
            continue
        related = int(fields[2]) in groups or any(each in wanted for each in _variables(int(name)))
        if related and _lives_in(int(name), pool):
            found.append({"pid": int(name), "start": int(fields[19]), "boot": boot})
    return found


def _lives_in(pid: int, pool: Path) -> bool:
    """Return whether the process works in the pool's folder, or was given its home there."""
    inside = os.path.realpath(pool) + os.sep
    try:
        if os.readlink(f"/proc/{pid}/cwd").startswith(inside):
            return True
    except OSError:
        return False
    return any(each.startswith(b"HOME=" + inside.encode()) for each in _variables(pid))


def _variables(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def _stat(pid: str) -> list[bytes]:
    """Return state, parent, process group and so on; nothing if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return []
    return text[text.rindex(b")") + 2 :].split()
