"""A report of drift in all its forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from specforge.core.address import Address
from specforge.core.source import Span
from specforge.core.values import EMPTY, Place
from specforge.planner.drifting import DriftReport
from specforge.planner.plan import Drift, Unreachable
from specforge.render import drift_forms
from specforge.render.drift import drift_json, render_drift

PAGE = Path(__file__).parents[2] / "docs" / "drift-json.md"
NOW = 1_793_188_800.0
SERVICE, TRAINING, POOL = Address("service", "digits"), Address("training", "digits"), Address("pool", "here")
OTHER, STORE = Address("service", "other"), Address("store", "artifacts")
POSITIONS = {TRAINING: Span("specs/a,b:c.yaml", 3, 1, 3, 5)}
NASTY = "100% | <b> `x`\n::error::y\x1b[31m @ada \ufffe"

CALM = DriftReport("digits", "default", NOW, 7)
NOTHING = DriftReport("digits", "dev", NOW, 0)
FULL = DriftReport(
    "digits",
    "default",
    NOW,
    7,
    drift=(
        Drift(SERVICE, "the replicas of digits@0.0.1 are gone", NOW - 185),
        Drift(TRAINING, "V0001 is gone from its store (2 objects missing)", None, NOW - 8000),
        Drift(TRAINING, "the evaluation of V0001 is gone from its store"),
    ),
    unreachable=(
        Unreachable(Place("local", ".specforge/pools/here", EMPTY), "permission denied", (POOL, SERVICE)),
        Unreachable(Place("folder", "/mnt/away", EMPTY), "not mounted", ()),
    ),
    held=((OTHER, NOW - 300_000),),
)
STRANGE = DriftReport(
    "数字", "dev", NOW, 1, (Drift(SERVICE, NASTY),), (Unreachable(Place("local", NASTY, EMPTY), NASTY, (POOL,)),)
)


def test_text() -> None:
    """Drift, what cannot be reached and what is on hold, aligned, with times in words; the last line counts."""
    assert render_drift(FULL).splitlines() == [
        "Drift: what is there differs from the record",
        "  ! service.digits   the replicas of digits@0.0.1 are gone",
        "      for 3 min 05 s, since 2026-10-28 11:56:55 UTC",
        "  ! training.digits  V0001 is gone from its store (2 objects missing)",
        "      last seen as recorded 2 h 13 min ago, 2026-10-28 09:46:40 UTC",
        "  ! training.digits  the evaluation of V0001 is gone from its store",
        "",
        "Unreachable: nothing is known of what lies there",
        "  ! local:.specforge/pools/here: permission denied",
        "      undecided: pool.here, service.digits",
        "  ! folder:/mnt/away: not mounted",
        "",
        "On hold: stopped on purpose, no drift",
        "  = service.other  for 3 days  `spec start service.other` starts it",
        "",
        "Drift: 2 resources of 7 differ from the record; 2 resources cannot be reached; 1 service is on hold.",
        "`spec apply` repairs what is still declared.",
    ]


def test_text_without_drift() -> None:
    """Without drift there is one line; it does not claim what could not be seen."""
    assert render_drift(CALM) == "No drift: 7 resources are as recorded.\n"
    assert render_drift(NOTHING) == "Environment dev\n\nNo drift: nothing is recorded that could differ.\n"
    away = DriftReport("digits", "default", NOW, 3, unreachable=FULL.unreachable)
    assert render_drift(away).endswith(
        "\nNo drift that can be seen: 1 resource is as recorded; 2 resources cannot be reached.\n"
    )


def test_text_in_colour_says_the_same() -> None:
    """Without its colours the coloured text is the plain one; control characters of others never get through."""
    from specforge.render.text import plain

    colored = render_drift(FULL, color=True)
    assert "\x1b[" in colored
    assert [plain(line) for line in colored.splitlines()] == render_drift(FULL).splitlines()
    assert "\x1b" not in render_drift(STRANGE)
    narrow = [line for line in render_drift(FULL, width=60).splitlines() if not line.startswith("  =")]
    assert max(map(len, narrow)) <= 66


def schema() -> dict[str, Any]:
    """Return the JSON Schema that the page shows."""
    found: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0])
    return found


@pytest.mark.parametrize("report", [CALM, NOTHING, FULL, STRANGE])
def test_json(report: DriftReport) -> None:
    """The JSON form follows the schema of its page, which has exactly its fields."""
    body = json.loads(json.dumps(drift_json(report, POSITIONS)))
    jsonschema.Draft202012Validator(schema()).validate(body)
    assert body.keys() == schema()["properties"].keys()
    for each in body["drift"]:
        assert each.keys() == schema()["properties"]["drift"]["items"]["properties"].keys()


def test_json_values() -> None:
    """Times are plain numbers, places are files and lines, the summary counts resources."""
    body = drift_json(FULL, POSITIONS)
    assert body["drift"][1] == {
        "address": "training.digits",
        "what": "V0001 is gone from its store (2 objects missing)",
        "since": None,
        "last_seen": NOW - 8000,
        "file": "specs/a,b:c.yaml",
        "line": 3,
    }
    assert body["summary"] == {"drifted": 2, "undecided": 2, "held": 1}


def test_markdown() -> None:
    """A heading, the summary, a table; every row has as many cells as its head, whatever the words are."""
    shown = drift_forms.render_markdown(FULL, POSITIONS)
    assert shown.startswith("### Drift of digits\n\nDrift: 2 resources of 7 differ")
    assert "| `service.digits` | the replicas of digits&#64;0.0.1 are gone | for 3 min 05 s, since" in shown
    assert "| `specs/a,b:c.yaml:3` |" in shown
    assert "| `service.other` | 2026-10-25 00:40:00 UTC |" in shown
    assert drift_forms.render_markdown(CALM, {}) == "### Drift of digits\n\nNo drift: 7 resources are as recorded.\n"
    strange = drift_forms.render_markdown(STRANGE, {})
    assert "<b>" not in strange
    assert "@ada" not in strange
    tables = [line for line in strange.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables[:3]} == {5}


def test_github() -> None:
    """A warning per difference at its file and line, an error per place; nothing of the words becomes a command."""
    lines = drift_forms.render_github(FULL, POSITIONS).splitlines()
    assert lines[0].startswith("::warning title=Drift%3A service.digits::the replicas of digits@0.0.1 are gone (for")
    assert lines[1].startswith("::warning file=specs/a%2Cb%3Ac.yaml,line=3,col=1,title=Drift%3A training.digits::V0001")
    assert lines[3] == (
        "::error title=Unreachable%3A local%3A.specforge/pools/here::permission denied; "
        "undecided: pool.here, service.digits"
    )
    assert lines[5].startswith("::notice title=On hold%3A service.other::stopped for 3 days")
    assert lines[-1].startswith("::notice title=Drift of digits::Drift: 2 resources of 7")
    for line in drift_forms.render_github(STRANGE, {}).splitlines():
        assert line.startswith(("::warning ", "::error title=Unreachable", "::notice "))


def test_junit() -> None:
    """A case per recorded resource: drift fails, what cannot be reached is an error, a hold is skipped."""
    shown = drift_forms.render_junit(FULL, [STORE, TRAINING], POSITIONS)
    root = ET.fromstring(shown)
    assert root.attrib == {"name": "spec drift", "tests": "5", "failures": "2", "errors": "1", "skipped": "1"}
    found = {case.get("name"): [each.tag for each in case] for case in root.iter("testcase")}
    assert found == {
        "pool.here": ["error"],
        "service.digits": ["failure"],
        "service.other": ["skipped"],
        "store.artifacts": [],
        "training.digits": ["failure"],
    }
    training = root.find(".//testcase[@name='training.digits']")
    assert training is not None
    assert (training.get("file"), training.get("line")) == ("specs/a,b:c.yaml", "3")
    assert "the evaluation of V0001 is gone" in (training[0].text or "")
    assert root[0].get("timestamp") == "2026-10-28T12:00:00"


@pytest.mark.parametrize("report", [CALM, NOTHING, STRANGE])
def test_junit_is_well_formed(report: DriftReport) -> None:
    """Whatever the words are, the report is XML, and its numbers are those of its cases."""
    root = ET.fromstring(drift_forms.render_junit(report, [STORE], {}))
    assert int(root.get("tests", "")) == len(list(root.iter("testcase")))
    assert int(root.get("failures", "")) == len(list(root.iter("failure")))
    assert int(root.get("errors", "")) == len(list(root.iter("error")))
