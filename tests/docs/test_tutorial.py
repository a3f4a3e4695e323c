"""The tutorial is run: every command of docs/tutorial.md in order, and what it shows is compared with the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from docs_pages import ROOT, Document

PAGE = "docs/tutorial.md"
NO_INDEX = ("error[SF464]", "Failed to fetch", "error sending request")
pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


@dataclass
class Step:
    """A command of the page and the lines that it shows; or a file that the reader saves."""

    command: str
    shown: list[str] = field(default_factory=list)


def steps_of(page: Document, saved: Path) -> list[Step]:
    """Return the steps in order; files are written into `saved`, from where a step copies them."""
    steps: list[Step] = []
    for block in page.blocks:
        if "file" in block.settings:
            source = saved / block.settings["file"]
            source.write_text(block.text, encoding="utf-8")
            steps.append(Step(f"cp {source} {block.settings['file']}"))
        elif block.language == "console":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    steps.append(Step(line[2:]))
                elif line.strip():
                    steps[-1].shown.append(line)
    return steps


def script_of(steps: list[Step], notes: Path) -> str:
    """Return one shell script, so that `cd` and variables last; each command's output and exit code go into files."""
    lines = ["set -u"]
    for number, step in enumerate(steps):
        lines.append(f"{{ {step.command}\n}} >{notes}/{number}.out 2>{notes}/{number}.err")
        lines.append(f"echo $? >{notes}/{number}.code")
    return "\n".join(lines) + "\n"


def calm(line: str) -> str:
    """Return the line without what differs from run to run: times, digits of figures, the width of columns."""
    line = re.sub(r"accuracy \d+(\.\d+)?", "accuracy N", line)
    line = re.sub(r"\b\d+(\.\d+)? (s|min|h)\b( \d+ (s|min)\b)?", "TIME", line)
    return " ".join(line.split())


def missing(shown: list[str], outputs: list[str]) -> str | None:
    """Return the first line of the page that is in none of the outputs, in the page's order; None if all are."""
    streams = [[calm(line) for line in each.splitlines()] for each in outputs]
    at = [0] * len(streams)
    for line in shown:
        wanted = calm(line)
        for number, stream in enumerate(streams):
            found = next((i for i in range(at[number], len(stream)) if wanted in stream[i]), None)
            if found is not None:
                at[number] = found + 1
                break
        else:
            return line
    return None


def test_the_tutorial_is_true(tmp_path):
    """Whoever types the commands of the tutorial sees what it says, from an empty folder to the end."""
    notes, saved, work = tmp_path / "notes", tmp_path / "saved", tmp_path / "work"
    for each in (notes, saved, work):
        each.mkdir()
    steps = steps_of(Document(PAGE, (ROOT / PAGE).read_text(encoding="utf-8")), saved)
    assert len(steps) > 30
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": folders, "COLUMNS": "100", "NO_COLOR": "1"}
    subprocess.run(["bash", "-c", script_of(steps, notes)], cwd=work, env=environment, check=True, timeout=880)
    for number, step in enumerate(steps):
        outputs = [(notes / f"{number}.{kind}").read_text(encoding="utf-8") for kind in ("out", "err")]
        whole = f"$ {step.command}\n" + "".join(outputs)
        if any(word in whole for word in NO_INDEX):
            pytest.skip(f"no package index can be reached: {whole}")
        assert (notes / f"{number}.code").read_text().strip() == "0", whole
        assert missing(step.shown, outputs) is None, f"the page shows {missing(step.shown, outputs)!r}\n{whole}"
