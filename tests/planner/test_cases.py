"""Golden plans: each folder of `tests/cases` is one edit of an applied project.

`before.yaml` is applied (nothing, where it is missing), then `after.yaml` is planned; `world.yaml` says what else is
there and what happens in between. `UPDATE_GOLDEN=1 pytest tests/planner/test_cases.py` writes the plans anew; the
difference is then read in the commit. Keys of world.yaml:

    files, later   the user's files before, and those that are written (a text) or deleted (null) before the plan
    edits          further documents that are applied after `before.yaml`
    published      documents that another clone applied to the same store
    accuracy       what evaluations find: always, or one after the other
    same_bytes     keys of recipes that make no difference to the bytes
    lost           addresses whose current data are gone from the store; `lost_evidence`: their evaluations
    gone, unreachable   places
    locks          entries of specforge.lock at the plan
    interrupted    seconds since an apply of `interrupted.yaml` began the jobs that are running
    options        of the plan; rounds: how often the planner is called
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from paper import FILES, NOW, Paper

from specforge.core.state import Intent, State
from specforge.core.values import Frozen, Place, frozen
from specforge.planner.plan import Verb
from specforge.render.plan import render_plan
from specforge.render.plan_json import plan_json

CASES = Path(__file__).parent.parent / "cases"
NAMES = sorted(each.name for each in CASES.iterdir() if (each / "after.yaml").exists())


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a file."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]


def write(paper: Paper, files: dict[str, str | None]) -> None:
    """Write or delete files of the user."""
    for path, content in files.items():
        paper.world.files.pop(path, None)
        if content is not None:
            paper.world.files[path] = content


def prepare(case: Path, wanted: dict[str, Any]) -> Paper:
    """Return the project with everything applied that comes before the plan."""
    paper = Paper([], wanted.get("files", FILES))
    accuracy, same = wanted.get("accuracy", 0.97), set(wanted.get("same_bytes", ()))
    paper.world.bytes_of = lambda prefix, recipe: [prefix, {k: v for k, v in recipe.items() if k not in same}]
    paper.world.figures = lambda recipe: Frozen(accuracy=accuracy if isinstance(accuracy, float) else accuracy.pop(0))
    for name in wanted.get("published", ()):
        paper.documents = documents(case / name)
        paper.apply()
        paper.state = State()
    for name in ("before.yaml", *wanted.get("edits", ())):
        if (case / name).exists():
            paper.documents = documents(case / name)
            paper.apply()
    if "interrupted" in wanted:
        interrupt(case, paper, wanted["interrupted"])
    paper.documents = documents(case / "after.yaml")
    paper.locks = {**paper.locks, **{key: frozen(value) for key, value in wanted.get("locks", {}).items()}}
    write(paper, wanted.get("later", {}))
    for key in ("lost", "lost_evidence"):
        for address in wanted.get(key, ()):
            version = paper.record(address).current_version
            lost = version.evidence if key == "lost_evidence" else version
            paper.world.store(paper.record(address).place).damaged.add((lost.identity, lost.build))
    paper.world.gone |= set(wanted.get("gone", ()))
    paper.world.unreachable |= set(wanted.get("unreachable", ()))
    return paper


def interrupt(case: Path, paper: Paper, seconds: float) -> None:
    """Leave the runs that an apply of `interrupted.yaml` would have begun, `seconds` ago."""
    from dataclasses import replace

    paper.documents = documents(case / "interrupted.yaml")
    for change in paper.plan().pending:
        for planned in change.parts:
            if planned.verb is Verb.MAKE and planned.identity is not None and change.before is not None:
                key = f"key-{change.address}-{planned.part.name}"
                job = ((Place("local", ".specforge/pools/here"), key),)
                begun = Intent(
                    "op", planned.part.name, planned.identity, 1, "{}", job, NOW - seconds, planned.part.work
                )
                paper.put(replace(change.before, intent=begun))
                paper.world.jobs[key] = Frozen(state="running", started=NOW - seconds)


def check(path: Path, text: str) -> None:
    """Compare with the golden file, or write it."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_is_as_written(name: str) -> None:
    """Text and JSON of the plan are those of the case."""
    case = CASES / name
    world = case / "world.yaml"
    wanted = yaml.safe_load(world.read_text(encoding="utf-8")) or {} if world.exists() else {}
    paper = prepare(case, wanted)
    options = {
        key: tuple(value) if isinstance(value, list) else value for key, value in wanted.get("options", {}).items()
    }
    plan = paper.plan(**options)
    assert paper.rounds == wanted.get("rounds", paper.rounds)
    check(case / "plan.txt", render_plan(plan, width=100))
    check(case / "plan.json", json.dumps(plan_json(plan), indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    if not options and not plan.unreachable:
        paper.apply()
        assert paper.plan().empty
