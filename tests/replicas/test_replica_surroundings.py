"""What a replica finds around it, what is kept of what it prints, and what a pool says before it starts any."""

from __future__ import annotations

import os
import stat
import sys
import threading

import pytest
from replica_tools import KEY, call, left, serve, supervisors, until

from specforge.core.diagnostics import Severity
from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtPlace, Presence
from specforge.core.steps import EnsurePlace, EnsureReplicas
from specforge.core.values import Frozen, JobInput, Limits, Run
from specforge.executors.base import StepContext
from specforge.executors.local.settings import LocalSettings
from specforge.executors.replicas import programs
from specforge.executors.replicas.logs import time_of
from specforge.executors.replicas.supervisord import NoAnswer, Refused, Supervisor
from specforge.testing import stand_in

PRINTS = """
import runpy, sys
for number in range(int(sys.argv[2])):
    print(f"line {number:06d} " + "x" * 80)
print("last", flush=True)
runpy.run_path(sys.argv[1])["main"](*sys.argv[3:])
"""
FAILING = """
import sys
print("2026-01-01T00:00:00Z early")
print('{"at": 1767312000, "text": "late"}')
print("no time")
print("half", end="")
"""


def run_of(groups, number=1, group="g"):
    """The variables of a replica's process."""
    with open(f"/proc/{groups.pids(group)[number]}/environ", "rb") as file:
        found = file.read().decode().split("\0")
    return dict(each.split("=", 1) for each in found if each)


def test_variables_are_declared_ones_only(groups, monkeypatch):
    """Nothing of the caller's or supervisor's environment gets in; what is declared wins; folders are its own."""
    monkeypatch.setenv("SECRET", "leaked")
    step = serve()
    given = Run(step.argv, variables=Frozen({"GREETING": "你好 100%", "TZ": "Asia/Shanghai"}), limits=Limits(cpu=1.0))
    groups.ensure(2, given)
    found = run_of(groups, 2)
    assert (found["GREETING"], found["TZ"], found["LANG"]) == ("你好 100%", "Asia/Shanghai", "C.UTF-8")
    assert (found["PYTHONHASHSEED"], found["OMP_NUM_THREADS"]) == ("0", "1")
    assert found["HOME"] == str(groups.pool / "groups" / "g" / "home" / "2")
    assert found["TMPDIR"] == str(groups.pool / "groups" / "g" / "tmp" / "2")
    assert not [name for name in found if name == "SECRET" or name.startswith("SUPERVISOR")]


def test_what_holds_variables_is_the_users_alone(groups):
    """Secrets may be among them: nobody else may read the files, or ask supervisor."""
    groups.ensure(1)
    folder = groups.pool / "supervisor"
    assert stat.S_IMODE((folder / "programs").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (folder / "programs").glob("*.json")} == {0o600}
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o600


def test_inputs_are_copies_that_cannot_be_changed(groups):
    """They stay as they are when replicas are added, and come back when they were removed."""
    given = groups.trees.tree({"model/m.txt": b"weights"})
    inputs = (JobInput("model", given),)
    groups.ensure(1, inputs=inputs)
    file = groups.pool / "groups" / "g" / "in" / "model" / "model" / "m.txt"
    before = file.stat()
    assert stat.S_IMODE(before.st_mode) == 0o444
    groups.ensure(2, inputs=inputs)
    assert file.stat() == before
    file.parent.parent.chmod(0o700)
    file.parent.chmod(0o700)
    file.unlink()
    file.parent.rmdir()
    file.parent.parent.rmdir()
    groups.ensure(2, inputs=inputs)
    assert call(groups.pool / "groups" / "g", 2, "/in/model/model/m.txt") == (200, "weights")


def test_logs_are_rotated(groups):
    """Of a flood the latest is kept, within the pool's allowance; the lines are given in order."""
    groups.place = LocalSettings(log_limit=1 << 20).place("here")
    run = Run(("@python", "-I", "-S", "-c", PRINTS, stand_in.__file__, "20000", "@socket", "ready"))
    groups.ensure(1, run)
    until(lambda: groups.texts()[-1] == "last", "the end of the log")
    files = list((groups.pool / "groups" / "g" / "log").iterdir())
    assert sum(file.stat().st_size for file in files) < 1.3 * (1 << 20)
    texts = groups.texts()
    numbers = [int(text.split()[1]) for text in texts[1:-1]]
    assert numbers == list(range(numbers[0], 20_000))
    assert numbers[0] > 5000
    groups.take_away()
    assert groups.texts() == texts


def test_lines_since_a_moment(groups):
    """Lines that say when they were written are given from that moment on; those without follow the one before."""
    groups.failure(1, Run(("@python", "-c", FAILING)))
    lines = ["2026-01-01T00:00:00Z early", '{"at": 1767312000, "text": "late"}', "no time", "half"]
    assert groups.texts()[:3] == lines[:3]
    assert groups.texts()[-1] == "half"
    assert "early" not in " ".join(groups.texts(since=1767300000.0)[:2])
    assert groups.texts(since=4e9) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-01T00:00:00Z x", 1767225600.0),
        ("2026-01-01 08:00:00.5+08:00 x", 1767225600.5),
        ("2026-01-01 00:00:00,500 x", 1767225600.5),
        ('{"time": "2026-01-01T00:00:00Z"}', 1767225600.0),
        ('{"at": 12.5}', 12.5),
        ('{"at": null}', None),
        ('["at"]', None),
        ("{broken", None),
        ("no moment", None),
    ],
)
def test_a_line_may_say_when_it_was_written(text, at):
    """Moments in ISO form at its beginning, or in JSON; without a zone they are UTC."""
    assert time_of(text) == at


def test_logs_are_followed_until_nobody_keeps_the_group(groups):
    """Lines come as they are printed, also those of replicas that are added."""
    groups.ensure(1, serve("ready", "hello"))
    found = []

    def follow():
        found.extend(line.text for line in groups.executor.logs(groups.place, "g", None, follow=True))

    thread = threading.Thread(target=follow)
    thread.start()
    groups.ensure(2, serve("ready", "hello"))
    groups.take_away()
    thread.join(30)
    assert not thread.is_alive()
    assert [text.rpartition(" ")[2] for text in found] == ["hello", "hello"]


def test_logs_of_no_group(groups):
    """A group nobody has heard of has none."""
    with pytest.raises(ExecutionError, match="SF447"):
        groups.executor.logs(groups.place, "none", None, follow=False)


def test_without_supervisor_it_is_said_before_anything_starts(groups, monkeypatch):
    """The preflight says what to install, and so does the step."""
    monkeypatch.setitem(sys.modules, "supervisor", None)
    step = EnsureReplicas(groups.place, "g", serve(), 1)
    (found,) = groups.executor.preflight(groups.place, [step], 10)
    assert (found.code, found.severity) == ("SF451", Severity.ERROR)
    assert "pip install 'specforge[serve]'" in found.hint
    error = groups.failure(1)
    assert error.diagnostics[0].code == "SF451"
    assert groups.executor.preflight(groups.place, [EnsureReplicas(groups.place, "g", None, 0)], 10) == []


def test_a_pool_in_use_stays(groups):
    """A pool is not taken away while replicas run in it; afterwards nothing is left of it."""
    groups.executor.perform(EnsurePlace(groups.place, groups.place.settings), StepContext(KEY))
    groups.ensure(1)
    with pytest.raises(ExecutionError, match="1 replicas and gateways are kept up"):
        groups.executor.perform(EnsurePlace(groups.place, None), StepContext(KEY))
    groups.take_away()
    groups.executor.perform(EnsurePlace(groups.place, None), StepContext(KEY))
    query = LookAtPlace(groups.place)
    assert groups.executor.observe(groups.place, [query], 10)[query].presence is Presence.ABSENT


def test_any_name_makes_a_group(groups):
    """Names that are no names of folders, or too long for one, are as good as others."""
    for name in ("a b/c;d", "数" * 100):
        groups.ensure(1, group=name)
        assert list(groups.pids(name)) == [1]
        groups.take_away(name)
    assert left(groups.root) == []


def test_programs_are_kept_up_by_name(groups):
    """One that runs is left alone, whatever it is asked with; it is started again when it ends; then it is ended."""
    pool = groups.executor._pool(groups.place)
    folder = pool.folder / "routes" / "r"
    words = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(1000)"]
    programs.ensure_program(pool, "gateway/r", words, folder, {"A": "1"}, folder / "log" / "r.log")
    first = until(lambda: (found := programs.look_at_program(pool, "gateway/r")) and found.starts and found, "a start")
    programs.ensure_program(pool, "gateway/r", ["other"], folder, {}, folder / "log" / "r.log")
    assert programs.look_at_program(pool, "gateway/r").pid == first.pid
    asked = programs.Program("gateway/r", tuple(words), folder, {"A": "1"}, folder / "log" / "r.log", 1)
    assert programs.is_as_asked(pool, asked)
    assert not programs.is_as_asked(pool, programs.Program("gateway/r", ("other",), folder, {}, asked.log, 1))
    until(lambda: programs.log_tail(asked.log) == "up", "its first line")
    os.kill(first.pid, 9)
    again = until(lambda: (found := programs.look_at_program(pool, "gateway/r")).exits and found, "another start")
    assert again.ended is not None
    until(lambda: programs.look_at_program(pool, "gateway/r").pid, "it to run")
    until(lambda: programs.log_tail(asked.log).splitlines() == ["up", "up"], "its log")
    programs.stop_program(pool, "gateway/r", 5.0)
    assert programs.look_at_program(pool, "gateway/r") is None
    programs.stop_program(pool, "gateway/r", 5.0)
    assert (left(groups.root), supervisors(groups.root)) == ([], [])
    assert not programs.is_as_asked(pool, asked)
    assert programs.log_tail(folder / "none.log") == ""


def test_supervisor_that_is_not_there_or_refuses(groups):
    """Asking nobody, or for what supervisor does not know, is an error of its own each."""
    supervisor = Supervisor(groups.pool)
    with pytest.raises(NoAnswer):
        supervisor.call("getAllProcessInfo")
    assert supervisor.card() is None
    groups.ensure(1)
    with pytest.raises(Refused, match="none"):
        supervisor.call("removeProcessGroup", "none")
    assert supervisor.card()["pid"] in supervisors(groups.root)


def test_a_folder_that_cannot_be_written_is_said(groups):
    """A file stands where the group's folder would be."""
    (groups.pool / "groups").mkdir(parents=True)
    (groups.pool / "groups" / "g").touch()
    error = groups.failure(1)
    assert "cannot be written" in error.diagnostics[0].detail
    (groups.pool / "groups" / "g").unlink()
