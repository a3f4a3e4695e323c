"""Removing the folders of a run, also those whose content was made read-only."""

from __future__ import annotations

import os


def clean(run: str, succeeded: bool) -> None:
    """Remove what a job that ended has no use for. Inputs stay if the output links to them."""
    names = ["tmp", "home", "work.first"]
    if not (succeeded and _has_links(os.path.join(run, "out"))):
        names.append("in")
    if succeeded:
        names.append("work")
    for name in names:
        remove(os.path.join(run, name))


def remove(path: str) -> None:
    """Remove a folder, also one whose folders are read-only; links in it are not followed."""
    if not os.path.isdir(path) or os.path.islink(path):
        return
    # Bottom-up by hand: `shutil` would cost more to load than most jobs have to remove.
    os.chmod(path, 0o700)
    with os.scandir(path) as inside:
        for each in list(inside):
            try:
                if each.is_dir(follow_symlinks=False):
                    remove(each.path)
                else:
                    os.unlink(each.path)
            except FileNotFoundError:
                continue  # somebody else removes it too
    try:
        os.rmdir(path)
    except OSError:
        return  # something came in meanwhile: whoever put it there removes it


def _has_links(path: str) -> bool:
    inside = (os.path.join(parent, each) for parent, *names in os.walk(path) for each in names[0] + names[1])
    return any(os.path.islink(each) for each in inside)
