"""Pools: what a document says of them, what is there, what would not work."""

from __future__ import annotations

import os

import pytest
from local_bench import LocalBench, a_key, python, until
from pydantic import ValidationError

from specforge.core.errors import ExecutionError
from specforge.core.queries import LookAtArtifact, LookAtPlace, Presence, ScanTree
from specforge.core.steps import EnsurePlace, EnsureToolchain, Publish, RunJob
from specforge.core.values import EMPTY, Frozen, JobOutput, Place, Run
from specforge.executors.base import Discards, Surroundings
from specforge.executors.local import LOCAL
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.executors.registry import Executors


def codes(found):
    return [(each.code, each.severity.value) for each in found]


def look(local):
    query = LookAtPlace(local.place)
    return local.executor.observe(local.place, [query], None)[query]


def test_settings_become_a_place():
    """A place has its folder relative to the project, and its amounts as numbers."""
    assert LocalSettings().place("here") == Place(
        "local", ".specforge/pools/here", Frozen(slots=1, cpu=None, memory=None, log_limit=64 << 20)
    )
    given = LocalSettings(slots=2, cpu=2, memory="4GiB", folder="runs/here", log_limit=1000)
    assert given.place("here") == Place("local", "runs/here", Frozen(slots=2, cpu=2.0, memory=4 << 30, log_limit=1000))


@pytest.mark.parametrize(
    "wrong",
    [{"slots": 0}, {"slots": "2"}, {"cpu": 0}, {"memory": "4 apples"}, {"memory": 0}, {"folder": ""}, {"slot": 1}],
)
def test_settings_are_strict(wrong):
    """What makes no sense is refused."""
    with pytest.raises(ValidationError):
        LocalSettings(**wrong)


def test_the_registry_finds_the_executor(tmp_path):
    """The driver's entry leads to the executor, which can read trees and discard runs."""
    found = Executors({"local": LOCAL}, tmp_path, tmp_path / "cache").of(LocalSettings().place("here"))
    assert isinstance(found, LocalExecutor)
    assert isinstance(found, Discards)


def test_looking_changes_nothing(local):
    """Looking at a pool that is not there says so and makes nothing."""
    assert look(local).presence is Presence.ABSENT
    assert local.look().presence is Presence.ABSENT
    assert list(local.root.iterdir()) == []


def test_what_a_pool_cannot_answer(local):
    """Questions that a pool has no answer to are unreachable, with the reason."""
    queries = [ScanTree(local.place, "data"), LookAtArtifact(local.place, "a" * 64, 1)]
    for seen in local.executor.observe(local.place, queries, None).values():
        assert seen.presence is Presence.UNREACHABLE
        assert "a local pool cannot answer" in seen.problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_pool_that_may_not_be_read(local):
    """A pool without permission is unreachable, not absent."""
    local.executor.perform(EnsurePlace(local.place, EMPTY), local.context())
    folder = local.root / local.place.id
    folder.chmod(0)
    assert look(local).presence is Presence.UNREACHABLE
    assert local.look().presence is Presence.UNREACHABLE
    folder.chmod(0o755)


def test_a_pool_is_looked_at_from_a_read_only_folder(local):
    """Whoever may only read sees running and ended jobs."""
    local.perform(python(""))
    for parent, _, names in os.walk(local.root / local.place.id):
        for name in names:
            os.chmod(os.path.join(parent, name), 0o444)
    assert local.look().facts["state"] == "ended"
    assert look(local).facts["busy"] == 0


def test_a_pool_with_running_jobs_is_not_taken_away(local):
    """Taking a pool away is refused while jobs run; afterwards what we made goes, what the user put there stays."""
    gone = EnsurePlace(local.place, None)
    pool = local.root / local.place.id
    with local.background(python("import time; time.sleep(60)")):
        until(local.run().command, "the job")
        with pytest.raises(ExecutionError, match="1 jobs run in the pool"):
            local.executor.perform(gone, local.context(a_key(step="place")))
    (pool / "notes.txt").touch()
    local.executor.perform(gone, local.context(a_key(step="place")))
    assert [each.name for each in pool.iterdir()] == ["notes.txt"]
    (pool / "notes.txt").unlink()
    local.executor.perform(gone, local.context(a_key(step="place")))
    assert look(local).presence is Presence.ABSENT


def test_a_pool_folder_that_cannot_be_made(local):
    """A file where the pool's folder should be is said in words, and used no attempt up."""
    (local.root / ".specforge").touch()
    for step in (EnsurePlace(local.place, EMPTY), RunJob("train", local.place, Run(("/bin/true",)))):
        with pytest.raises(ExecutionError, match="cannot be written: ") as error:
            local.executor.perform(step, local.context())
        assert not error.value.ended


def test_steps_of_stores_are_refused(local):
    """A pool performs no step of a store."""
    with pytest.raises(ExecutionError, match="cannot perform `Publish`"):
        local.executor.perform(Publish(local.place, EMPTY, "model"), local.context())


def test_preflight_of_a_good_pool(local):
    """Nothing is said where nothing is wrong, and nothing is made."""
    assert local.executor.preflight(local.place, [RunJob("a", local.place, Run(("x",)))], None) == []
    assert list(local.root.iterdir()) == []


def test_preflight_finds_what_cannot_work(tmp_path):
    """Too many nodes, a pool larger than the machine, a Python that is not there, a folder that cannot be."""
    local = LocalBench(tmp_path / "p", cpu=10_000.0, memory="1000TiB")
    lock = Frozen(python="3.4", packages=())
    steps = [RunJob("a", local.place, Run(("x",)), nodes=2), EnsureToolchain(local.place, "scikit-learn", lock)]
    assert codes(local.executor.preflight(local.place, steps, None)) == [
        ("SF445", "warning"),
        ("SF445", "warning"),
        ("SF445", "error"),
        ("SF445", "warning"),
        ("SF461", "error"),
    ]
    (local.root / ".specforge").touch()
    assert codes(local.executor.preflight(local.place, [], None))[0] == ("SF449", "error")


def test_discarding_keeps_log_and_status(local):
    """What is heavy goes, the log and how it ended stay; a job that runs is left alone; twice is as good as once."""
    code = "import os, sys, time; os.mkdir(sys.argv[1] + '/model'); print('hi'); time.sleep(float(sys.argv[2]))"
    outputs = (JobOutput("model", "model"),)
    with local.background(python(code, "@out", "60"), outputs=outputs):
        until(lambda: "hi" in local.recorder.texts("log"), "the program")
        local.executor.discard(local.place, a_key().id)
        assert (local.folder() / "out" / "model").is_dir()
    first = local.perform(python(code, "@out", "0"), a_key(2), outputs=outputs)
    for _ in range(2):
        local.executor.discard(local.place, a_key(2).id)
    assert not (local.folder(a_key(2)) / "out").exists()
    assert local.log(a_key(2)) == ["hi"]
    assert local.perform(python(code, "@out", "0"), a_key(2), outputs=outputs) == first
    local.executor.discard(local.place, "never-was")


def test_surroundings_may_move(local):
    """A project folder that was moved finds its runs again."""
    first = local.perform(python(""))
    moved = local.root.rename(local.root.with_name("moved"))
    executor = LocalExecutor(Surroundings(moved, moved / "cache", lambda _: local.trees))
    again = executor.perform(RunJob("train", local.place, python("")), local.context()).outputs
    assert again == first
