"""Projects to try the real command on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfront import INFERENCE, SERVE, Served
from workshop import BOOT, DATA, PLACES, PROJECT, QUICKSTART, TRAIN, Workshop, png


def furnish(made: Workshop) -> None:
    """Write the project's files."""
    made.write("specforge.yaml", PROJECT)
    made.write("specs/places.yaml", PLACES)
    made.write("specs/data.yaml", DATA)
    made.write("specs/train.yaml", TRAIN)
    made.write("code/train.py", BOOT)
    made.write("specforge.lock", (QUICKSTART / "specforge.lock").read_bytes())
    for label in "01":
        for number in range(3):
            made.write(f"data/digits/{label}/{number}.png", png(100 * int(label) + number))


def leave(made: Workshop) -> None:
    """Let nothing that waits outlive the test."""
    made.go.touch()
    for process in made.running:
        if process.poll() is None:
            made.kill(process)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """A project with six pictures, a boot file that marks its starts, and the quickstart's locked toolchain."""
    made = Workshop(tmp_path / "shop", tmp_path)
    furnish(made)
    yield made
    leave(made)


@pytest.fixture
def declared(tmp_path: Path) -> Iterator[Served]:
    """The same with a model and a service, at a port of its own; not applied yet."""
    made = Served(tmp_path / "shop", tmp_path)
    furnish(made)
    made.write("specs/serve.yaml", SERVE.replace("PORT", str(made.port)))
    made.write("inference/customize_service.py", INFERENCE)
    yield made
    leave(made)
    made.end_all()


@pytest.fixture
def served(declared: Served) -> Served:
    """The same, applied: it answers `10.0`."""
    declared.spec("apply", "--yes")
    return declared


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
