"""The lock file: deterministic text, read back as written, refused when broken or of a newer release."""

from __future__ import annotations

import os
import stat

import pytest

from specforge.core.errors import ConfigError
from specforge.core.values import Frozen, frozen
from specforge.loading.lockfile import LOCK_FILE, lock_text, read_lock, write_lock

ENGINES = {
    "scikit-learn": {
        "python": "3.11",
        "packages": [
            {"name": "numpy", "version": "2.4.6", "hashes": ["sha256:" + "b" * 64, "sha256:" + "a" * 64]},
            {
                "name": "joblib",
                "version": "1.10",
                "marker": 'sys_platform == "linux"',
                "hashes": ["sha256:" + "c" * 64],
            },
        ],
    },
    "empty": {"python": "3.12", "packages": []},
}


def test_what_is_written_is_read(tmp_path):
    """Versions stay texts, markers keep their quotes; packages and hashes are sorted."""
    write_lock(tmp_path, ENGINES)
    found = read_lock(tmp_path)
    entry = found["scikit-learn"]
    assert isinstance(entry, Frozen)
    assert [(each["name"], each["version"]) for each in entry["packages"]] == [("joblib", "1.10"), ("numpy", "2.4.6")]
    assert entry["packages"][0]["marker"] == 'sys_platform == "linux"'
    assert entry["packages"][1]["hashes"] == ("sha256:" + "a" * 64, "sha256:" + "b" * 64)
    assert "marker" not in entry["packages"][1]
    assert found["empty"] == frozen({"python": "3.12", "packages": []})


def test_the_text_does_not_depend_on_order(tmp_path):
    """The same software gives the same bytes, so that git shows only real changes; reading and writing changes none."""
    turned = {
        name: {"packages": entry["packages"][::-1], "python": entry["python"]}
        for name, entry in reversed(ENGINES.items())
    }
    assert lock_text(turned) == lock_text(ENGINES)
    write_lock(tmp_path, ENGINES)
    assert lock_text(read_lock(tmp_path)) == (tmp_path / LOCK_FILE).read_text("utf-8")


def test_without_a_file_nothing_is_locked(tmp_path):
    """No file is no error; an empty lock is written and read."""
    assert read_lock(tmp_path) == {}
    write_lock(tmp_path, {})
    assert read_lock(tmp_path) == {}


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    """The mode follows the umask; no half-written file stays, also when the writing fails."""
    write_lock(tmp_path, ENGINES)
    write_lock(tmp_path, {})
    with pytest.raises(KeyError):
        write_lock(tmp_path, {"x": {"python": "3.11"}})
    assert os.listdir(tmp_path) == [LOCK_FILE]
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / LOCK_FILE).stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize(
    ("text", "summary", "line"),
    [
        ("format: 2\nengines: {}\n", "Lock file of a newer release", 1),
        ("format: 1\n", "Broken lock file", 1),
        ("", "Broken lock file", 1),
        ("- a\n", "Broken lock file", 1),
        ("format: 1\nengines:\n  x: {python: 3, packages: []}\n", "Broken lock file", 3),
        (
            "format: 1\nengines: {x: {python: '3.11', packages: [{name: a, version: '1', hashes: ['md5:1']}]}}\n",
            "Broken lock file",
            2,
        ),
        ("<<<<<<< HEAD\nformat: 1\n", "Invalid YAML", 2),
        ("format: 1\nformat: 1\n", "Duplicate key", 2),
    ],
)
def test_a_lock_that_cannot_be_used_is_an_error(tmp_path, text, summary, line):
    """Each with its line; a merge conflict too."""
    (tmp_path / LOCK_FILE).write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_lock(tmp_path)
    assert (raised.value.diagnostics[0].summary, raised.value.diagnostics[0].span.line) == (summary, line)
