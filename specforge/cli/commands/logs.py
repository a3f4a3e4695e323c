"""`spec logs`: what a resource's latest job printed, from its place, or from the store where it was published.

Of a service: what its replicas print, those that run and those that the latest apply began.
"""

from __future__ import annotations

import json
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from specforge.cli.boundary import OK
from specforge.cli.output import Output
from specforge.cli.session import Session
from specforge.core import codec
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError, ExecutionError, StateError
from specforge.core.state import Resource
from specforge.core.values import Place, Tree
from specforge.executors.base import LogLine
from specforge.render.text import plain

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def logs(session: Session, output: Output, address_text: str, since: str | None, *, follow: bool) -> int:
    """Print the lines of the jobs that the latest operation on this resource started."""
    moment = None if since is None else parse_since(since, time.time())
    address = session.address(address_text)
    resource = session.state().resources.get(address)
    jobs = _jobs(session, address, resource)
    printed = False
    shown = ""
    for step, line in _lines(session, jobs, moment, follow=follow):
        if len(jobs) > 1 and not output.as_json and step != shown:
            output.note(f"--- {step}")
            shown = step
        _print(output, step, line)
        printed = True
    if printed or (jobs and moment is not None):
        return OK
    for line in _published(session, resource):
        _print(output, "", line)
        printed = True
    if not printed and not jobs:
        detail = f"no job of `{address}` is recorded, and its current version has no log"
        raise StateError(Diagnostic("SF352", "No log", detail, hint="apply first; definitions and places have no log"))
    return OK


def _jobs(session: Session, address: Address, resource: Resource | None) -> list[tuple[str, Place, str]]:
    """Return (step, place, run key id) of the jobs that the newest operation with any job began, each once.

    Replicas are jobs too: their key is their group's name. Those that run come first.
    """
    groups = () if resource is None else resource.groups
    running = {each.name: (each.serves, each.place, each.name) for each in groups}
    found: dict[str, dict[str, tuple[str, Place, str]]] = {}
    newest = ""
    for entry in session.backend.history(address):
        if entry.event != "job":
            continue
        place = codec.decode(json.loads(json.dumps(entry.detail["place"])))
        key = str(entry.detail["key"])
        newest = entry.operation
        found.setdefault(newest, {})[key] = (str(entry.detail.get("step", "")), place, key)
    jobs = list((running | found.get(newest, {})).values())
    alike = len({step for step, _, _ in jobs}) < len(jobs)
    return [(f"{step} ({key})" if alike else step, place, key) for step, place, key in jobs]


def _lines(
    session: Session, jobs: list[tuple[str, Place, str]], moment: float | None, *, follow: bool
) -> Iterator[tuple[str, LogLine]]:
    """Give the lines of these jobs, one after the other; of several that are followed, as they come.

    A job whose log is gone is passed over, unless something was given before.
    """
    if follow and len(jobs) > 1:
        yield from _together(session, jobs, moment)
        return
    given = False
    for step, place, key in jobs:
        try:
            for line in session.executors.of(place).logs(place, key, moment, follow):
                given = True
                yield step, line
        except ExecutionError:
            if given:
                raise


def _together(
    session: Session, jobs: list[tuple[str, Place, str]], moment: float | None
) -> Iterator[tuple[str, LogLine]]:
    """Follow several jobs at once, until all of them have ended."""
    lines: queue.SimpleQueue[tuple[str, LogLine] | None] = queue.SimpleQueue()

    def read(step: str, place: Place, key: str) -> None:
        try:
            for line in session.executors.of(place).logs(place, key, moment, True):
                lines.put((step, line))
        except ExecutionError as error:
            lines.put((step, LogLine(None, f"[the log cannot be read: {error}]")))
        finally:
            lines.put(None)

    for job in jobs:
        # A reader waits for lines that may never come: it must not keep the command from ending.
        threading.Thread(target=read, args=job, daemon=True).start()
    left = len(jobs)
    while left:
        found = lines.get()
        if found is None:
            left -= 1
        else:
            yield found


def _published(session: Session, resource: Resource | None) -> Iterator[LogLine]:
    """Give the log that was published with the current version, if there is one."""
    version = None if resource is None else resource.current_version
    digest = None if version is None else version.trees.get("log")
    if resource is None or resource.place is None or digest is None:
        return
    reader = session.executors.reader(resource.place)
    tree = Tree(resource.place, None, digest)
    for entry in reader.entries(tree):
        with reader.open(tree, entry) as stream:
            for line in stream:
                yield LogLine(None, line.decode("utf-8", "replace").rstrip("\r\n"))


def _print(output: Output, step: str, line: LogLine) -> None:
    if output.as_json:
        body: dict[str, Any] = {"at": line.at, "step": step, "text": line.text}
        output.text(json.dumps(body, ensure_ascii=False))
    elif sys.stdout.isatty():
        output.text(plain(line.text))
    else:
        output.text(line.text)


def parse_since(words: str, now: float) -> float:
    """Return unix seconds from `90s`, `5m`, `2h`, `1d` ago, or from an ISO time; raises ConfigError."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", words.strip())
    if matched:
        return now - float(matched[1]) * _UNITS[matched[2]]
    from datetime import datetime

    try:
        return datetime.fromisoformat(words.strip()).timestamp()
    except ValueError:
        detail = f"`{words}` is neither a length of time nor a point in time"
        hint = "write `5m`, `2h`, `1d`, or `2026-11-20T12:00`"
        raise ConfigError(Diagnostic("SF153", "Not a time", detail, hint=hint)) from None
