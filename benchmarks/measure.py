"""What all benchmarks share: medians, CPU time of fresh processes, ratios side by side, exponents, the table.

Times of one run are never compared with times of another day: what is a ratio is measured in turns, in one run.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPEATS = 5
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, the figure with its unit, and what was wanted or its peer."""

    what: str
    measured: str
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took: seconds of CPU (its children's too) and of wall time; `output` is what it printed."""

    cpu: float
    wall: float
    output: str = ""


def median_of(measure: Callable[[], float], repeats: int = REPEATS) -> float:
    """Return the median of what `measure` returns, called so often."""
    return median(measure() for _ in range(repeats))


def cpu_of(call: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that one call takes."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def wall_of(call: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turns(
    ours: Callable[[], float], peer: Callable[[], float], repeats: int = REPEATS
) -> tuple[float, float, float]:
    """Return the medians of both, measured in turns, and the median of their ratios."""
    pairs = [(ours(), peer()) for _ in range(repeats)]
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a / b for a, b in pairs)


def process(command: Sequence[str], variables: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Usage:
    """Run a command in a fresh process and return what it took; its errors go to ours. Raises if it fails."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        list(command), cwd=cwd, env={**os.environ, **(variables or {})}, stdout=subprocess.PIPE, text=True
    )
    with child:
        output = child.stdout.read() if child.stdout else ""
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return Usage(used.ru_utime + used.ru_stime, wall, output)


def processes(command: Sequence[str], repeats: int = REPEATS, **more: object) -> Usage:
    """Return the medians of several fresh processes; the output is the last one's."""
    runs = [process(command, **more) for _ in range(repeats)]  # type: ignore[arg-type]
    return Usage(median(run.cpu for run in runs), median(run.wall for run in runs), runs[-1].output)


def own_peak() -> float:
    """Return the peak resident memory of this process in MB.

    A process has to say it of itself: what the kernel says of a child may be the memory of the one that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return k of the best fit of `seconds = c × size^k`: 1 is linear."""
    xs, ys = [math.log(each) for each in sizes], [math.log(each) for each in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table that is aligned as text, too."""
    cells = [("what", "measured", "wanted"), *((row.what, row.measured, row.wanted) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = ["| " + " | ".join(cell.ljust(widths[i]) for i, cell in enumerate(line)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
