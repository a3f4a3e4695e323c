"""Patterns of files: what they match, links in circles, folders that cannot be read."""

from __future__ import annotations

import errno
import glob
import os

import pytest

from specforge.loading.files import matching

NAMES = [
    "a.yaml",
    "b.yml",
    "specs/a.yaml",
    "specs/b.yml",
    "specs/deep/c.yaml",
    "specs/deep/er/d.yaml",
    "specs/.hidden.yaml",
    "specs/.git/e.yaml",
    "specs/x[1].yaml",
    "specs/名.yaml",
    "other/f.yaml",
    ".conf/g.yaml",
]
PATTERNS = [
    "specs/**/*.yaml",
    "specs/*.yaml",
    "**/*.yaml",
    "*.yaml",
    "*/*.y*ml",
    "specs/?.yaml",
    "specs/[ab].y*",
    "specs/[!a].*",
    "specs/a.yaml",
    "./specs//a.yaml",
    "specs/x[[]1].yaml",
    ".conf/*.yaml",
    "specs/.*.yaml",
    "specs/deep/**",
    "nothing/**/*.yaml",
    "**/er/*.yaml",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_as_glob_does(write, pattern):
    """The same files as Python's own glob, sorted."""
    root = write(dict.fromkeys(NAMES, ""))
    expected = {os.path.normpath(each) for each in glob.glob(pattern, root_dir=root, recursive=True)}
    found, problems = matching(root, pattern)
    assert found == sorted(each for each in expected if (root / each).is_file())
    assert problems == []


def test_links_are_followed_once(write):
    """A link to a folder above does not give every file again and again."""
    root = write({"specs/a.yaml": "", "elsewhere/b.yaml": ""})
    (root / "specs/again").symlink_to(root / "specs")
    (root / "specs/linked").symlink_to(root / "elsewhere")
    (root / "specs/broken.yaml").symlink_to("nowhere")
    assert matching(root, "specs/**/*.yaml")[0] == ["specs/a.yaml", "specs/broken.yaml", "specs/linked/b.yaml"]


def test_an_unreadable_folder_is_an_error(write):
    """Its documents must not look as if the user had taken them away. (A name too long fails for root too.)"""
    root = write({"specs/a.yaml": ""})
    found, problems = matching(root, "specs/" + "x" * 300 + "/*.yaml")
    assert found == []
    assert [(each.code, os.strerror(errno.ENAMETOOLONG).lower() in each.detail) for each in problems] == [
        ("SF102", True)
    ]
