"""What the tests of loading share: the installed kinds, and projects written in a line."""

from __future__ import annotations

import pytest

from specforge.loading.plugins import installed_kinds


@pytest.fixture
def real_kinds(monkeypatch):
    """The kinds and places that come with specforge."""
    monkeypatch.setenv("SPECFORGE_PLUGINS", "none")
    return installed_kinds()


@pytest.fixture
def write(tmp_path):
    """Write files of a project into a temporary folder: `write({"specs/a.yaml": text})` gives the folder."""

    def write_files(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write_files
