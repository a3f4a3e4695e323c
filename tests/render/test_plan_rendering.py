"""Plans made by hand, and what is shown of them: golden text and JSON in `cases/`.

`UPDATE_GOLDEN=1 pytest tests/render` writes the files anew; the difference is then read in the commit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.state import Resource, StateRef, Status, Version
from specforge.core.steps import Refusal
from specforge.core.values import EMPTY, Frozen, Place
from specforge.planner.plan import (
    Action,
    Change,
    Drift,
    FieldChange,
    Plan,
    PlannedPart,
    Reason,
    RunInFlight,
    Unreachable,
    Verb,
)
from specforge.render.plan import render_plan, summary_line
from specforge.render.plan_json import plan_json
from specforge.render.text import columns
from specforge.schemas.kind import Part

CASES = Path(__file__).parent / "cases"
NOW = 1_800_000_000.0
STORE = Place("folder", ".specforge/artifacts")
DATASET, TRAINING, MODEL = Address("dataset", "digits"), Address("training", "digits"), Address("model", "digits")


def version(name: str, status: Status = Status.READY) -> Version:
    """Return a published version of that name."""
    return Version(name, name.lower() * 12, 1, "o" * 64, EMPTY, "{}", status, seconds=4.0)


def recorded(address: Address, *names: str, **more: object) -> Resource:
    """Return a recorded artifact with these versions, the last one current."""
    versions = tuple(version(each) for each in names)
    return Resource(address, "artifact", "{}", STORE, current=names[-1], versions=versions, **more)


def part(name: str, work: str, verb: Verb, identity: str | None = None) -> PlannedPart:
    """Return a planned part."""
    return PlannedPart(Part(name, name, 1, Frozen(), work), verb, identity)


def change(address: Address, action: Action, **more: object) -> Change:
    """Return a change of an artifact."""
    documents = {"dataset": "Dataset", "training": "TrainingJob", "model": "Model"}
    return Change(address, documents.get(address.kind, "Thing"), "artifact", action, **more)


def plan(*changes: Change, **more: object) -> Plan:
    """Return a plan with these changes."""
    return Plan(StateRef("lineage-1", 7), "digits", more.pop("environment", "default"), NOW, changes, **more)


def edits() -> Plan:
    """A dataset that got a file, a training whose parameter changed, and a model that follows."""
    dataset = change(
        DATASET,
        Action.NEW_VERSION,
        reasons=(Reason("source: +1 file", ("3/0178.png (label 3)",)),),
        before=recorded(DATASET, "V001"),
        version="V002",
        work=("publish",),
        estimate=1.2,
        parts=(part("output", "publish", Verb.MAKE, "a" * 64),),
    )
    training = change(
        TRAINING,
        Action.NEW_VERSION,
        fields=(
            FieldChange("parameters.C", 10, 5, "new version"),
            FieldChange("description", "", "Digits, read by a support vector machine", "metadata"),
        ),
        before=recorded(TRAINING, "V0001"),
        version="V0002",
        work=("retrain", "evaluate"),
        estimate=4.1,
        parts=(part("output", "retrain", Verb.MAKE), part("evidence", "evaluate", Verb.MAKE)),
        waits_for=(DATASET,),
    )
    model = change(
        MODEL,
        Action.NEW_VERSION,
        if_changed=(TRAINING,),
        before=recorded(MODEL, "0.0.1"),
        version="0.0.2",
        work=("assemble",),
        parts=(part("output", "assemble", Verb.MAYBE),),
    )
    return plan(dataset, training, model)


def first() -> Plan:
    """Nothing is recorded yet."""
    return plan(
        Change(Address("store", "artifacts"), "Store", "place", Action.CREATE, summary="folder .specforge/artifacts"),
        change(
            DATASET,
            Action.CREATE,
            version="V001",
            work=("publish",),
            summary="1,797 files in 10 folders",
            parts=(part("output", "publish", Verb.MAKE, "a" * 64),),
        ),
        change(TRAINING, Action.CREATE, version="V0001", work=("train", "evaluate")),
    )


def everything() -> Plan:
    """Every section and every action at once, in an environment of its own."""
    back = change(
        TRAINING,
        Action.REUSE,
        fields=(FieldChange("parameters.C", 5, 10, "new version"),),
        before=recorded(TRAINING, "V0001", "V0002"),
        version="V0001",
    )
    other = Address("training", "flowers")
    accept = change(
        other,
        Action.UPDATE,
        fields=(FieldChange("evaluate.accept.accuracy.min", 0.95, 0.99, "update"),),
        refusals=(Refusal("accuracy", 0.9777, 0.99),),
        before=recorded(other, "V0001"),
        version="V0001",
    )
    said = change(
        DATASET,
        Action.UPDATE,
        fields=(FieldChange("description", "", "real scans", "metadata"),),
        before=recorded(DATASET, "V001"),
        version="V001",
    )
    gone = Address("dataset", "手写数字")
    forgotten = change(gone, Action.FORGET, before=recorded(gone, "V003"), reasons=(Reason("no longer declared"),))
    deleted = Change(Address("pool", "here"), "Pool", "place", Action.DELETE, reasons=(Reason("no longer declared"),))
    pool = Change(
        Address("pool", "there"),
        "Pool",
        "place",
        Action.REPLACE,
        fields=(FieldChange("local.slots", None, 2, "replace"),),
        summary="2 slots",
    )
    copy = change(Address("dataset", "copy"), Action.REUSE, version="V001")
    many = change(
        MODEL,
        Action.NEW_VERSION,
        if_changed=(TRAINING, other, DATASET),
        version="0.0.2",
        before=recorded(MODEL, "0.0.1"),
        work=("assemble",),
    )
    quiet = change(
        Address("training", "quiet"),
        Action.NOOP,
        note="V0002 is refused: accuracy 0.91, wanted at least 0.95; V0001 stays current",
    )
    warning = Diagnostic(
        "SF202",
        "Pinned to something no longer declared",
        "`inputs.data` uses dataset.old@V001, kept from an earlier declaration",
        severity=Severity.WARNING,
        address=TRAINING,
    )
    return plan(
        said,
        back,
        accept,
        copy,
        pool,
        many,
        forgotten,
        deleted,
        quiet,
        environment="dev",
        drift=(Drift(DATASET, "V001 is gone from its store (3 objects missing)", NOW - 3700),),
        runs=(
            RunInFlight(TRAINING, "output", "f" * 64, "running", False, NOW - 12, "retrain"),
            RunInFlight(other, "output", "e" * 64, "running", True, NOW - 90, "retrain"),
            RunInFlight(MODEL, "output", "d" * 64, "ended", True, NOW - 900),
            RunInFlight(DATASET, "output", "c" * 64, "unknown", True, NOW - 900),
        ),
        unreachable=(Unreachable(Place("ssh", "gpu-1"), "connection refused", (Address("training", "remote"), MODEL)),),
        diagnostics=(warning,),
    )


def nothing() -> Plan:
    """Everything is as declared; one training is below a raised gate."""
    below = change(
        TRAINING, Action.NOOP, before=recorded(TRAINING, "V0001"), below_accept=("accuracy 0.97, wanted at least 0.99",)
    )
    return plan(change(DATASET, Action.NOOP, before=recorded(DATASET, "V001")), below)


def undecided() -> Plan:
    """Nothing can be decided: the only place is unreachable."""
    problem = "the folder `/data` is not there; nothing said it was deleted"
    quiet = change(DATASET, Action.NOOP, note="its place cannot be reached; nothing is decided")
    return plan(quiet, unreachable=(Unreachable(STORE, problem, (DATASET,)),))


def destroyed() -> Plan:
    """A destroy that keeps the artifacts."""
    return plan(
        change(TRAINING, Action.FORGET, before=recorded(TRAINING, "V0001")),
        change(DATASET, Action.FORGET, before=recorded(DATASET, "V001")),
        destroy=True,
    )


PLANS = {each.__name__: each for each in (edits, first, everything, nothing, undecided, destroyed)}


def golden(path: Path, actual: str) -> None:
    """Compare with the file, or write it if asked to."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PLANS)
def test_text(name: str) -> None:
    """The text of the plan is as in the golden file."""
    golden(CASES / f"{name}.txt", render_plan(PLANS[name]()))


@pytest.mark.parametrize("name", PLANS)
def test_json(name: str) -> None:
    """The JSON of the plan is as in the golden file."""
    text = json.dumps(plan_json(PLANS[name]()), ensure_ascii=False, indent=2) + "\n"
    golden(CASES / f"{name}.json", text)


@pytest.mark.parametrize("name", PLANS)
def test_colour_adds_nothing(name: str) -> None:
    """Without its colour codes the coloured text is the plain one."""
    import re

    plain = re.sub(r"\x1b\[[0-9;]*m", "", render_plan(PLANS[name](), color=True))
    assert plain == render_plan(PLANS[name]())


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", PLANS)
def test_width(name: str, width: int) -> None:
    """No line is wider than asked for, unless the columns of a change alone are."""
    for line in render_plan(PLANS[name](), width=width).splitlines():
        assert columns(line) <= max(width, 76), line


def test_empty_project() -> None:
    """A plan without any resource says that there is none."""
    assert summary_line(plan()) == "No changes. Nothing is declared and nothing is recorded."


def test_control_characters_are_not_printed() -> None:
    """What a job, a file name or a place says cannot steer the terminal."""
    shown = render_plan(plan(change(DATASET, Action.NEW_VERSION, reasons=(Reason("\x1b[2Jboo\r\nnext"),))))
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_long_reasons_are_cut() -> None:
    """Of many files the first are shown; those that were left out before are counted too."""
    lines = (*(f"+ {index}.png" for index in range(20)), "and 1,005 more")
    shown = render_plan(plan(change(DATASET, Action.NEW_VERSION, reasons=(Reason("source: +1,025 files", lines),))))
    assert "        + 7.png\n        and 1,017 more\n" in shown
    few = Reason("source: +9 files", lines[:9])
    assert "+ 8.png" in render_plan(plan(change(DATASET, Action.NEW_VERSION, reasons=(few,))))
