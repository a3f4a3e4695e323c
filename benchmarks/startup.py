"""What a command costs before it does anything: `spec --help`, and a plan of the quickstart without changes.

Bytecode is written first: an environment that forbids it (PYTHONDONTWRITEBYTECODE) would measure the compiler.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT, Row, in_turns, process

ONE_COMMAND = """\
import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def hello(name: str = "world") -> None:
    \"\"\"Greet somebody.\"\"\"
    print(name)


if __name__ == "__main__":
    app()
"""
LOADED = """\
import sys
from specforge.cli.app import main

sys.argv[1:] = ["plan"]
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
HEAVY = ("boto3", "docker", "sklearn", "numpy", "torch", "tensorflow", "rich")
REPEATS = 11


def main() -> list[Row]:
    """Measure, and return the rows of the table."""
    compileall.compile_dir(str(ROOT / "specforge"), quiet=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = folder / "one.py"
        peer.write_text(ONE_COMMAND, encoding="utf-8")
        python = sys.executable
        rows = [_help(python, peer)]
        rows += _plan(python)
    return rows


def _help(python: str, peer: Path) -> Row:
    ours, theirs, ratio = in_turns(
        lambda: process([python, "-m", "specforge", "--help"]).cpu,
        lambda: process([python, str(peer), "--help"]).cpu,
        REPEATS,
    )
    shown = f"{1000 * ours:.0f} ms, {ratio:.2f}× a one-command typer application ({1000 * theirs:.0f} ms)"
    return Row("`spec --help`, CPU", shown, "at most 1.3×")


def _plan(python: str) -> list[Row]:
    """Plan the quickstart where it was applied: its service runs there."""
    project = ROOT / "specs" / "quickstart"
    command = [python, "-m", "specforge", "plan", "--detailed-exitcode"]
    applied = (project / ".specforge" / "state.db").exists()
    if not applied or subprocess.run(command, cwd=project, capture_output=True, check=False).returncode != 0:
        return [Row("no-change plan of the quickstart", "not measured: run `make quickstart` first", "at most 30×")]
    ours, bare, ratio = in_turns(
        lambda: process(command, cwd=project).cpu, lambda: process([python, "-c", "pass"]).cpu, REPEATS
    )
    shown = f"{1000 * ours:.0f} ms, {ratio:.1f}× `python -c pass` ({1000 * bare:.0f} ms)"
    loaded = process([python, "-c", LOADED], cwd=project).output.split()
    heavy = ", ".join(sorted(set(HEAVY) & set(loaded))) or "none"
    return [
        Row("no-change plan of the quickstart, CPU", shown, "at most 30×"),
        Row(f"imported by it, of {', '.join(HEAVY)}", heavy, "none"),
    ]


if __name__ == "__main__":
    for row in main():
        print(row)
