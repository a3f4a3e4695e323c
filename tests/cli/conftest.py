"""A small real project, and the command run in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import DATA, PLACES, PROJECT, Done, Spec, png

from specforge.cli import boundary
from specforge.cli.app import app


@pytest.fixture(autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache, colours and terminal out of the tests."""
    monkeypatch.setenv("SPECFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("SPECFORGE_PLUGINS", "none")
    monkeypatch.setenv("SPEC_USER", "ada")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a project with a store, a pool and a dataset of eight pictures."""
    root = tmp_path / "project"
    (root / "specs").mkdir(parents=True)
    (root / "specforge.yaml").write_text(PROJECT, encoding="utf-8")
    (root / "specs" / "places.yaml").write_text(PLACES, encoding="utf-8")
    (root / "specs" / "data.yaml").write_text(DATA, encoding="utf-8")
    for index in range(8):
        folder = root / "data" / ("dark" if index < 4 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.png").write_bytes(png(index * 30))
    return root


@pytest.fixture
def spec(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Spec:
    """Run a command line in this process, in the project's folder."""
    monkeypatch.chdir(project)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["spec", *arguments])
        code = boundary.run(app, arguments, "spec")
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(project: Path) -> Spec:
    """Run a command line in a process of its own."""

    def run(*arguments: str, **environment: str) -> Done:
        command = [sys.executable, "-m", "specforge", *arguments]
        done = subprocess.run(
            command,
            cwd=project,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
