"""Whoever sets routes is killed at each thing it does: traffic is as before or after, and the next call converges."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from specforge.core.queries import Presence
from specforge.executors.replicas.programs import ensure_program, stop_program
from specforge.runtimes.job import process

A, B = "service.digits-a", "service.digits-b"

# Forks a child for each line it reads, which sets the routes and is killed at its N-th event of the kinds that leave
# something behind. Answers with the number of the signal that ended it.
SETTER = """
import os, signal, sys
from pathlib import Path
from specforge.core.address import Address
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen, Key
from specforge.executors.base import StepContext, Surroundings
from specforge.executors.gateway import routes
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings

root, route, host = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
place = LocalSettings(slots=2).place("here")
effects = {"os.rename", "os.symlink", "os.mkdir", "os.rmdir", "os.posix_spawn"}
left = None

def hook(event, arguments):
    global left
    ours = event == "os.posix_spawn" or (event in effects and "/routes" in str(arguments))
    asks = event == "socket.connect" and str(arguments[1]).endswith("/socket")
    if left is not None and (ours or asks):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
for line in sys.stdin:
    at, port, *groups = line.split()
    child = os.fork()
    if child == 0:
        left = int(at)
        weights = {each: 100 // len(groups) for each in groups}
        step = SetRoutes(place, route, Listen(host, int(port)) if groups else None, Frozen(weights))
        key = Key("lineage", Address("service", "digits"), "a" * 64, 1, "routes")
        LocalExecutor(Surroundings(root, root / "cache", None)).perform(step, StepContext(key))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def killed_at(service):
    """Give a function that sets routes in another process, killed at event N; False: it got to its end before."""
    words = [sys.executable, "-c", SETTER, str(service.pool.folder.parents[2]), service.route, service.listen.host]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as setter:

        def set_and_kill(at, listen, *groups):
            setter.stdin.write(" ".join([str(at), str(listen.port), *groups]) + "\n")
            setter.stdin.flush()
            code = int(setter.stdout.readline())
            assert code in (0, -signal.SIGKILL)
            return code != 0

        yield set_and_kill
        setter.stdin.close()


def test_killed_while_it_starts(service, killed_at):
    """A first SetRoutes that is killed leaves nothing that the next one, or giving up, cannot go on from."""
    service.bench.replicas(A)
    at = 0
    while killed_at(at, service.listen, A):
        if at % 2:
            service.set({A: 100})
            assert service.who(2) == {A}
            assert service.look().facts["edited"] == ()
        service.set({})
        assert service.look().presence is Presence.ABSENT
        assert service.bench.request(service.listen) == 0
        assert not service.left()
        at += 1
    assert at > 15


def test_killed_while_it_changes_over(service, killed_at):
    """Killed between two groups and two addresses: the old ones answer, or the new ones, and never nobody."""
    service.serve(A, B)
    first, second = service.listen, service.bench.address()
    at = 0
    while killed_at(at, second, B):
        # An address may just be given up; the other one answers then.
        answers = [{service.bench.request(each) for _ in range(4)} for each in (first, second)]
        assert any(each <= {A, B} for each in answers), answers
        assert set.union(*answers) <= {A, B, 0}
        service.listen = second
        service.set({B: 100})
        assert service.who(4) == {B}
        assert service.look().facts["edited"] == ()
        pid = service.look().facts["pid"]
        service.listen = first
        service.set({A: 100})
        assert service.who(4) == {A}
        assert service.look().facts["pid"] == pid
        at += 1
    assert at > 10


def test_killed_while_it_gives_up(service, killed_at):
    """Giving up that is killed is finished by the next one: no process, no file."""
    service.bench.replicas(A)
    # Something else is kept up meanwhile, so that supervisor need not be started again and again.
    other = service.pool.folder / "other"
    ensure_program(service.pool, "other", ["sleep", "600"], other, {"PATH": os.environ["PATH"]}, other / "log")
    at = 0
    while True:
        service.set({A: 100})
        pid = service.look().facts["pid"]
        killed = killed_at(at, service.listen)
        service.set({})
        assert not process.is_same(process.card(pid))
        assert not service.left()
        if not killed:
            break
        at += 1
    assert at > 5
    stop_program(service.pool, "other", 1.0)
