"""Another distribution adds a kind and a place: with entry points alone, no line of specforge changed."""

from __future__ import annotations

import json
from pathlib import Path

SUITES = Path(__file__).parent / "suites"

PROJECT = """\
kind: Project
name: terms
state: .specforge/state.db
defaults: {store: box, pool: here}
"""
SPECS = """\
{kind: Store, name: box, toy: {file: .specforge/box.db}}
---
{kind: Store, name: folder, folder: .specforge/artifacts}
---
{kind: Pool, name: here, local: {slots: 2}}
---
{kind: Glossary, name: words, terms: {epoch: one pass over the data}}
---
{kind: Glossary, name: elsewhere, store: folder, terms: {batch: what is seen at once}}
"""


def write(folder, specs=SPECS):
    (folder / "specforge.yaml").write_text(PROJECT)
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "all.yaml").write_text(specs)


def test_the_shipped_suites_pass(toy, tmp_path):
    """The contract suites of kinds and of stores, as their author runs them."""
    options = ["-q", "-p", "no:cacheprovider", "-o", "python_files=suite_*.py", "-o", "addopts=", "-W", "error"]
    done = toy.python("-m", "pytest", *options, "--rootdir", str(tmp_path), str(SUITES), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_real_command_knows_them(toy):
    """Validated, planned, applied, found again; the JSON Schema has both."""
    write(toy.folder)
    assert toy.spec("validate").returncode == 0
    schema = json.dumps(json.loads(toy.spec("schema").stdout))
    assert '"Glossary"' in schema
    assert "A box: one file that holds everything." in schema
    applied = toy.spec("apply", "--yes")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert (toy.folder / ".specforge" / "box.db").is_file()
    again = toy.spec("plan", "--detailed-exitcode")
    assert (again.returncode, again.stdout.startswith("No changes")) == (0, True), again.stdout
    shown = json.loads(toy.spec("show", "glossary.words", "--json").stdout)["recorded"]
    assert shown["current"] == "G1"
    assert shown["versions"][0]["facts"] == {"terms": 1}


def test_a_change_publishes_and_a_revert_reuses(toy):
    """The kind behaves like every artifact: new version, back to the old one, metadata only."""
    write(toy.folder)
    assert toy.spec("apply", "--yes").returncode == 0
    write(toy.folder, SPECS.replace("one pass over the data", "one pass over all data"))
    changed = toy.spec("apply", "--yes")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    assert "G2" in changed.stdout
    write(toy.folder)
    assert "G1" in toy.spec("apply", "--yes").stdout
    write(toy.folder, SPECS.replace("name: words,", "name: words, audience: newcomers,"))
    plan = json.loads(toy.spec("plan", "--json").stdout)
    (change,) = [each for each in plan["changes"] if each["action"] != "no-op"]
    assert (change["address"], change["action"]) == ("glossary.words", "update")


def test_an_unreachable_place_holds_up_only_itself(toy):
    """While the box is down nothing is created or destroyed there, the rest goes on, and the exit codes say so."""
    write(toy.folder)
    assert toy.spec("apply", "--yes").returncode == 0
    (toy.folder / ".specforge" / "box.down").touch()
    idle = toy.spec("plan", "--detailed-exitcode")
    assert idle.returncode == 1
    assert "switched off" in idle.stdout + idle.stderr
    edited = SPECS.replace("one pass over the data", "other").replace("what is seen at once", "other")
    write(toy.folder, edited)
    plan = toy.spec("plan", "--detailed-exitcode", "--json")
    assert plan.returncode == 2
    actions = {each["address"]: each["action"] for each in json.loads(plan.stdout)["changes"]}
    assert actions.get("glossary.words", "no-op") == "no-op"
    assert actions["glossary.elsewhere"] == "new version"
    applied = toy.spec("apply", "--yes")
    assert applied.returncode == 1
    assert json.loads(toy.spec("show", "glossary.elsewhere", "--json").stdout)["recorded"]["current"] == "G2"
    (toy.folder / ".specforge" / "box.down").unlink()
    assert toy.spec("apply", "--yes").returncode == 0
    assert json.loads(toy.spec("show", "glossary.words", "--json").stdout)["recorded"]["current"] == "G2"
    assert toy.spec("plan", "--detailed-exitcode").returncode == 0


def test_without_the_distribution_nothing_is_known_of_it(toy):
    """The same documents are refused, with what there is."""
    write(toy.folder)
    toy.variables["SPECFORGE_PLUGINS"] = "none"
    done = toy.spec("validate")
    assert done.returncode == 1
    assert "Glossary" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
