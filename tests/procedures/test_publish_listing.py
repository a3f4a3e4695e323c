"""A picture that changes between its check and its collection is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from specforge.formats import folder, tree
from specforge.procedures.dataset import publish_dataset
from specforge.runtimes.job.collect import Incomplete, collect


def _run(tmp_path: Path) -> tuple[Path, dict]:
    source, run = tmp_path / "source", tmp_path / "run"
    (source / "a").mkdir(parents=True)
    (source / "a" / "one.bmp").write_bytes(_bmp(1))
    (run / "in").mkdir(parents=True)
    (run / "in" / "source").symlink_to(source)
    (run / "out").mkdir()
    publish_dataset(run / "in" / "source", run / "out" / "data", None, None, run / "out" / "data.listing")
    output = {"name": "data", "path": "data", "exclude": [], "required": True, "missing_hint": ""}
    return run, {"facts": None, "outputs": [{**output, "expected": "data.listing"}]}


def _bmp(shade: int) -> bytes:
    pixels = bytes([shade] * 3) + b"\0"
    size = 54 + len(pixels)
    header = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
    return header + info + (24).to_bytes(2, "little") + bytes(24) + pixels


def test_what_was_verified_is_what_is_collected(tmp_path):
    """The listing that the procedure leaves is the collected tree's."""
    run, request = _run(tmp_path)
    made = collect(str(run), request)
    entries = folder.entries(run / "out" / "data", executable=False, allowed_links=[tmp_path / "source"])
    assert made["outputs"]["data"]["digest"] == tree.digest(entries)


def test_a_picture_changed_meanwhile_fails_the_job(tmp_path):
    """Other bytes than those verified are not published under the identity of those verified."""
    run, request = _run(tmp_path)
    (tmp_path / "source" / "a" / "one.bmp").write_bytes(_bmp(2))
    with pytest.raises(Incomplete, match="changed while it was collected"):
        collect(str(run), request)
