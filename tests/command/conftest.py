"""Projects to try the real command on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from workshop import BOOT, DATA, PLACES, PROJECT, QUICKSTART, TRAIN, Workshop, png


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """A project with six pictures, a boot file that marks its starts, and the quickstart's locked toolchain."""
    root = tmp_path / "shop"
    made = Workshop(root, tmp_path)
    made.write("specforge.yaml", PROJECT)
    made.write("specs/places.yaml", PLACES)
    made.write("specs/data.yaml", DATA)
    made.write("specs/train.yaml", TRAIN)
    made.write("code/train.py", BOOT)
    made.write("specforge.lock", (QUICKSTART / "specforge.lock").read_bytes())
    for label in "01":
        for number in range(3):
            made.write(f"data/digits/{label}/{number}.png", png(100 * int(label) + number))
    yield made
    made.go.touch()  # nothing that waits outlives the test
    for process in made.running:
        if process.poll() is None:
            made.kill(process)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def marked(shop: Workshop) -> Workshop:
    """The same, with the mark file named."""
    shop.edit("specforge.yaml", 'mark: {default: ""}', f'mark: {{default: "{shop.mark}"}}')
    return shop


@pytest.fixture
def waiting(marked: Workshop) -> Workshop:
    """The same, with a boot file that waits until `go` is there."""
    marked.edit("specforge.yaml", 'go: {default: ""}', f'go: {{default: "{marked.go}"}}')
    return marked
