"""The tutorial and the README's tour are run: every command in order, and what it shows is compared with the page."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from docs_pages import ROOT, Document

ENDING = """\
dataset.digits V001
training.digits V0001
accuracy 0.99
model.digits 0.0.1
service.digits http://127.0.0.1:8080
data/held-out/7/1710.png  7
"""
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
                elif line.strip() and "unchecked" not in block.words:
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


def run_and_compare(name: str, work: Path, tmp_path: Path, least: int, port: int = 8080) -> None:
    """Run the page's commands in `work` and compare; at least so many steps are expected. `port`: instead of 8080."""
    notes, saved = tmp_path / "notes", tmp_path / "saved"
    for each in (notes, saved):
        each.mkdir()
    text = (ROOT / name).read_text(encoding="utf-8").replace(":8080", f":{port}")
    steps = steps_of(Document(name, text), saved)
    assert len(steps) >= least
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": folders, "COLUMNS": "100", "NO_COLOR": "1"}
    subprocess.run(["bash", "-c", script_of(steps, notes)], cwd=work, env=environment, check=True, timeout=880)
    for number, step in enumerate(steps):
        outputs = [(notes / f"{number}.{kind}").read_text(encoding="utf-8") for kind in ("out", "err")]
        whole = f"$ {step.command}\n" + "".join(outputs)
        if any(word in whole for word in NO_INDEX):
            pytest.skip(f"no package index can be reached: {whole}")
        absent = missing(step.shown, outputs)
        assert absent is None, f"{name} shows {absent!r}\n{whole}"
        assert (notes / f"{number}.code").read_text().strip() == "0", whole


def test_the_tutorial_is_true(tmp_path):
    """Whoever types the commands of the tutorial sees what it says, from an empty folder to the end."""
    work = tmp_path / "work"
    work.mkdir()
    run_and_compare("docs/tutorial.md", work, tmp_path, 30)


def test_the_tour_of_the_readme_is_true(tmp_path):
    """Whoever follows the README's tour after the quickstart sees what it says."""
    project = tmp_path / "work" / "specs" / "quickstart"
    left_out = shutil.ignore_patterns(".specforge", "data", "__pycache__")
    shutil.copytree(ROOT / "specs" / "quickstart", project, ignore=left_out)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    about = project / "specforge.yaml"
    about.write_text(about.read_text(encoding="utf-8").replace("8080", str(port)), encoding="utf-8")
    try:
        command = [sys.executable, str(project / "run.py")]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if any(word in said for word in NO_INDEX):
            pytest.skip(f"no package index can be reached: {said}")
        assert done.returncode == 0, said
        assert done.stdout.endswith(ENDING.replace("8080", str(port))), said
        run_and_compare("README.md", tmp_path / "work", tmp_path, 20, port)
    finally:
        end = [sys.executable, "-m", "specforge", "destroy", "--yes"]
        subprocess.run(end, cwd=project, capture_output=True, check=True)
