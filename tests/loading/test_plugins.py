"""Kinds and places come from entry points; a broken distribution is named, and can be left out."""

from __future__ import annotations

import pytest

from specforge.core.errors import PluginError
from specforge.loading import load
from specforge.loading.plugins import installed_kinds

MODULE = """
from pydantic import RootModel
from specforge.schemas.base import Declared
from specforge.schemas.kind import Desire, Kind, Lifecycle, PlaceType

class ToySpec(Declared):
    wheels: int = 4

class Attic(RootModel[str]):
    def place(self, name): ...

TOY = Kind("Toy", "toy", ToySpec, Lifecycle.DEFINITION, lambda _: Desire())
ALSO = Kind("Dataset", "dataset", ToySpec, Lifecycle.DEFINITION, lambda _: Desire())
ATTIC = PlaceType("attic", "store", Attic, "nowhere:Executor")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution on the path: its name, its entry points, and a module of toys."""

    def install_distribution(name, entry_points):
        folder = tmp_path / "site" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        (tmp_path / "site" / "toys_for_tests.py").write_text(MODULE)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return install_distribution


def test_the_own_kinds_and_places_are_found():
    """What this distribution registers is there, and Store and Pool have a key for each driver."""
    kinds = installed_kinds()
    assert {"store", "pool", "dataset", "algorithm", "training"} <= set(kinds.by_prefix)
    assert kinds.by_document["TrainingJob"] is kinds.by_prefix["training"]
    assert "folder" in kinds.by_prefix["store"].spec.model_fields
    assert "local" in kinds.by_prefix["pool"].spec.model_fields


def test_another_distribution_adds_kinds_and_places(install, write):
    """A toy kind and a toy place are used in documents with no change here."""
    install("toys", "[specforge.kinds]\ntoy = toys_for_tests:TOY\n[specforge.places]\nattic = toys_for_tests:ATTIC\n")
    kinds = installed_kinds()
    root = write(
        {
            "specforge.yaml": "kind: Project\nname: demo\n",
            "specs/a.yaml": "kind: Toy\nname: car\n---\nkind: Store\nname: up\nattic: under/the/roof\n",
        }
    )
    project = load(root, kinds=kinds)
    assert {str(each) for each in project.resources} == {"toy.car", "store.up"}
    assert kinds.places["attic"].driver == "attic"


def test_the_switch_leaves_other_distributions_out(install, monkeypatch):
    """With SPECFORGE_PLUGINS=none a broken one does no harm."""
    install("toys", "[specforge.kinds]\ntoy = nowhere:TOY\n")
    monkeypatch.setenv("SPECFORGE_PLUGINS", "none")
    assert "toy" not in installed_kinds().by_prefix


def test_broken_plugins_are_named_all_at_once(install):
    """The message has the distribution, the entry point and the reason."""
    install(
        "toys",
        "[specforge.kinds]\na = nowhere:TOY\nb = toys_for_tests:MISSING\nc = toys_for_tests:ATTIC\n"
        "[specforge.places]\nd = toys_for_tests:TOY\n",
    )
    with pytest.raises(PluginError) as raised:
        installed_kinds()
    details = [each.detail for each in raised.value.diagnostics]
    assert [each.code for each in raised.value.diagnostics] == ["SF501"] * 4
    assert "`a = nowhere:TOY` of the distribution `toys`" in details[0]
    assert "No module named 'nowhere'" in details[0]
    assert "MISSING" in details[1]
    assert "not a Kind but a PlaceType" in details[2]
    assert "not a PlaceType but a Kind" in details[3]


def test_two_distributions_with_the_same_kind_collide(install):
    """Neither is silently preferred."""
    install("toys", "[specforge.kinds]\nx = toys_for_tests:ALSO\n")
    with pytest.raises(PluginError) as raised:
        installed_kinds()
    assert {each.code for each in raised.value.diagnostics} == {"SF503"}
    assert "`specforge` and `toys`" in raised.value.diagnostics[0].detail
