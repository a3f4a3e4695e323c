"""`spec logs` of a service, through the real command."""

from __future__ import annotations

import json

from shopfront import ask


def test_the_logs_of_a_service_are_those_of_its_replicas(served):
    """What replicas print is given, with their numbers if there are several; requests are in it."""
    served.edit("specs/serve.yaml", "model: digits\n", "model: digits\nreplicas: 2\n")
    served.spec("apply", "--yes")
    ask(served.port)
    lines = served.spec("logs", "service.digits").stdout.splitlines()
    assert {line.partition(" | ")[0] for line in lines} == {"1", "2"}
    assert any("POST" in line for line in lines)
    entry = json.loads(served.spec("logs", "--json", "service.digits").stdout.splitlines()[0])
    assert entry.keys() == {"at", "step", "text"}
    assert served.spec("logs", "--since", "2099-01-01", "service.digits").stdout == ""


def test_the_log_of_what_never_got_ready_stays(served):
    """Its replicas are taken away, and `spec logs` still shows what they printed, beside those that serve."""
    served.train("10.0", "13.0")
    served.spec("apply", "--yes", code=1)
    done = served.spec("logs", "service.digits")
    assert "this model is broken" in done.stdout
    assert len(done.stderr.splitlines()) == 2
