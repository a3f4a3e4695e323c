"""What may happen to replicas, their supervisor and their folders, and that it is seen and repaired."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from replica_tools import KEY, left, serve, supervisor_pid, supervisors, until

from specforge.core.errors import Cancelled
from specforge.core.queries import Presence
from specforge.core.steps import EnsureReplicas
from specforge.core.values import Run
from specforge.executors.base import CancelToken, StepContext
from specforge.executors.replicas.programs import program_id
from specforge.executors.replicas.supervisord import Supervisor
from specforge.testing import stand_in

BREAKABLE = """
import os, runpy, sys
if os.path.exists("broken"):
    sys.exit(7)
runpy.run_path(sys.argv[1])["main"](*sys.argv[2:])
"""


@pytest.mark.parametrize(
    "moment", ["supervisor/card.json", "supervisor/socket", "supervisor/programs/*.conf", "supervisor/programs/*.card"]
)
def test_a_killed_command_leaves_nothing_twice(groups, moment):
    """Killed at any moment, the next command has just the replicas that are wanted, under one supervisor."""
    command = groups.command(2)
    until(lambda: any(groups.pool.glob(moment)) or command.poll() is not None, moment)
    command.kill()
    command.communicate()
    groups.ensure(2)
    assert sorted(groups.pids()) == [1, 2]
    assert len(left(groups.root)) == 2
    assert len(supervisors(groups.root)) == 1


def test_two_commands_start_one_supervisor(groups):
    """Two processes that begin at the same moment, for two groups, share one supervisor."""
    commands = [groups.command(1, "g"), groups.command(1, "other")]
    assert [command.communicate()[0] for command in commands] == ["done\n"] * 2
    assert len(supervisors(groups.root)) == 1
    assert [list(groups.pids(name)) for name in ("g", "other")] == [[1], [1]]
    groups.take_away("g")
    assert len(supervisors(groups.root)) == 1
    groups.take_away("other")
    assert supervisors(groups.root) == []


def test_replicas_that_outlive_their_supervisor_are_seen_and_replaced(groups):
    """They go on answering, the group is absent because nobody keeps it, and the next command cleans up."""
    groups.ensure(2)
    before = groups.pids()
    alive = (groups.pool / "supervisor" / "card.json").stat().st_mtime
    until(lambda: (groups.pool / "supervisor" / "card.json").stat().st_mtime > alive, "a sign of life")
    os.kill(supervisor_pid(groups.pool), signal.SIGKILL)
    until(lambda: groups.look().presence is Presence.ABSENT, "its end to be seen")
    seen = groups.look()
    assert "2 of its processes run" in seen.problem
    assert {each["pid"] for each in seen.facts["replicas"]} == set(before.values())
    assert seen.since > alive
    assert groups.call() == (200, "")
    groups.ensure(1, group="other")
    assert groups.look().since == seen.since
    groups.take_away("other")
    groups.ensure(2)
    assert sorted(groups.pids()) == [1, 2]
    assert set(groups.pids().values()).isdisjoint(before.values())
    assert len(left(groups.root)) == 2


def test_what_outlived_its_supervisor_can_be_taken_away(groups):
    """Taking a group away ends also what nobody keeps up any more, and starts no supervisor for it."""
    groups.ensure(2)
    os.kill(supervisor_pid(groups.pool), signal.SIGKILL)
    groups.take_away()
    assert left(groups.root) == []
    assert supervisors(groups.root) == []


def test_a_moved_project_keeps_its_replicas(groups):
    """After the folder is moved the same processes answer, are started again where they are now, and can be ended."""
    groups.ensure(2)
    before = groups.pids()
    groups.at(groups.root.rename(groups.root.with_name("moved")))
    assert groups.pids() == before
    assert groups.ensure(2)[0]["pid"] == before[1]
    os.kill(before[1], signal.SIGKILL)
    until(lambda: groups.pids().get(1, before[1]) != before[1], "it to be started again")
    home = f"HOME={groups.pool}/groups/g/home/1".encode()
    with open(f"/proc/{groups.pids()[1]}/environ", "rb") as file:
        assert home in file.read().split(b"\0")
    groups.ensure(3)
    assert groups.pids()[2] == before[2]
    groups.take_away()
    assert left(groups.root) == []


def test_a_copied_project_leaves_the_replicas_of_the_original_alone(groups, tmp_path):
    """A copy has the files of running replicas, and none of the replicas: it sees none, ends none, starts its own."""
    groups.ensure(1)
    before, original = groups.pids(), groups.root
    copy = tmp_path / "copy"
    shutil.copytree(
        original, copy, ignore=lambda _, names: [each for each in names if each.endswith(("sock", "socket"))]
    )
    groups.at(copy)
    assert groups.look().presence is Presence.ABSENT
    groups.ensure(1)
    assert groups.pids() != before
    groups.take_away()
    groups.at(original)
    assert groups.pids() == before


def test_a_removed_folder_of_a_group_is_seen_and_repaired(groups):
    """Replicas whose files were removed do not answer; others are not held up; the next command has them back."""
    groups.ensure(1, serve("ready", "old"))
    shutil.rmtree(groups.pool / "groups" / "g")
    seen = groups.look()
    assert (seen.presence, seen.facts["ready"], seen.problem) == (
        Presence.PRESENT,
        0,
        "the files of the group were removed",
    )
    groups.ensure(1, group="other")
    groups.ensure(1, serve("ready", "new"))
    assert groups.call() == (200, "new")
    assert len(left(groups.root)) == 2


def test_a_replica_that_hangs_is_seen_and_replaced(groups):
    """One that runs and does not answer is not ready; the next command starts it again and leaves the other alone."""
    groups.ensure(2)
    before = groups.pids()
    os.kill(before[1], signal.SIGSTOP)
    seen = groups.look(deadline=0.2)
    assert [each["state"] for each in seen.facts["replicas"]] == ["starting", "ready"]
    assert seen.facts["replicas"][0]["problem"] == "it does not answer `/health`"
    groups.ensure(2, drain=0.1)
    assert groups.pids()[1] != before[1]
    assert groups.pids()[2] == before[2]


def test_a_replica_stopped_by_hand_is_seen_and_started_again(groups):
    """What was stopped through supervisor itself stays stopped until the next command."""
    groups.ensure(2)
    before = groups.pids()
    Supervisor(groups.pool).call("stopProcess", program_id("g/1"))
    seen = groups.look()
    assert groups.states() == ["stopped", "ready"]
    assert seen.since is not None
    assert seen.facts["replicas"][0]["problem"] == "it ended: exit status 0"
    groups.ensure(2)
    assert groups.pids()[2] == before[2]
    assert groups.states() == ["ready", "ready"]


def test_one_that_ends_again_and_again_has_failed(groups):
    """A replica that was ready and cannot start any more is told as failed, with its exits and how it ended."""
    run = Run(("@python", "-I", "-S", "-c", BREAKABLE, stand_in.__file__, "@socket", "ready"))
    groups.ensure(1, run)
    (groups.pool / "groups" / "g" / "broken").touch()
    os.kill(groups.pids()[1], signal.SIGKILL)
    until(lambda: groups.states() == ["failed"], "it to fail for good")
    (shown,) = groups.look().facts["replicas"]
    assert shown["exits"] >= 2
    assert shown["problem"].endswith("it ended: exit status 7")
    (groups.pool / "groups" / "g" / "broken").unlink()
    groups.ensure(1, run)
    assert groups.states() == ["ready"]


def test_a_program_that_is_not_there_is_said_at_once(groups):
    """Nobody waits for a second try of what cannot be started."""
    error = groups.failure(1, Run(("no-such-program", "@socket")))
    assert "it cannot be started" in error.diagnostics[0].detail
    assert "`no-such-program` cannot be started: No such file or directory" in error.log


def test_a_supervisor_that_does_not_answer_is_no_evidence(groups):
    """While it hangs nothing is known, and nothing is absent."""
    groups.ensure(1)
    keeper = supervisor_pid(groups.pool)
    os.kill(keeper, signal.SIGSTOP)
    seen = groups.look(deadline=0.2)
    os.kill(keeper, signal.SIGCONT)
    assert seen.presence is Presence.UNREACHABLE
    assert "did not answer" in seen.problem


def test_asked_to_stop_while_they_drain_no_request_is_lost(groups):
    """Replicas that were asked to end go on with what they have begun; taking them away again finishes it."""
    groups.ensure(1, serve("ready", "hello"))
    token = CancelToken()
    step = EnsureReplicas(groups.place, "g", None, 0, drain=60.0)
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(groups.call, 1, "/slow")
        until(lambda: len(os.listdir(f"/proc/{groups.pids()[1]}/task")) > 1, "the request to be begun")
        doing = pool.submit(groups.executor.perform, step, StepContext(KEY, groups.recorder, token))
        until(lambda: any("last requests" in text for text in groups.recorder.texts("state")), "it to drain")
        token.cancel()
        with pytest.raises(Cancelled):
            doing.result(30)
        assert groups.states() == ["stopped"]
        (groups.pool / "groups" / "g" / "finish").touch()
        assert answer.result(30) == (200, "hello")
    groups.take_away()
    assert groups.look().presence is Presence.ABSENT
