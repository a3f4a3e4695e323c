"""The shell's completion, asked by a real bash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_project import Spec

from specforge.cli import completion

Bash = Callable[..., list[str]]
SCRIPT = """
source <(spec --show-completion)
complete -p spec >&2
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_spec_completion spec
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="bash")
def _bash(project: Path, tmp_path: Path) -> Bash:
    """Return a function that gives what a bash completes after these words, the last of which is begun."""
    command = tmp_path / "bin" / "spec"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m specforge "$@"\n')
    command.chmod(0o755)

    def run(*words: str, folder: Path = project) -> list[str]:
        done = subprocess.run(
            ["bash", "--norc", "-c", SCRIPT, "bash", "spec", *words],
            cwd=folder,
            env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == "complete -o default -F _spec_completion spec\n"
        return done.stdout.split()

    return run


def test_a_real_bash_completes(bash: Bash, project: Path) -> None:
    """Commands, options, addresses from the files, environments; nothing and no noise outside of a project."""
    assert bash("dri") == ["drift"]
    assert bash("drift", "--form") == ["--format"]
    assert bash("drift", "--format", "j") == ["json", "junit"]
    assert bash("show", "d") == ["dataset.shapes"]
    assert bash("plan", "--target", "") == ["dataset.shapes", "pool.here", "store.artifacts"]
    assert bash("plan", "--env", "") == ["dev"]
    assert bash("show", "-C", str(project), "s", folder=project.parent) == ["store.artifacts"]
    assert bash("show", "", folder=project.parent) == []


def test_addresses_that_are_only_recorded(spec: Spec, project: Path) -> None:
    """What is recorded in the chosen environment is offered too, though no document declares it any more."""
    spec("apply", "--yes", "--env", "dev")
    (project / "specs" / "data.yaml").unlink()
    look = completion.addresses
    assert completion.complete(look, {"env": "dev"}, "dataset") == ["dataset.shapes"]
    assert completion.complete(look, {"env": None, "project": project}, "dataset") == []


def test_notations(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block and flow documents, quotes, comments, many in a file; what cannot be read is left out."""
    monkeypatch.chdir(project)
    text = """\
# kind: Store
name: "one"   # first
kind: TrainingJob
---
{"name": two, kind: 'Service', port: 1}
---
kind: Unknown
name: three
---
kind: Model
name: digits
inputs: {name: no}
"""
    (project / "specs" / "more.yml").write_text(text, encoding="utf-8")
    (project / "specs" / "bad.yaml").write_bytes(b"\xff\xfe")
    (project / "specs" / "gone.yaml").symlink_to("nowhere")
    found = completion.complete(completion.addresses, {}, "")
    assert found == ["dataset.shapes", "model.digits", "pool.here", "service.two", "store.artifacts", "training.one"]
    assert completion.complete(completion.services, {}, "") == ["service.two"]
    assert completion.complete(completion.service_names, {}, "t") == ["two"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("environments: {dev: {variables: {x: 1}}, prod: {}}\n", ["dev", "prod"]),
        ("environments:\n  {dev: {}}\n", ["dev"]),
        (
            "environments:\n    dev:\n        x: {y: 1}\n\n    # a comment: here\n    'prod': {}\nname: x\n",
            ["dev", "prod"],
        ),
        ("environments:\n", []),
        ("name: x\n", []),
    ],
)
def test_environments(project: Path, written: str, found: list[str]) -> None:
    """The names of environments, however they are written."""
    (project / "specforge.yaml").write_text("kind: Project\n" + written, encoding="utf-8")
    assert completion.complete(completion.environments, {"project": project}, "") == found


def test_installing(spec: Spec, project: Path, tmp_path: Path) -> None:
    """`spec --install-completion` writes into the user's bash files, and nothing else."""
    command = f'HOME="{tmp_path}" "{sys.executable}" -m specforge --install-completion; exit $?'
    done = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "spec" in (tmp_path / ".bashrc").read_text()
