"""The toy distribution, installed into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def install(target: Path) -> Path:
    """Lay the distribution out as an installer does: its package, and its metadata with the entry points."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(HERE / "src", target, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = target / f"specforge_toy-{project['version']}.dist-info"
    metadata.mkdir()
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(header, encoding="utf-8")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return target


class Installation:
    """Runs programs as somebody does who has specforge and the toy distribution installed."""

    def __init__(self, target: Path, folder: Path) -> None:
        self.folder = folder
        # Relative or empty entries of the caller's path would point elsewhere from the project's folder.
        paths = [str(target), str(HERE.parents[1])]
        self.variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "SPECFORGE_CACHE": str(folder / "cache")}
        self.variables.pop("SPECFORGE_PLUGINS", None)

    def python(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `python WORDS`."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd or self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def spec(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `spec WORDS` in the project."""
        return self.python("-m", "specforge", *words)


@pytest.fixture(name="toy")
def _toy(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    return Installation(install(tmp_path / "site"), project)
