"""`python -m benchmarks [NAME …] [--write]`: measure, print one table; `--write` puts it into docs/benchmarks.md.

Every module of this folder with a function `main() -> list[Row]` is a benchmark; NAME chooses some of them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks.measure import ROOT, Row, table

PAGE = ROOT / "docs" / "benchmarks.md"
HEADING = """# Benchmarks

Figures are medians of at least five; a ratio is of figures taken in turns in one run. Written by
`{command}` on {date} ({machine}).
"""


def found() -> dict[str, ModuleType]:
    """Return the benchmarks by name."""
    names = sorted(each.stem for each in Path(__file__).parent.glob("*.py") if not each.stem.startswith("_"))
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "main")}


def page(rows: dict[str, list[Row]], titles: dict[str, str], command: str) -> str:
    """Return the page with one table per benchmark."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    text = HEADING.format(command=command, date=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine)
    for name, own in rows.items():
        text += f"\n## {name}\n\n{titles[name]}\n\n{table(own)}\n"
    return text


def main() -> int:
    """Measure what the command line names."""
    benchmarks = found()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speeds.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(benchmarks)}; default: all")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/benchmarks.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in benchmarks]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}")
    if options.write and options.names:
        parser.error("--write writes the whole page: leave the names out")
    rows: dict[str, list[Row]] = {}
    for name in options.names or benchmarks:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows[name] = benchmarks[name].main()
    print(table([row for own in rows.values() for row in own]))
    if options.write:
        titles = {name: (benchmarks[name].__doc__ or "").strip().split("\n\n")[0] for name in rows}
        PAGE.write_text(page(rows, titles, "python -m benchmarks --write"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
