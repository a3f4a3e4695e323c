"""Becomes a program that supervisor keeps up; copied beside supervisor's files and started there as `launch.py NAME`.

It runs at every start, also at one that nobody asked for, so that folders are found where the pool lies now, and the
card (`programs/NAME.card`) says by pid, start time and boot who runs. Standard library only, and little of it: every
replica waits for this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

KEPT_STARTS = 20


def main(name: str) -> NoReturn:
    """Write the card of this start and become the program; exit code 127: it cannot be started."""
    with open(f"programs/{name}.json", encoding="utf-8") as file:
        program: dict[str, Any] = json.load(file)
    supervisor = os.getcwd()
    os.umask(0o022)
    try:
        os.chdir(program["folder"])
        here = os.getcwd()
        owned = {each: os.path.join(here, inside) for each, inside in program["owned"].items()}
        os.chdir(supervisor)
        write_card(f"programs/{name}.card", owned)
        os.chdir(here)
        become(program, owned)
    except OSError as error:
        what = error.filename if isinstance(error.filename, str) else program["argv"][0]
        print(f"[specforge] `{what}` cannot be started: {error.strerror}", file=sys.stderr, flush=True)
    sys.exit(127)


def write_card(path: str, owned: dict[str, str]) -> None:
    """Say who runs from now on, and when the starts before were."""
    try:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
    except (FileNotFoundError, ValueError):
        before = {"starts": [], "count": 0}
    with open("/proc/self/stat", "rb") as stat:
        text = stat.read()
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    now = time.time()
    card = {
        "pid": os.getpid(),
        "start": int(text[text.rindex(b")") + 2 :].split()[19]),
        "boot": boot,
        "starts": [*before["starts"], now][-KEPT_STARTS:],
        "count": before["count"] + 1,
        "owned": owned,
    }
    made = f"{path}.{os.getpid()}"
    with open(made, "w", encoding="utf-8") as file:
        json.dump(card, file)
    os.replace(made, path)


def become(program: dict[str, Any], owned: dict[str, str]) -> None:
    """Take on everything that the program shall have, and be it."""
    for folder in owned.values():
        os.makedirs(folder, mode=0o700, exist_ok=True)
    for name in program["stale"]:
        if os.path.lexists(name):
            os.unlink(name)
    if program["cores"]:
        os.sched_setaffinity(0, program["cores"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    prefer_to_kill()
    let_others_finish()
    os.execvpe(program["argv"][0], program["argv"], program["variables"] | owned)  # noqa: S606 - a shell misreads it


def prefer_to_kill() -> None:
    """When memory is short, the kernel shall take the program, not what keeps it up."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        return


def let_others_finish() -> None:
    """When it is woken, it waits until who runs has done.

    A gateway and a replica on one core would else hand each request over by itself, and nothing is left to answer at
    once: half as many requests.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        return  # a container may not allow it


if __name__ == "__main__":
    main(sys.argv[1])
