"""From a step to what the wrapper is asked to do: words and variables with the run's real folders in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specforge.core.steps import RunJob
from specforge.core.values import Run
from specforge.executors.local.pool import Pool

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def request_of(step: RunJob, pool: Pool, run: Path, python: str, procedures: str) -> dict[str, Any]:
    """Return the content of `request.json`; `python` and `procedures` stand for the words of that name in `argv`."""
    words = {"@python": python, "@procedures": procedures}
    limits = step.run.limits
    return {
        "format": 1,
        "argv": [put_in(word, run, words) for word in step.run.argv],
        "variables": variables(step.run, pool, run, python),
        "slots": pool.slots,
        "need": pool.need(limits),
        "cpu": pool.cpu,
        "cpu_share": pool.cpu_share(limits),
        "memory": pool.memory_share(limits),
        "timeout": step.timeout,
        "retry": step.retry,
        "log_limit": pool.log_limit,
        "facts": step.facts,
        "outputs": [
            {
                "name": each.name,
                "path": each.path,
                "exclude": list(each.exclude),
                "required": each.required,
                "missing_hint": each.missing_hint,
                "expected": each.expected,
            }
            for each in step.outputs
        ],
    }


def put_in(word: str, run: Path, words: Mapping[str, str]) -> str:
    """Return the word with a placeholder, alone or after its first `=`, replaced by what it stands for."""
    name, equals, value = word.partition("=")
    if equals and value.startswith("@"):
        return f"{name}={_meaning(value, run, words)}"
    return _meaning(word, run, words)


def _meaning(text: str, run: Path, words: Mapping[str, str]) -> str:
    if text in words:
        return words[text]
    name, slash, rest = text.partition("/")
    folder = {"@in": "in", "@out": "out", "@code": "work"}.get(name)
    if folder is None:
        return text
    return f"{run}/{folder}{slash}{rest}"


def variables(run: Run, pool: Pool, folder: Path, python: str) -> dict[str, str]:
    """Return everything the program finds in its environment: nothing comes from whoever runs `spec`.

    The number of threads follows the processors of the run's share; a variable that the run gives wins.
    """
    threads = str(max(1, round(pool.cpu_share(run.limits))))
    given = {
        "PATH": f"{Path(python).parent}:{_SYSTEM_PATH}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **dict.fromkeys(_THREADS, threads),
    }
    return given | {name: str(value) for name, value in run.variables.items()}


def own_python() -> str:
    """Return the interpreter that runs specforge."""
    return sys.executable
