"""Events as JSON lines follow the schema that is in docs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.source import Span
from specforge.engine import events
from specforge.render.events import NAMES, error_json, event_schema, events_json

SCHEMA = Path(__file__).parents[2] / "docs" / "events.schema.json"
ADDRESS = Address("training", "digits")
PROBLEM = Diagnostic("SF440", "The job failed", "`train` exited with 3", span=Span("specs/a.yaml", 1, 1, 1, 2))
EVENTS = (
    events.Started(1.0, "op", "digits", "default", 3),
    events.ChangeStarted(1.0, ADDRESS, "create"),
    events.StepStarted(1.0, ADDRESS, "train", "run train"),
    events.StepProgress(1.0, ADDRESS, "train", "log", "手写"),
    events.StepProgress(1.0, ADDRESS, "publish", "progress", "", 1, 2.5, "files"),
    events.ChangeEnded(1.0, ADDRESS, "create", "done", 2.0, "V0001", "accuracy 0.98"),
    events.ChangeEnded(1.0, ADDRESS, "create", "failed", 2.0, diagnostics=(PROBLEM,)),
    events.ChangeEnded(1.0, ADDRESS, "create", "skipped", 0, because=Address("dataset", "digits")),
    events.RunEnded(1.0, ADDRESS, "cancelled", "no longer wanted"),
    events.Ended(1.0, "failed", 3.0, (("done", 1), ("failed", 1))),
)


def schema() -> dict[str, Any]:
    """Return the schema made from the event classes."""
    return event_schema(get_args(events.Event), events.FORMAT)


def test_the_documented_schema_is_the_one_of_the_classes() -> None:
    """docs/events.schema.json is up to date (`UPDATE_GOLDEN=1` writes it)."""
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        SCHEMA.write_text(text, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == text


def test_every_event_class_has_a_name() -> None:
    """No event is without a name in the JSON form."""
    assert {each.__name__ for each in get_args(events.Event)} == set(NAMES)


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: type(each).__name__)
def test_events_follow_the_schema(event: Any) -> None:
    """Each event is one JSON object that the schema admits."""
    line = json.dumps(events_json(event), ensure_ascii=False)
    assert "\n" not in line
    jsonschema.Draft202012Validator(schema()).validate(json.loads(line))


def test_errors_follow_the_schema() -> None:
    """An error outside of any change is an event too."""
    jsonschema.Draft202012Validator(schema()).validate(error_json(1.0, [PROBLEM]))


def test_the_first_event_says_the_format() -> None:
    """Whoever reads can refuse a format it does not know."""
    assert events_json(EVENTS[0])["format"] == events.FORMAT


def test_a_wrong_event_is_not_admitted() -> None:
    """The schema tells wrong lines from right ones."""
    body = events_json(EVENTS[1])
    del body["address"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(body)
