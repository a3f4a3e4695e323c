"""Services through the real command: replicas under a supervisor, requests through the gateway."""

from __future__ import annotations

import json

import pytest
from shopfront import Load, ask
from workshop import until


def test_a_model_is_served_and_a_second_apply_restarts_nothing(served):
    """The address answers; nothing is planned, and the same processes go on."""
    assert ask(served.port) == "10.0"
    before = served.processes()
    assert len(before) == 3  # supervisor, gateway, replica
    assert served.is_clean()
    served.spec("apply", "--yes")
    assert served.processes() == before


def test_a_change_under_load_loses_no_request(served):
    """The new model takes over; every request is answered by the old one or by the new one."""
    old = served.processes()
    with Load(served.port) as load:
        served.train("10.0", "5.0")
        served.spec("apply", "--yes")
        done = load.asked
        until(lambda: load.asked > done + 200)
    assert load.failures == []
    assert set(load.labels) == {"10.0", "5.0"}
    assert load.asked > 1000
    assert ask(served.port) == "5.0"
    new = served.processes()
    assert len(new) == 3
    assert len(old.keys() & new.keys()) == 2  # the supervisor and the gateway stay
    assert served.is_clean()


def test_a_model_rebuilt_to_equal_bytes_starts_nothing(served):
    """A comment in the boot file: trained again, the same bytes, so everything behind is cut off."""
    before = served.processes()
    served.write("code/train.py", (served.root / "code/train.py").read_text() + "# a comment\n")
    served.spec("apply", "--yes")
    assert served.processes() == before
    assert served.is_clean()


@pytest.mark.parametrize(
    ("label", "within", "words"),
    [("13.0", "20s", "this model is broken"), ("14.0", "2s", "loading 14.0"), ("15.0", "20s", "the model gives up")],
)
def test_a_model_that_never_gets_ready_leaves_the_old_one_serving(served, label, within, words):
    """The apply fails with the last lines of its log; what was started is gone, and was never asked."""
    before = served.processes()
    served.edit("specs/serve.yaml", "ready_within: 20s", f"ready_within: {within}")
    served.train("10.0", label)
    with Load(served.port, clients=2) as load:
        failed = served.spec("apply", "--yes", code=1)
    assert words in failed.stdout + failed.stderr
    assert load.failures == []
    assert set(load.labels) == {"10.0"}
    assert served.processes() == before
    assert served.pending() == {"service.digits": "update"}
    served.train(label, "10.0")
    served.spec("apply", "--yes")
    assert served.processes() == before
    assert served.is_clean()


def test_requests_are_shared_by_weight(served):
    """90 to 10, within two points of 10,000 requests; then all of them to one again."""
    served.train("10.0", "5.0")
    served.spec("apply", "--yes")
    alone = "model: digits\n"
    shares = "serves:\n  - {model: digits@0.0.1, weight: 90}\n  - {model: digits@0.0.2, weight: 10}\n"
    served.edit("specs/serve.yaml", alone, shares)
    served.spec("apply", "--yes")
    with Load(served.port, clients=8) as load:
        until(lambda: load.asked >= 10_000, 120)
    assert load.failures == []
    assert load.labels["5.0"] / load.asked == pytest.approx(0.10, abs=0.02)
    assert served.is_clean()
    served.edit("specs/serve.yaml", shares, alone)
    served.spec("apply", "--yes")
    assert {ask(served.port) for _ in range(50)} == {"5.0"}
    assert len(served.processes()) == 3


def test_replicas_are_added_and_taken_away(served):
    """The first one goes on all the while."""
    before = served.processes()
    served.edit("specs/serve.yaml", "model: digits\n", "model: digits\nreplicas: 3\n")
    served.spec("apply", "--yes")
    more = served.processes()
    assert (len(more), before.items() <= more.items()) == (5, True)
    served.edit("specs/serve.yaml", "replicas: 3\n", "")
    served.spec("apply", "--yes")
    assert served.processes() == before


def test_another_port_is_another_address(served):
    """The replicas stay; the old address is given up."""
    from shopfront import free_port

    port = free_port()
    served.edit("specs/serve.yaml", f"port: {served.port}", f"port: {port}")
    served.spec("apply", "--yes")
    assert ask(port) == "10.0"
    with pytest.raises(OSError):
        ask(served.port)
    assert served.is_clean()


def test_destroy_stops_what_was_started_and_nothing_else(served):
    """No process is left, the published data stay; twice is fine; an apply brings it back without training."""
    done = served.spec("destroy", "--yes")
    assert "stay" in done.stdout
    assert served.processes() == {}
    with pytest.raises(OSError):
        ask(served.port)
    served.spec("destroy", "--yes")
    served.spec("apply", "--yes")
    assert ask(served.port) == "10.0"
    assert served.current("model.digits") == "0.0.1"


def test_a_service_no_longer_declared_is_deleted(served):
    """Its model stays."""
    served.edit("specs/serve.yaml", (served.root / "specs/serve.yaml").read_text().partition("---")[2], "\n")
    assert served.pending() == {"service.digits": "delete"}
    served.spec("apply", "--yes")
    assert served.processes() == {}
    assert served.is_clean()


# ---- killed ----


def _killed_at(served, number):
    """Apply, and kill it at the n-th event about the service; returns whether there was such an event."""
    process = served.start("apply", "--yes", "--json")
    seen = 0
    for line in process.stdout:
        if line.startswith("{") and json.loads(line).get("address") == "service.digits":
            seen += 1
            if seen == number:
                served.kill(process)
                return True
    process.wait(30)
    return False


def test_killed_at_every_step_of_a_change_the_next_apply_converges(served):
    """At every event of the change: traffic as before or after, then converged, and nothing left over."""
    labels, number = ["10.0", "5.0"], 1
    while True:
        served.train(*labels)
        with Load(served.port, clients=1) as load:
            happened = _killed_at(served, number)
            served.spec("apply", "--yes")
        assert load.failures == [], f"event {number}"
        assert set(load.labels) <= set(labels)
        assert ask(served.port) == labels[1]
        assert len(served.processes()) == 3, f"event {number}: {served.processes()}"
        assert served.is_clean()
        labels.reverse()
        if not happened:
            break
        number += 1
    assert number > 4


def test_killed_and_edited_back_the_next_apply_takes_the_new_ones_away(served):
    """What was begun is recorded, so that it can be taken away by whoever comes next."""
    before = served.processes()
    for number in (2, 4, 6):
        served.train("10.0", "5.0")
        _killed_at(served, number)
        served.train("5.0", "10.0")
        served.spec("apply", "--yes")
        assert ask(served.port) == "10.0"
        assert len(served.processes()) == 3
        assert served.is_clean()
    assert before.keys() & served.processes().keys()


def test_killed_while_it_first_starts(declared):
    """Every event of the first apply: the next one finishes, or destroy leaves nothing."""
    for number in (1, 2, 3, 4, 5):
        _killed_at(declared, number)
        declared.spec("apply", "--yes")
        assert ask(declared.port) == "10.0"
        assert len(declared.processes()) == 3
        declared.spec("destroy", "--yes")
        assert declared.processes() == {}
