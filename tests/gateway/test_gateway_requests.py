"""What a request meets on its way: headers, dead and busy replicas, slow clients, large bodies, its time."""

from __future__ import annotations

import os
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from gateway_bench import PATIENCE, Client, Service, until

from specforge.core.serving import Listen
from specforge.executors.gateway.routes import take_out

A, B = "service.digits-a", "service.digits-b"


def head_at_replica(service, *headers):
    """Return the headers of a request as the replica gets them."""
    _, text = service.ask("/headers", headers=headers)
    lines = text.split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines if line)


def test_nothing_of_envoy_is_seen(service):
    """Neither the replica nor the client sees headers that are Envoy's own; the replica learns who asks."""
    service.serve(A)
    seen = head_at_replica(service, "x-envoy-retry-on: 5xx", "x-mine: yes")
    assert not [name for name in seen if name.startswith("x-envoy") or name == "x-request-id"]
    assert seen["x-mine"] == "yes"
    assert seen["host"] == "service"
    assert seen["x-forwarded-for"]
    status, headers, _ = service.client.ask()
    assert status == 200
    assert set(headers) <= {"content-length", "date"}


def test_routes_cannot_be_asked_for_their_version(service):
    """What answers the prober is out of reach for everybody else."""
    service.serve(A)
    assert service.ask("/") == (200, A)
    assert service.admin.route_version() not in service.ask("/")[1]


def test_no_healthy_replica_is_said_in_words(service):
    """When the only replica is dead, the answer is a 503 that says so; when it is back, requests reach it."""
    (replica,) = service.serve(A)
    replica.close()
    status, text = service.ask()
    assert (status, "no replica of this service is healthy" in text) == (503, True)
    service.bench.replicas(A)
    until(lambda: service.ask() == (200, A), "the replica to be found again")


def test_a_dead_replica_costs_no_request(service):
    """With a replica dead, every request begun afterwards is answered by the other one."""
    first, second = service.bench.replicas(A, 1), service.bench.replicas(A, 2)
    service.set({A: 100})
    assert service.who(20) == {A}
    assert first.requests
    assert second.requests
    first.close()
    before = second.requests
    assert {service.ask()[0] for _ in range(200)} == {200}
    assert second.requests == before + 200


def test_an_unhealthy_replica_gets_nothing(service):
    """A replica that says that it is not well is left out until it says otherwise."""
    first, second = service.bench.replicas(A, 1), service.bench.replicas(A, 2)
    service.set({A: 100})
    first.health = 503
    until(lambda: sum(service.admin.health()[A].values()) == 1, "the replica to be left out")
    before = first.requests
    assert {service.ask()[0] for _ in range(50)} == {200}
    assert first.requests == before
    first.health = 200
    until(lambda: sum(service.admin.health()[A].values()) == 2, "the replica to be taken back")
    assert second.requests


def test_more_replicas_are_found(service):
    """Setting the same routes again leads requests to replicas that came since, by the same process."""
    service.serve(A)
    before = service.look()
    more = service.bench.replicas(A, 1)
    service.set({A: 100})
    until(lambda: service.ask()[0] == 200 and more.requests, "the new replica to be asked")
    assert service.look() == before


def test_a_replica_that_ends_is_taken_out_before(service):
    """Taken out under load and ended then, a replica costs no request; the last one of a group is not taken out."""
    first, second = service.bench.replicas(A, 1), service.bench.replicas(A, 2)
    service.set({A: 100})
    stop = threading.Event()

    def load():
        client, count = Client(service.listen), 0
        while not stop.is_set():
            status, _, _ = client.ask()
            assert status == 200
            count += 1
        client.close()
        return count

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(load) for _ in range(4)]
        until(lambda: second.requests > 200, "requests")
        take_out(service.pool, A, [2], service.context())
        until(lambda: not second.connections(), "the gateway to let go of it")
        before = second.requests
        second.close()
        after = first.requests
        until(lambda: first.requests > after + 500, "requests")
        stop.set()
        assert sum(each.result(PATIENCE) for each in futures) > 700
    assert second.requests == before
    take_out(service.pool, A, [1], service.context())
    assert service.ask() == (200, A)
    take_out(service.pool, "service.other", [1], service.context())


def test_requests_come_in_bunches(service):
    """The gateway does not interrupt a replica for each request, so that a batch can gather."""
    service.serve(A)
    assert os.sched_getscheduler(service.look().facts["pid"]) == os.SCHED_BATCH


def test_large_bodies_pass(service):
    """How large a body may be is for the model server to say."""
    service.serve(A)
    assert service.ask("/length", method="POST", body=b"x" * (20 << 20)) == (200, str(20 << 20))


def test_a_request_has_its_time(service):
    """A request that takes longer than `timeout` is answered with 504, and the next one is answered."""
    service.bench.replicas(A)
    service.set({A: 100}, timeout=0.2)
    assert service.ask("/hold")[0] == 504
    assert service.ask() == (200, A)
    service.set({A: 100}, timeout=30.0)
    with service.bench.held(service.listen) as answer:
        assert answer() == A


def test_a_thousand_slow_clients_hurt_nobody(service):
    """While a thousand clients have sent half a request, the others are answered."""
    service.serve(A)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, max(soft, 2048))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        with ExitStack() as slow:
            for _ in range(min(1000, most - 200)):
                connection = slow.enter_context(socket.create_connection((service.listen.host, service.listen.port)))
                connection.sendall(b"POST / HTTP/1.1\r\nhost: service\r\ncontent-le")
            assert {service.ask()[0] for _ in range(100)} == {200}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_long_and_foreign_names(tmp_path):
    """Names of any length and script, in a folder that is deep: sockets are reached all the same."""
    deep = tmp_path / ("深" * 60) / ("x" * 100)
    deep.mkdir(parents=True)
    service = Service(deep)
    service.route = f"service.{'图' * 60}-0123456789ab"
    group = f"service.{'图' * 60}-ba9876543210"
    try:
        service.bench.replicas(group)
        service.set({group: 100})
        assert service.ask() == (200, group)
        assert service.look().facts["weights"] == {group: 100}
    finally:
        service.close()


def test_both_families(service):
    """`0.0.0.0` is reached at the loopback address, `::1` at itself, `::` at both."""
    service.bench.replicas(A)
    if not socket.has_ipv6:
        hosts = {"0.0.0.0": ["127.0.0.1"]}
    else:
        hosts = {"0.0.0.0": ["127.0.0.1"], "::1": ["::1"], "::": ["::1", "127.0.0.1"]}
    port = service.listen.port
    for host, asked in hosts.items():
        service.listen = Listen(host, port)
        service.set({A: 100})
        assert service.look().facts["listen"] == str(service.listen)
        for each in asked:
            assert service.bench.request(Listen(each, port)) == A


def test_a_moved_project_goes_on(tmp_path):
    """A project that is moved while it serves goes on serving, and is changed and ended at its new place."""
    service = Service(tmp_path / "before")
    try:
        service.serve(A, B)
        pid = service.look().facts["pid"]
        (tmp_path / "before").rename(tmp_path / "after")
        moved = Service(tmp_path / "after")
        moved.listen, moved.client.listen = service.listen, service.listen
        assert moved.ask() == (200, A)
        moved.set({B: 100})
        assert moved.ask() == (200, B)
        assert moved.look().facts["pid"] == pid
        moved.set({})
        assert moved.bench.request(moved.listen) == 0
        moved.close()
    finally:
        service.bench.close()
        service.client.close()
