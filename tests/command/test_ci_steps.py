"""The shell steps of the workflow in docs/ci.md, run in a real project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop

from specforge.loading.yaml_reader import read

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"


def workflow() -> dict[str, Any]:
    """Return the workflow that the page shows."""
    text = re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert text is not None
    found = read(text[1], "ci.md")
    assert not found.diagnostics
    data: dict[str, Any] = found.documents[0].data
    return data


class Runner:
    """Runs steps as a runner does: one shell each, stops at the first that fails."""

    def __init__(self, shop: Workshop, home: Path) -> None:
        self.shop = shop
        self.summary = home / "summary.md"
        self.comments = home / "comments.txt"
        tools = home / "tools"
        tools.mkdir()
        gh = f'#!/bin/sh\necho "$@" >> "{self.comments}"\ncat comment.md >> "{self.comments}"\n'
        for name, text in (("spec", f'#!/bin/sh\nexec "{sys.executable}" -m specforge "$@"\n'), ("gh", gh)):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        self.environment = {
            **shop.environment,
            "PATH": f"{tools}:{shop.environment['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "PULL_REQUEST": "7",
        }

    def job(self, name: str) -> tuple[str, str]:
        """Run a job; return the name of the step that failed, if one did, and all output."""
        output = ""
        for step in workflow()["jobs"][name]["steps"]:
            if "run" not in step:
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.shop.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
            )
            output += done.stdout
            if done.returncode:
                return f"{step['name']}: {done.returncode}", output
        return "", output


@pytest.fixture(name="runner")
def _runner(shop: Workshop, tmp_path: Path) -> Runner:
    """Return a runner in a formatted project with a published dataset."""
    shop.spec("fmt")
    shop.spec("apply", "--yes", "--target", "dataset.digits")
    return Runner(shop, tmp_path)


def test_a_pull_request(runner: Runner) -> None:
    """Files that are in order: the plan becomes a comment, changes do not fail; files that are not, do."""
    failed, output = runner.job("pull-request")
    assert failed == "", output
    comment = runner.comments.read_text()
    assert comment.startswith(
        "pr comment 7 --edit-last --create-if-none --body-file comment.md\n### Plan\n```\nChanges\n"
    )
    assert "+ training.digits" in comment
    runner.shop.edit("specs/data.yaml", "seed: 7", "seed:    7")
    failed, output = runner.job("pull-request")
    assert failed == "The files are formatted: 1"
    assert "-split: {train: 0.5, eval: 0.5, seed:    7}" in output
    runner.shop.edit("specs/data.yaml", "kind: Dataset", "kind: Datasett")
    assert runner.job("pull-request")[0] == "The files are valid: 1"


def test_drift(runner: Runner) -> None:
    """Without drift the job passes; with drift it fails, with annotations, a summary and a report."""
    failed, output = runner.job("drift")
    assert failed == "", output
    assert "No drift" in runner.summary.read_text()
    for each in (runner.shop.root / ".specforge/artifacts/objects").iterdir():
        shutil.rmtree(each)
    failed, output = runner.job("drift")
    assert failed == "Drift: 2"
    assert "::warning file=specs/data.yaml,line=2,col=7,title=Drift%3A dataset.digits::V001 is gone" in output
    assert "| `dataset.digits` | V001 is gone from its store" in runner.summary.read_text()
    assert 'failures="1"' in (runner.shop.root / "drift.xml").read_text()
