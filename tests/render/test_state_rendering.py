"""What was recorded, as text and JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from specforge.core.address import Address
from specforge.core.serving import ReplicaGroup
from specforge.core.state import Evidence, HistoryEntry, Intent, Newcomers, Resource, State, StateRef, Status, Version
from specforge.core.values import EMPTY, Frozen, Place, frozen
from specforge.render import state as rendering

TRAINING, DATA = Address("training", "digits"), Address("dataset", "digits")
STORE = Place("folder", ".specforge/artifacts")
FIGURES = frozen({"accuracy": 0.98611111, "samples": 360, "labels": {"0": {"precision": 1.0, "recall": 0.97}}})


def resource(**more: object) -> Resource:
    """Return a recorded training with one current and one refused version."""
    evidence = Evidence("e" * 64, 1, FIGURES)
    first = Version(
        "V0001", "a" * 64, 1, "b" * 64, EMPTY, "{}", evidence=evidence, inputs=Frozen({"dataset.digits": "V001"}),
        seconds=4.2, created=1_800_000_000.0,
    )  # fmt: skip
    second = Version("V0002", "c" * 64, 1, "d" * 64, EMPTY, "{}", Status.REFUSED)
    spec = '{"name":"digits","parameters":{"C":10}}'
    return Resource(
        TRAINING, "artifact", spec, STORE, current="V0001", versions=(first, second), waits_for=(DATA,), **more
    )


def test_resource() -> None:
    """One resource: its versions newest first, identities whole, figures rounded."""
    shown = rendering.render_resource(resource())
    assert shown.index("V0002  refused") < shown.index("V0001  ready, current")
    assert "a" * 64 in shown
    assert "accuracy  0.9861" in shown
    assert "inputs    dataset.digits V001" in shown
    assert '  parameters: {"C": 10}' in shown


def test_versions_in_a_store_that_it_was_moved_to() -> None:
    """What is refused there is shown beside what is current."""
    refused = Version("V0001", "f" * 64, 1, "0" * 64, EMPTY, "{}", Status.REFUSED)
    moved = resource(newcomers=Newcomers(Place("folder", "elsewhere"), (refused,)))
    shown = rendering.render_resource(moved)
    assert shown.index("V0001  ready, current") < shown.index("in folder:elsewhere, where none is accepted yet")
    assert shown.count("V0001  refused") == 1
    found = rendering.resource_json(moved)["newcomers"]
    assert (found["place"], [each["version"] for each in found["versions"]]) == ("folder:elsewhere", ["V0001"])
    assert rendering.resource_json(resource())["newcomers"] is None


def test_status() -> None:
    """The status says what a person wants to know first."""
    assert rendering.status_words(resource()) == "ready"
    assert rendering.status_words(resource(below_accept=("accuracy 0.9, wanted at least 0.95",))) == "below accept"
    intent = Intent("op", "output", "a" * 64, 1, "{}", (), 0.0, "retrain")
    assert rendering.status_words(resource(intent=intent)) == "interrupted while it was to retrain"


def test_list() -> None:
    """The list has one aligned line a resource; its JSON the same."""
    state = State(StateRef("l", 3), "digits", "default", {TRAINING: resource(updated=1_800_000_000.0)})
    assert rendering.render_list(state).splitlines() == [
        "ADDRESS          CURRENT  STATUS  UPDATED",
        "training.digits  V0001    ready   2027-01-15 08:00:00 UTC",
    ]
    assert rendering.list_json(state)["resources"][0]["current"] == "V0001"
    assert rendering.render_list(State()) == "Nothing is recorded.\n"


def test_json_is_json() -> None:
    """Places in outputs become text; the rest is plain JSON."""
    body = rendering.resource_json(resource(outputs=Frozen({"place": STORE})))
    assert json.loads(json.dumps(body))["outputs"] == {"place": "folder:.specforge/artifacts"}
    assert body["versions"][0]["evidence"]["figures"]["samples"] == 360


def test_history() -> None:
    """A line an entry, identities shortened."""
    entry = HistoryEntry(
        4, 1_800_000_000.0, "op", TRAINING, "run ended", Frozen({"identity": "a" * 64, "outcome": "failed"})
    )
    shown = rendering.render_history([entry])
    assert shown == "4  2027-01-15 08:00:00 UTC  training.digits  run ended  identity aaaaaaaaaaaa, outcome failed\n"
    assert rendering.history_json([entry])[0]["event"] == "run ended"
    assert rendering.render_history([]) == "Nothing has happened yet.\n"


def served(**changes: object) -> Resource:
    """A service with two groups of replicas."""
    place = Place("local", "pools/here")
    groups = (
        ReplicaGroup("service.digits-aaa", "a" * 64, place, "model.digits@0.0.1", 90, 3),
        ReplicaGroup("service.digits-bbb", "b" * 64, place, "model.digits", 10, 1),
    )
    made = Resource(Address("service", "digits"), "service", '{"name":"digits"}', place, groups=groups)
    return replace(made, **changes)


def test_a_service_shows_its_replicas() -> None:
    """Which group gets which share, and how many answer."""
    assert rendering.render_resource(served()).splitlines() == [
        "service.digits",
        "  lifecycle  service",
        "  status     serving",
        "  place      local:pools/here",
        "  updated    1970-01-01 00:00:00 UTC",
        "",
        "replicas",
        "  GROUP               SERVES              SHARE  COUNT",
        "  service.digits-aaa  model.digits@0.0.1  90%    3",
        "  service.digits-bbb  model.digits        10%    1",
        "",
        "spec",
        "  name: digits",
    ]


def test_a_service_in_json() -> None:
    """Groups with their identities, and the hold."""
    found = rendering.resource_json(served(held=5.0))
    assert [(each["name"], each["weight"], each["count"], each["serves"]) for each in found["groups"]] == [
        ("service.digits-aaa", 90, 3, "model.digits@0.0.1"),
        ("service.digits-bbb", 10, 1, "model.digits"),
    ]
    assert (found["held"], found["groups"][0]["identity"], found["groups"][0]["place"]) == (
        5.0,
        "a" * 64,
        "local:pools/here",
    )


def test_a_hold_is_a_status() -> None:
    """Stopped on purpose, since then."""
    assert rendering.status_words(served(held=0.0, groups=())) == "on hold since 1970-01-01 00:00:00 UTC"
