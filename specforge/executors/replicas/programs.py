"""Programs that supervisor keeps up in a pool, each by its name: a replica is one, a gateway is one.

`POOL/supervisor/programs/` has three files of each: `.conf` for supervisor, `.json` what to become, `.card` who runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from specforge.core.making import dataclass
from specforge.executors.base import CancelToken
from specforge.executors.files import write_whole
from specforge.executors.local.pool import Pool
from specforge.executors.replicas import processes
from specforge.executors.replicas.processes import Card
from specforge.executors.replicas.supervisord import PATIENCE, NoAnswer, Refused, Supervisor

ProgramState = Literal["running", "starting", "stopped", "failed"]

_POLL = 0.01
_BACKUPS = 3
_SETTLED_SECONDS = 5
_HALFWAY_SECONDS = 10.0
_STRAY_SECONDS = 2.0
_FAILING_STARTS = 3
_FAILING_SECONDS = 600.0
_LONGEST_STOP = 24 * 3600
_TAIL_BYTES = 1 << 14
# States and faults of supervisor.
_RUNNING, _BACKOFF, _STOPPING, _STOPPED, _FATAL = (10, 20), 30, 40, 0, 200
_BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING, _STILL_RUNNING = 10, 60, 70, 91
_CONF = """\
[program:{id}]
command=/proc/self/cwd/python -I -S launch.py {id}
autostart=true
autorestart=true
startsecs={settled}
startretries=1000000
stopsignal=TERM
stopwaitsecs={longest_stop}
killasgroup=true
redirect_stderr=true
stdout_logfile=/proc/self/cwd/{log}
stdout_logfile_maxbytes={log_bytes}
stdout_logfile_backups={backups}
"""


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be kept up: `argv`, started in `folder`, with these variables and no others; it writes to `log`.

    `folder` and `log` lie in the pool's folder. `owned`: {variable: folder below `folder`}, made, and given by its
    full name as of each start (`HOME`, `TMPDIR`). `stale`: names in `folder` that are removed before each start.
    `cores`: processors it may use; none given: all. `log_limit`: bytes that are kept of its log.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]
    log: Path
    log_limit: int
    owned: Mapping[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A program as supervisor keeps it up; times in unix seconds.

    "running": its process lives. "starting": it ended and is about to be started again. "failed": it ends again and
    again. "stopped": somebody asked it to end. `exits`: how often it ended; `ended`: when it did last, if ever.
    """

    state: ProgramState
    pid: int | None
    started: float | None
    ended: float | None
    exits: int
    starts: tuple[float, ...] = ()
    stopping: bool = False

    @property
    def restless(self) -> bool:
        """Whether it was started again and again of late."""
        return len([each for each in self.starts if each > time.time() - _FAILING_SECONDS]) >= _FAILING_STARTS


def program_id(name: str) -> str:
    """Return what supervisor and its files call the program: short, plain and unique."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")[:60]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


# ---- one program ----


def ensure_program(
    pool: Pool,
    name: str,
    argv: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    *,
    owned: Mapping[str, str] | None = None,
    stale: Sequence[str] = (),
    cancel: CancelToken | None = None,
) -> None:
    """Have this program kept up; one that is, is left alone, also if it was asked for with other words.

    Processes of its name that nobody keeps up any more are ended first. Raises NoAnswer, Refused, OSError.
    """
    program = Program(name, tuple(argv), folder, env, log, pool.log_limit, owned or {}, tuple(stale))
    ensure_programs(pool, [program], cancel)


def stop_program(pool: Pool, name: str, grace: float) -> None:
    """End the program: politely, after `grace` seconds by force with all it started. Silent if there is none."""
    stop_programs(pool, [name], grace)


def look_at_program(pool: Pool, name: str) -> Kept | None:
    """Return how the program fares; None: nobody keeps it up. Raises NoAnswer if that cannot be told."""
    return (look_at_programs(pool) or {}).get(program_id(name))


def is_as_asked(pool: Pool, program: Program) -> bool:
    """Return whether the program was last asked for with just these words and variables."""
    try:
        recorded = json.loads(_file(pool, program.name, "json").read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return bool(recorded == json.loads(json.dumps(_content(pool, program))))


def log_tail(log: Path, lines: int = 10) -> str:
    """Return the last lines of a program's log; empty: there are none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def last_ending(pool: Pool, name: str) -> str:
    """Return how the program ended last, in supervisor's words; empty: it did not, or that is long ago."""
    text = log_tail(Supervisor(pool.folder).folder / "supervisord.log", 1000)
    found = re.findall(rf"(?:exited|stopped): {re.escape(program_id(name))} \((.*?)(?:; (?:not )?expected)?\)", text)
    return str(found[-1]) if found else ""


# ---- many ----


def look_at_programs(pool: Pool, patience: float = PATIENCE) -> dict[str, Kept] | None:
    """Return how all programs of the pool fare, by their ids; None: no supervisor runs. Raises NoAnswer."""
    supervisor = Supervisor(pool.folder)
    if not supervisor.is_alive():
        return None
    try:
        answer = supervisor.call("getAllProcessInfo", patience=patience)
    except NoAnswer:
        if not supervisor.is_alive():
            return None
        raise
    return {each["name"]: _kept(each, _card(supervisor, each["name"])) for each in answer}


def left_over(pool: Pool, name: str) -> Card | None:
    """Return the card of the program's process if it lives in this pool, whoever keeps it up."""
    card = _card(Supervisor(pool.folder), program_id(name))
    return card if card is not None and processes.runs_here(card, pool.folder) else None


def ensure_programs(pool: Pool, programs: Iterable[Program], cancel: CancelToken | None = None) -> None:
    """Have all these programs kept up; see `ensure_program`."""
    wanted = {program_id(each.name): each for each in programs}
    supervisor = Supervisor(pool.folder)
    kept = look_at_programs(pool) or {}
    halfway = [each.name for key, each in wanted.items() if key in kept and kept[key].stopping]
    if halfway:
        stop_programs(pool, halfway, _HALFWAY_SECONDS, cancel)
    strays = [card for key, each in wanted.items() if key not in kept and (card := left_over(pool, each.name))]
    processes.end_all(strays, pool.folder, _STRAY_SECONDS)
    with supervisor.changing(cancel):
        supervisor.ensure()
        kept = look_at_programs(pool) or {}
        new = {key: each for key, each in wanted.items() if key not in kept}
        for key, each in new.items():
            _write(pool, key, each)
        if new:
            _make_log_folders(pool)
            supervisor.call("reloadConfig")
        for key in new:
            supervisor.call("addProcessGroup", key)
        for key in wanted.keys() - new.keys():
            if kept[key].state in ("stopped", "failed") and kept[key].pid is None:
                _silently(supervisor, "startProcess", (_ALREADY_STARTED,), key, False)


def stop_programs(
    pool: Pool,
    names: Collection[str],
    grace: float,
    cancel: CancelToken | None = None,
    waiting: Callable[[int], None] = lambda _: None,
) -> None:
    """End these programs; see `stop_program`. Supervisor itself ends when none is left.

    `waiting` is told whenever the number of those that still run changes. Raises NoAnswer if asked to stop meanwhile:
    they end by themselves, and are to be ended once more.
    """
    supervisor = Supervisor(pool.folder)
    kept = look_at_programs(pool) or {}
    keys = {program_id(each): each for each in names}
    cards = [card for key in keys if (card := _card_of(supervisor, key, kept.get(key))) is not None]
    ours = [card for card in cards if processes.runs_here(card, pool.folder)]
    for key in keys:
        if key in kept:
            _silently(supervisor, "stopProcess", (_NOT_RUNNING, _BAD_NAME), key, False)
    unkept = [card for card in ours if card["pid"] not in {each.pid for each in kept.values()}]
    processes.ask_to_end(unkept)
    if not _wait_for(ours, grace, cancel, waiting):
        raise NoAnswer("it was not waited for the end of all of them")
    processes.kill_all(cards, pool.folder)
    with supervisor.changing():
        _forget(supervisor, keys)


def _wait_for(cards: Sequence[Card], grace: float, cancel: CancelToken | None, waiting: Callable[[int], None]) -> bool:
    """Wait until they have ended or the time is over; return False if asked to stop before."""
    until, before = time.monotonic() + grace, 0
    while (left := processes.count(cards)) and time.monotonic() < until:
        if left != before:
            waiting(left)
            before = left
        if cancel is not None and cancel.cancelled:
            return False
        time.sleep(_POLL)
    return True


def _forget(supervisor: Supervisor, keys: Iterable[str]) -> None:
    """Have supervisor keep up none of these any more, and remove their files."""
    alive = supervisor.is_alive()
    for key in keys:
        if alive:
            _remove(supervisor, key)
        for ending in ("conf", "json", "card"):
            (supervisor.programs / f"{key}.{ending}").unlink(missing_ok=True)
    if not alive or not supervisor.call("getAllProcessInfo"):
        supervisor.end()


def _remove(supervisor: Supervisor, key: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            supervisor.call("removeProcessGroup", key)
            return
        except Refused as refused:
            if refused.code == _BAD_NAME:
                return
            if refused.code != _STILL_RUNNING or time.monotonic() > until:
                raise
        # It was started again between the two calls, or its end has not been noticed yet.
        _silently(supervisor, "stopProcess", (_NOT_RUNNING, _BAD_NAME), key, False)
        time.sleep(_POLL)


def _silently(supervisor: Supervisor, method: str, codes: Collection[int], *arguments: str | bool) -> None:
    try:
        supervisor.call(method, *arguments)
    except Refused as refused:
        if refused.code not in codes:
            raise


def _kept(info: Mapping[str, Any], card: Card | None) -> Kept:
    state, pid = info["state"], info["pid"] or None
    starts = tuple(card["starts"]) if card else ()
    current = card is not None and card["pid"] == pid
    started = starts[-1] if current else (float(info["start"]) if pid else None)
    exits = max(0, int(card["count"] if card else 0) - (1 if current else 0))
    ended = float(info["stop"]) or None
    kept = Kept("running", pid, started, ended, exits, starts, stopping=state == _STOPPING)
    if state in _RUNNING and pid:
        return kept
    named: ProgramState = "stopped" if state in (_STOPPED, _STOPPING) else "starting"
    if state == _FATAL or (named == "starting" and kept.restless):
        named = "failed"
    return Kept(named, pid, started, ended, exits, starts, stopping=state == _STOPPING)


# ---- files ----


def _file(pool: Pool, name: str, ending: str) -> Path:
    return Supervisor(pool.folder).programs / f"{program_id(name)}.{ending}"


def _card(supervisor: Supervisor, key: str) -> Card | None:
    try:
        card: Card = json.loads((supervisor.programs / f"{key}.card").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return card


def _card_of(supervisor: Supervisor, key: str, kept: Kept | None) -> Card | None:
    """Return the card of the program's process, which may have none: it was just started, or its file was removed."""
    card = _card(supervisor, key)
    if kept is not None and kept.pid is not None and (card is None or card["pid"] != kept.pid):
        return processes.card_of(kept.pid)
    return card


def _content(pool: Pool, program: Program) -> dict[str, Any]:
    return {
        "name": program.name,
        "argv": list(program.argv),
        "folder": _from_supervisor(pool, program.folder),
        "variables": dict(program.variables),
        "owned": dict(program.owned),
        "stale": list(program.stale),
        "cores": list(program.cores),
        "log": _from_supervisor(pool, program.log),
    }


def _from_supervisor(pool: Pool, path: Path) -> str:
    """Return the path as it is seen from supervisor's folder; raises ValueError for one outside of the pool."""
    return os.path.join("..", path.relative_to(pool.folder))


def _write(pool: Pool, key: str, program: Program) -> None:
    content = _content(pool, program)
    for ending in ("card", "conf"):
        _file(pool, program.name, ending).unlink(missing_ok=True)
    program.folder.mkdir(parents=True, exist_ok=True)
    file = _file(pool, program.name, "json")
    write_whole(file, json.dumps(content).encode())
    file.chmod(0o600)  # its folder is the user's alone, too: variables may hold secrets
    words = {"id": key, "log": content["log"].replace("%", "%%"), "settled": _SETTLED_SECONDS, "backups": _BACKUPS}
    numbers = {"log_bytes": max(program.log_limit // (_BACKUPS + 1), 1), "longest_stop": _LONGEST_STOP}
    write_whole(_file(pool, program.name, "conf"), _CONF.format(**words, **numbers).encode())


def _make_log_folders(pool: Pool) -> None:
    """Supervisor reads the files of all programs, and refuses them all if one folder for logs was removed."""
    folder = Supervisor(pool.folder).folder
    for each in (folder / "programs").glob("*.conf"):
        log = re.search(r"^stdout_logfile=/proc/self/cwd/(.*)$", each.read_text(), re.MULTILINE)
        if log is not None:
            (folder / log[1].replace("%%", "%")).parent.mkdir(parents=True, exist_ok=True)
