"""`spec doctor`: check what specforge needs, and say what to do about what is missing. Changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from specforge.cli.boundary import FAILED, OK
from specforge.cli.output import Output
from specforge.cli.session import Session, cache_folder
from specforge.core.address import Address
from specforge.core.diagnostics import Severity
from specforge.core.errors import SpecforgeError
from specforge.core.making import dataclass
from specforge.core.steps import Step
from specforge.core.values import Place
from specforge.render import text

DEADLINE = 10.0
"""Seconds that a place has to answer."""
LITTLE = 1_000_000_000
"""Bytes of free disk below which it is said."""
_STATUS = {Severity.ERROR: "problem", Severity.WARNING: "warning"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, `ok` | `warning` | `problem`, what was seen, what to do."""

    check: str
    status: str
    seen: str
    hint: str = ""


def doctor(session: Session, output: Output) -> int:
    """Run every check and print a table; 1 if there is a problem."""
    findings = [*_tools(), *_guarded("project", lambda: _project(session))]
    if "project" in session.__dict__:
        findings += _guarded("state", lambda: _state(session))
        findings += _guarded("software", lambda: _software(session))
        findings += _guarded("places", lambda: _places(session))
    failed = any(each.status == "problem" for each in findings)
    if output.as_json:
        fields = ("check", "status", "seen", "hint")
        output.data({"ok": not failed, "checks": [{key: getattr(each, key) for key in fields} for each in findings]})
    else:
        output.text(_table(findings, output))
    return FAILED if failed else OK


def _guarded(check: str, run: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run a group of checks; an error of ours that is expected becomes a finding."""
    found: list[Finding] = []
    try:
        found.extend(run())
    except SpecforgeError as error:
        found += [
            Finding(check, "problem", f"{each.code}: {each.detail}", each.hint or "") for each in error.diagnostics
        ]
    except OSError as error:
        found.append(Finding(check, "problem", f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")))
    return found


def _tools() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding(
        "Python", "ok" if sys.version_info >= (3, 11) else "problem", version, "Python 3.11 or newer is needed"
    )
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        yield Finding("uv", "problem", "not found", "it comes with specforge: install specforge again")
    else:
        yield Finding("uv", "ok", _version_of([uv, "--version"]))
    git = shutil.which("git")
    missing = "not found", "specforge works without; the specs and specforge.lock belong into git"
    yield Finding("git", "ok", _version_of([git, "--version"])) if git else Finding("git", "warning", *missing)
    cache = cache_folder()
    yield _folder("cache", cache)


def _version_of(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer ({error})"
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "says nothing"


def _folder(check: str, folder: Path) -> Finding:
    """Look at a folder, or at the nearest one above it: writable, and with room left."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding(check, "problem", f"{folder} cannot be written", "check its owner and its rights")
    free = shutil.disk_usage(there).free
    seen = f"{folder}, {text.size(free)} free"
    return Finding(check, "ok", seen) if free > LITTLE else Finding(check, "warning", seen, "make room on that disk")


def _project(session: Session) -> Iterator[Finding]:
    project = session.project
    many = text.count(len(project.resources), "resource")
    yield Finding("project", "ok", f"{project.name}, environment {project.environment}, {many}")
    for each in session.locate(project.warnings):
        yield Finding("project", "warning", each.detail, each.hint or "")


def _state(session: Session) -> Iterator[Finding]:
    state = session.backend.read()
    recorded = text.count(len(state.resources), "resource")
    yield Finding("state", "ok", f"{session.backend.location}, serial {state.ref.serial}, {recorded} recorded")
    interrupted = sorted(str(address) for address, each in state.resources.items() if each.intent is not None)
    if interrupted:
        yield Finding("state", "warning", f"interrupted: {', '.join(interrupted)}", "`spec apply` goes on with them")
    holder = session.backend.lock_info()
    if holder is None:
        yield Finding("lock", "ok", "free")
    else:
        since = text.moment(holder.since)
        seen = f"held by {holder.who} since {since} (pid {holder.pid} on {holder.host})"
        yield Finding("lock", "warning", seen, "wait until that apply ends")


def _software(session: Session) -> Iterator[Finding]:
    from specforge.cli.commands.locking import used_engines
    from specforge.executors.toolchains import is_ready, missing_python

    locks = session.project.locks
    for engine in used_engines(session, {}):
        entry = locks.get(engine)
        if entry is None:
            yield Finding(engine, "problem", "not in specforge.lock", "run `spec lock`")
        else:
            packages = text.count(len(entry["packages"]), "package")
            ready = is_ready(cache_folder(), entry)
            state = "ready in the cache" if ready else "made when a job first needs it"
            missing = None if ready else missing_python(str(entry["python"]))
            if missing is not None:
                yield Finding(engine, "problem", missing.detail, missing.hint or "")
            else:
                yield Finding(engine, "ok", f"locked: Python {entry['python']}, {packages}; {state}")


def _places(session: Session) -> Iterator[Finding]:
    from specforge.core.queries import LookAtPlace, Presence
    from specforge.engine.observe import observe

    places = declared_places(session)
    answers = observe([LookAtPlace(each) for each, _ in places.values()], session.executors, DEADLINE)
    for address, (place, steps) in places.items():
        seen = answers[LookAtPlace(place)]
        facts = ", ".join(_fact(key, item) for key, item in seen.facts.items() if isinstance(item, str | int | float))
        if seen.presence is Presence.UNREACHABLE:
            hint = "nothing is created or destroyed there until it answers"
            yield Finding(str(address), "problem", f"{place}: {seen.problem}", hint)
            continue
        there = "not made yet" if seen.presence is Presence.ABSENT else facts or "there"
        found = session.executors.of(place).preflight(place, steps, DEADLINE)
        yield from (Finding(str(address), _STATUS[each.severity], each.detail, each.hint or "") for each in found)
        if not found:
            yield Finding(str(address), "ok", f"{place}: {there}")


def declared_places(session: Session) -> dict[Address, tuple[Place, tuple[Step, ...]]]:
    """Return the place that each declared Store and Pool describes, and the steps that would make it."""
    from specforge.schemas.kind import Lifecycle, Subject

    found: dict[Address, tuple[Place, tuple[Step, ...]]] = {}
    for address, declared in sorted(session.project.resources.items()):
        if declared.kind.lifecycle is not Lifecycle.PLACE:
            continue
        desire = declared.kind.desire(
            Subject(address, declared.spec, session.project.name, locks=session.project.locks)
        )
        if desire.place is not None:
            found[address] = (desire.place, tuple(step for part in desire.parts for step in part.steps))
    return found


def _fact(key: str, item: object) -> str:
    if isinstance(item, int | float) and not isinstance(item, bool) and key in ("free", "memory", "bytes"):
        return f"{key} {text.size(item)}"
    return f"{key} {text.value(item)}"


def _table(findings: list[Finding], output: Output) -> str:
    paint = text.Paint(output.color)
    colors = {"ok": "green", "warning": "yellow", "problem": "red"}
    first = max(text.columns(each.check) for each in findings)
    lines = []
    for each in findings:
        head = f"{text.pad(each.check, first)}  {paint(text.pad(each.status, 7), colors[each.status])}"
        seen, *more = text.wrap(each.seen, max(output.width - first - 11, 30), "", "  ")
        lines.append(f"{head}  {seen}".rstrip())
        lines += [" " * (first + 11) + line for line in more]
        if each.hint and each.status != "ok":
            lines += text.wrap(f"hint: {each.hint}", output.width, " " * (first + 11))
    problems = sum(each.status == "problem" for each in findings)
    lines.append("")
    lines.append(text.count(problems, "problem") + "." if problems else "All is well.")
    return "\n".join(lines)
