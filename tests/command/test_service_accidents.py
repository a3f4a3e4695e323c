"""What befalls a service: `spec drift` says what and since when, `spec apply` repairs just that."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from pathlib import Path

import pytest
from shopfront import ask
from workshop import png, until


def pid_of(served, word: str) -> int:
    """Return the process whose command has the word."""
    (found,) = [pid for pid, command in served.processes().items() if word in command]
    return found


def replica(served) -> int:
    """The process of the only replica."""
    return pid_of(served, " serve --package")


def gateway(served) -> int:
    """The gateway's process."""
    return pid_of(served, "envoy")


def supervisor(served) -> int:
    """The process that keeps the others up."""
    (found,) = served.processes().keys() - {replica(served), gateway(served)}
    return found


def is_drift(served, what: str) -> None:
    """There is just this drift, in text and by exit code, with when it was."""
    found = served.drift(code=2)["drift"]
    assert [each["address"] for each in found] == ["service.digits"] * len(found)
    assert any(what in each["what"] for each in found), found
    assert all((each["since"] is None) != (each["last_seen"] is None) for each in found)
    assert what in served.spec("drift", code=2).stdout


def is_repaired(served) -> None:
    """An apply with one change brings it back."""
    assert served.pending() == {"service.digits": "update"}
    served.spec("apply", "--yes")
    assert ask(served.port) == "10.0"
    served.drift(code=0)
    assert served.is_clean()
    assert len(served.processes()) == 3


def test_no_accident_no_drift(served):
    """All is as recorded; and the files may be broken."""
    assert "drift" in served.spec("drift").stdout.lower()
    served.write("specs/broken.yaml", "kind: [")
    assert served.drift(code=0)["drift"] == []


def test_a_killed_replica_is_started_again_by_its_supervisor(served):
    """Nobody has to apply anything."""
    before = replica(served)
    os.kill(before, signal.SIGKILL)
    until(lambda: any(" serve --package" in each for pid, each in served.processes().items() if pid != before))

    def answers() -> bool:
        try:
            return ask(served.port) == "10.0"
        except (AssertionError, OSError):
            return False

    until(answers)
    until(lambda: served.drift()["drift"] == [])
    assert served.is_clean()


def test_a_service_that_was_killed_as_a_whole_is_started_again(served):
    """Supervisor, replica and gateway gone at once."""
    for pid in (supervisor(served), replica(served), gateway(served)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: served.processes() == {})
    is_drift(served, "are gone")
    is_drift(served, "nothing listens")
    is_repaired(served)


def test_a_killed_gateway_comes_back_by_itself(served):
    """It is kept up as the replicas are."""
    before = gateway(served)
    os.kill(before, signal.SIGKILL)
    until(lambda: any("envoy" in each for pid, each in served.processes().items() if pid != before))
    until(lambda: served.drift()["drift"] == [])
    assert ask(served.port) == "10.0"


def _supervised(served, method: str) -> None:
    """Do something to every program by hand, as with supervisorctl."""
    import http.client
    import xmlrpc.client

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            folder = os.open(served.pool / "supervisor", os.O_PATH)
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(f"/proc/self/fd/{folder}/socket")
            os.close(folder)

    class Transport(xmlrpc.client.Transport):
        def make_connection(self, host: object) -> http.client.HTTPConnection:
            self.close()  # supervisor answers one call a connection
            self._connection = (host, Connection("localhost"))
            return self._connection[1]

    with xmlrpc.client.ServerProxy("http://localhost", transport=Transport()) as proxy:
        for each in proxy.supervisor.getAllProcessInfo():
            getattr(proxy.supervisor, method)(f"{each['group']}:{each['name']}")


def test_a_service_stopped_by_hand_is_drift(served):
    """Somebody used supervisor's own tool."""
    _supervised(served, "stopProcess")
    until(lambda: len(served.processes()) <= 1)
    assert served.drift(code=2)["drift"]
    is_repaired(served)


def test_the_gateways_files_edited_by_hand_are_drift(served):
    """They are named, and written again; no process is restarted for it."""
    before = served.processes()
    (routes,) = served.pool.glob("routes/service.digits-*")
    edited = next(each for each in sorted(routes.rglob("*")) if "routes" in each.name and each.is_file())
    edited.chmod(0o600)
    edited.write_text(edited.read_text().replace("digits", "diqits"))
    is_drift(served, "edited by hand")
    is_repaired(served)
    assert served.processes() == before


def _objects(served) -> dict[str, Path]:
    """Published objects by what is in them."""
    store = served.root / ".specforge/artifacts/objects"
    return {each.read_bytes().decode("latin1"): each for each in store.rglob("*") if each.is_file()}


@pytest.mark.parametrize("deleted", [True, False])
def test_a_published_object_that_is_lost_is_made_again(served, deleted):
    """Deleted, or overwritten with the size kept: it is drift, and only what lost it is made again."""
    (model,) = [path for content, path in _objects(served).items() if content == "10.0"]
    before = served.processes()
    model.chmod(0o644)
    if deleted:
        model.unlink()
    else:
        model.write_text("99.0")
    found = served.drift(code=2)["drift"]
    assert {each["address"] for each in found} == {"training.digits", "model.digits"}
    how = "gone from its store" if deleted else "not what was published"
    assert all(how in each["what"] for each in found)
    plan = served.plan()
    lost = [each["address"] for each in plan["changes"] if each["action"] == "new version"]
    assert lost == ["training.digits", "model.digits"]
    served.spec("apply", "--yes")
    assert model.read_text() == "10.0"
    assert served.current("training.digits") == "V0001"
    served.drift(code=0)
    assert served.is_clean()
    assert served.processes() == before


def test_a_lost_version_that_comes_out_otherwise_is_a_new_one(declared):
    """Each training leaves other bytes: what is lost cannot come back, so a new version takes its place everywhere."""
    declared.edit("code/train.py", 'write_text(options["C"])', "write_text(os.urandom(4).hex())")
    declared.spec("apply", "--yes")
    label = ask(declared.port)
    (model,) = [path for content, path in _objects(declared).items() if content == label]
    model.chmod(0o644)
    model.unlink()
    assert declared.drift(code=2)["drift"]
    declared.spec("apply", "--yes")
    assert (declared.current("training.digits"), declared.current("model.digits")) == ("V0002", "0.0.2")
    assert ask(declared.port) not in (label, "")
    recorded = json.loads(declared.spec("show", "training.digits", "--json").stdout)["recorded"]
    statuses = {each["version"]: (each["status"], each["reproducible"]) for each in recorded["versions"]}
    assert statuses["V0001"] == ("lost", "no")
    declared.drift(code=0)
    assert declared.is_clean()


def test_a_lost_version_that_is_pinned_and_whose_source_moved_on_is_an_error(served):
    """It names who pins it, and the place in the file."""
    served.edit("specs/train.yaml", "inputs: {data: digits}", "inputs: {data: digits@V001}")
    served.write("data/digits/1/more.png", png(7))
    served.spec("apply", "--yes")
    assert served.current("dataset.digits") == "V002"
    store = served.root / ".specforge/artifacts"
    (identity,) = [
        each["identity"]
        for each in json.loads(served.spec("show", "dataset.digits", "--json").stdout)["recorded"]["versions"]
        if each["version"] == "V001"
    ]
    (tree,) = json.loads((store / "identities" / identity / "1").read_text())["trees"].values()
    (store / "objects" / tree[:2] / tree).unlink()
    refused = served.spec("plan", code=1)
    assert "dataset.digits@V001 are gone" in refused.stdout + refused.stderr
    assert "specs/train.yaml:13" in refused.stdout + refused.stderr


def test_a_hold_is_no_drift(served):
    """Stopped on purpose: not drift, not repaired; started again it answers."""
    served.spec("stop", "service.digits", "--yes")
    assert served.processes() == {}
    report = served.drift(code=0)
    assert [each["address"] for each in report["held"]] == ["service.digits"]
    assert served.is_clean()
    assert "on hold" in served.spec("plan").stdout
    failed = served.spec("predict", "digits", "data/digits/0/0.png", code=1)
    assert "spec start" in failed.stderr
    served.spec("start", "service.digits", "--yes")
    assert ask(served.port) == "10.0"
    assert served.spec("predict", "digits", "data/digits/0/0.png").stdout.split()[-1] == "10.0"
    assert served.is_clean()


# ---- wrong input ----


def test_a_port_that_is_taken_is_named(declared):
    """The apply fails and says which port; nothing is left running."""
    with socket.create_server(("127.0.0.1", declared.port)):
        failed = declared.spec("apply", "--yes", code=1)
    assert str(declared.port) in failed.stdout
    assert "hint" in failed.stdout
    assert declared.processes() == {}
    declared.spec("apply", "--yes")
    assert ask(declared.port) == "10.0"


def test_a_secret_is_in_the_replica_and_nowhere_else(declared):
    """Neither in a plan, nor in the state, nor in a log; a changed one starts new replicas."""
    declared.edit("specs/serve.yaml", "model: digits\n", "model: digits\nsecrets: {TOKEN: {env: SHOP_TOKEN}}\n")
    missing = declared.spec("plan", code=1)
    assert "SHOP_TOKEN" in missing.stdout + missing.stderr
    declared.environment["SHOP_TOKEN"] = "hunter2"
    done = declared.spec("apply", "--yes", "--json")
    assert "hunter2" not in done.stdout + done.stderr
    assert b"TOKEN=hunter2" in Path(f"/proc/{replica(declared)}/environ").read_bytes().split(b"\0")
    state = declared.root / ".specforge/state.db"
    with sqlite3.connect(state) as database:
        assert "hunter2" not in "\n".join(database.iterdump())
    assert declared.is_clean()
    declared.environment["SHOP_TOKEN"] = "hunter3"
    assert declared.pending() == {"service.digits": "update"}
    declared.spec("apply", "--yes")
    assert b"TOKEN=hunter3" in Path(f"/proc/{replica(declared)}/environ").read_bytes().split(b"\0")
