"""`spec drift` on real data: its exit codes, its forms, and that it needs no valid files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from workshop import Workshop

SCHEMA_PAGE = Path(__file__).parents[2] / "docs" / "drift-json.md"


@pytest.fixture(name="applied")
def _applied(shop: Workshop) -> Workshop:
    """Return the shop with its dataset published."""
    shop.spec("apply", "--yes", "--target", "dataset.digits")
    return shop


def lose(shop: Workshop) -> None:
    """Delete the published objects."""
    for each in (shop.root / ".specforge/artifacts/objects").iterdir():
        shutil.rmtree(each)


def test_no_drift(applied: Workshop) -> None:
    """What is there is what was recorded: exit 0; a wish is no drift; nothing is written."""
    applied.edit("specs/data.yaml", "seed: 7", "seed: 8")
    before = sorted((each, each.stat().st_mtime_ns) for each in (applied.root / ".specforge").rglob("*.db"))
    done = applied.spec("drift")
    assert (done.stdout, done.stderr) == ("No drift: 3 resources are as recorded.\n", "")
    assert before == sorted((each, each.stat().st_mtime_ns) for each in (applied.root / ".specforge").rglob("*.db"))
    assert json.loads(applied.spec("drift", "--json", "--listed").stdout)["drift"] == []


def test_nothing_recorded(shop: Workshop) -> None:
    """Before the first apply there is nothing that could differ."""
    assert shop.spec("drift").stdout == "No drift: nothing is recorded that could differ.\n"


def test_every_form_tells_the_same(applied: Workshop) -> None:
    """A lost object exits 2 in every form, with the document's file and line; an apply repairs it."""
    lose(applied)
    shown = applied.spec("drift", code=2)
    assert "! dataset.digits  V001 is gone from its store" in shown.stdout
    assert "Drift: 1 resource of 3 differs from the record." in shown.stdout
    body = json.loads(applied.spec("drift", "--json", code=2).stdout)
    [drift] = body["drift"]
    assert (drift["address"], drift["file"], drift["line"]) == ("dataset.digits", "specs/data.yaml", 2)
    assert body == {**json.loads(applied.spec("drift", "--format", "json", code=2).stdout), "at": body["at"]}
    assert "`specs/data.yaml:2` |" in applied.spec("drift", "--format", "markdown", code=2).stdout
    assert "::warning file=specs/data.yaml,line=2," in applied.spec("drift", "--format", "github", code=2).stdout
    report = applied.root / "report.xml"
    told = applied.spec("drift", "--format", "junit", "-o", "report.xml", code=2)
    assert told.stdout == ""
    assert told.stderr.startswith("Drift: 1 resource of 3")
    assert ET.parse(report).getroot().get("failures") == "1"
    applied.spec("apply", "--yes", "--target", "dataset.digits")
    applied.spec("drift")


def test_files_are_named_from_the_top_of_the_repository(applied: Workshop) -> None:
    """In a repository with the project in a folder, files are named as the repository's forge names them."""
    lose(applied)
    subprocess.run(["git", "init", "-q", str(applied.root.parent)], check=True)
    shown = applied.spec("drift", "--format", "github", code=2).stdout
    assert "::warning file=shop/specs/data.yaml,line=2," in shown


def test_unreachable(applied: Workshop) -> None:
    """A place that cannot be asked is exit 1 without drift, and is named."""
    folder = applied.root / ".specforge" / "artifacts"
    shutil.rmtree(folder)
    folder.symlink_to(folder)  # a loop: nobody can look into it, root neither
    done = applied.spec("drift", code=1)
    assert "Unreachable: nothing is known of what lies there" in done.stdout
    assert "No drift that can be seen" in done.stdout


@pytest.mark.parametrize("harm", ["broken document", "broken project file", "no files"])
def test_the_files_may_be_broken(applied: Workshop, harm: str) -> None:
    """Drift is about what was recorded: broken or missing YAML is said on standard error, and drift is told."""
    lose(applied)
    if harm == "broken document":
        applied.write("specs/data.yaml", "kind: [Dataset\n")
    elif harm == "broken project file":
        applied.write("specforge.yaml", "kind: Project\nname: shop\nnonsense: 1\n")
    else:
        (applied.root / "specforge.yaml").unlink()
        shutil.rmtree(applied.root / "specs")
    done = applied.spec("drift", code=2)
    assert "! dataset.digits  V001 is gone from its store" in done.stdout
    assert "cannot be loaded" in done.stderr
    assert json.loads(applied.spec("drift", "--json", code=2).stdout)["drift"][0]["file"] is None


def test_environments_are_looked_at_apart(applied: Workshop) -> None:
    """Each environment has its own record; one that does not exist is an error, not an empty report."""
    assert "nothing is recorded" in applied.spec("drift", "--env", "dev").stdout
    assert "SF115" in applied.spec("drift", "--env", "nowhere", code=1).stderr


def test_a_file_that_cannot_be_written(applied: Workshop) -> None:
    """`-o` into a folder that is not there is an error, exit 1."""
    assert "SF158" in applied.spec("drift", "-o", "nowhere/report.txt", code=1).stderr


def test_an_unknown_form(applied: Workshop) -> None:
    """A form that does not exist is a usage error that names those that do."""
    assert "junit" in applied.spec("drift", "--format", "html", code=1).stderr
