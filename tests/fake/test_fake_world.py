"""The fake world does what places do, and goes wrong where it is told to."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fake_bench import DIGITS, POOL, SERIES, STORE, key, publish, source, train

from specforge.core.address import Address
from specforge.core.errors import Cancelled, ExecutionError, Lost
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtJob,
    LookAtPlace,
    Presence,
    ScanTree,
)
from specforge.core.steps import Copy, EnsurePlace, EnsureToolchain, Release, Unpublish
from specforge.core.values import PROJECT, Frozen, Select, Tree
from specforge.executors.base import CancelToken, Discards, LogLine, Surroundings, TreeReader
from specforge.executors.fake import FAKE_POOL, FAKE_STORE, FakeExecutors, Fault, Made, SimulatedCrash
from specforge.executors.registry import Executors

IDENTITY = "i" * 64


# ---- jobs ----


def test_a_job_starts_once_per_key(bench):
    """The same key gives the same result and starts nothing anew; another attempt is another start."""
    first = bench.train()
    assert bench.train() == first
    assert bench.world.starts == {key().id: 1}
    assert bench.train(attempt=2)["tree.model"].digest == first["tree.model"].digest
    assert sum(bench.world.starts.values()) == 2
    assert bench.world.reruns() == {("lineage-1", "training.digits", IDENTITY, "train"): 2}
    bench.world.check()


def test_what_a_job_leaves_depends_on_what_it_gets(bench):
    """Another input gives other bytes; the same input at another path gives the same."""
    bench.world.project.update({"data/a": b"1", "copy/a": b"1"})
    digests = []
    for number, path in enumerate(("data", "copy")):
        step = train(inputs=(source(path),))
        digests.append(bench.perform(step, key(attempt=number + 1))["tree.model"].digest)
    bench.world.project["data/a"] = b"2"
    digests.append(bench.perform(train(inputs=(source(),)), key(attempt=3))["tree.model"].digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_changed_source_is_noticed(bench):
    """An input that is no longer what was scanned fails the step before anything starts."""
    bench.world.project["data/a.png"] = b"1"
    bench.world.project["data/README"] = b"not a picture"
    scanned = bench.see(ScanTree(PROJECT, "data", Select((".png",))))
    step = train(inputs=(source("data", scanned.digest),))
    bench.world.project["data/a.png"] = b"2"
    with pytest.raises(ExecutionError, match="changed since the plan"):
        bench.perform(step, key())
    assert not bench.world.starts
    bench.world.project["data/a.png"] = b"1"
    bench.perform(step, key())


def test_a_job_that_fails_has_ended(bench):
    """A bad exit, a missing output and unreadable facts use the attempt up, and say so again when asked again."""
    cases = [
        (Made(exit=3, log=("boom",)), {}, "exit code 3"),
        (Made(), {}, "write a model"),
        (Made({"model/a": b"1", "facts.json": b"{"}), {"facts": "facts.json"}, "facts.json"),
        (Made({"model/a": b"1"}), {"facts": "facts.json"}, "facts.json"),
    ]
    for attempt, (made, changes, words) in enumerate(cases, 1):
        bench.world.program = lambda _, made=made: made
        for _ in range(2):
            with pytest.raises(ExecutionError, match=words) as caught:
                bench.perform(train(**changes), key(attempt=attempt))
            assert caught.value.ended
    seen = bench.see(LookAtJob(POOL, key(attempt=1).id))
    assert (seen.facts["state"], seen.facts["exit"]) == ("ended", 3)
    assert next(bench.executor.logs(POOL, key(attempt=1).id, None, follow=False)).text == "boom"


def test_facts_and_outputs_of_a_program(bench):
    """Outputs are cut from the job's folder as declared; the facts file is given back as values."""
    from specforge.core.values import JobOutput

    files = {"model/a": b"1", "model/tmp/x": b"2", "notes.txt": b"3", "facts.json": b'{"accuracy": 0.5, "n": [1]}'}
    bench.world.program = lambda call: Made(files, (f"argv {len(call.argv)}",))
    outputs = (JobOutput("model", "model", exclude=("tmp",)), JobOutput("rest", ".", exclude=("model",)))
    made = bench.perform(
        train(outputs=(*outputs, JobOutput("log", "@log"), JobOutput("none", "no")), facts="facts.json"), key()
    )
    assert made["facts"] == {"accuracy": 0.5, "n": (1,)}
    names = {
        name: [each.path for each in bench.executor.entries(made[f"tree.{name}"])] for name in ("model", "rest", "none")
    }
    assert names == {"model": ["a"], "rest": ["facts.json", "notes.txt"], "none": []}
    (entry,) = bench.executor.entries(made["tree.log"])
    assert bench.executor.open(made["tree.log"], entry).read() == b"argv 3\n"


def test_a_crash_while_a_job_runs_is_attached_to(bench):
    """The job goes on without its starter: seen as running, not started twice, its result found by the next."""
    bench.world.faults[("before", "job end")] = Fault.CRASH
    with pytest.raises(SimulatedCrash):
        bench.train()
    assert bench.see(LookAtJob(POOL, key().id)).facts["state"] == "running"
    bench.train()
    assert [each.text for each in bench.events if each.kind == "state"] == ["attached to a running job"]
    assert bench.world.starts == {key().id: 1}
    bench.world.check()


def test_a_crash_before_and_after_a_job(bench):
    """Before its start nothing was started; after its end the result is found."""
    bench.world.faults = {("before", "job start"): Fault.CRASH, ("after", "job end"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        bench.train()
    assert bench.see(LookAtJob(POOL, key().id)).presence is Presence.ABSENT
    with pytest.raises(SimulatedCrash):
        bench.train()
    assert bench.see(LookAtJob(POOL, key().id)).facts["state"] == "ended"
    bench.train()
    assert bench.world.starts == {key().id: 1}


def test_a_long_job_runs_until_it_is_finished_or_cancelled(bench):
    """Two performers of one key wait for one job; a cancelled one has ended for good."""
    bench.world.long.add("train")
    results = []
    threads = [threading.Thread(target=lambda: results.append(bench.train())) for _ in range(2)]
    for each in threads:
        each.start()
    job = _wait_for_job(bench, key().id)
    assert bench.see(LookAtJob(POOL, key().id)).since == job.started
    bench.world.finish(key().id)
    for each in threads:
        each.join(10)
    assert len(results) == 2
    assert results[0] == results[1]

    bench.cancel.cancel()
    with pytest.raises(Cancelled, match="not started"):
        bench.train(attempt=2)
    assert key(attempt=2).id not in bench.world.starts


def test_cancel(bench):
    """A performer that is asked to stop cancels its job; the attempt is used up; cancelling nothing is silent."""
    bench.world.long.add("train")
    caught = []

    def perform():
        with pytest.raises(Cancelled) as error:
            bench.train()
        caught.append(error.value)

    thread = threading.Thread(target=perform)
    thread.start()
    _wait_for_job(bench, key().id)
    bench.cancel.cancel()
    thread.join(10)
    assert caught[0].ended
    bench.executor.cancel(POOL, key().id, 1.0)
    bench.executor.cancel(POOL, "no such key", 1.0)
    assert bench.see(LookAtJob(POOL, key().id)).facts["reason"] == "it was cancelled"


def test_slots(bench):
    """A third job waits for one of two slots; a job whose starter crashed ends by itself meanwhile."""
    for number in range(2):
        bench.world.faults[("before", "job end")] = Fault.CRASH
        with pytest.raises(SimulatedCrash):
            bench.train(address=Address("training", f"n{number}"))
    bench.train(address=Address("training", "third"))
    states = [bench.see(LookAtJob(POOL, key(address=Address("training", f"n{n}")).id)).facts["state"] for n in range(2)]
    assert states == ["ended", "running"]
    bench.world.finish()
    bench.world.check()


def test_waiting_for_a_slot_can_be_cancelled(bench):
    """While long jobs hold all slots, a third says that it waits, and stops when asked to."""
    bench.world.long.add("train")
    threads = []
    for number in range(2):
        address = Address("training", f"n{number}")
        threads.append(threading.Thread(target=lambda address=address: bench.train(address=address)))
        threads[-1].start()
        _wait_for_job(bench, key(address=address).id)
    caught, stop = [], CancelToken()

    def third():
        with pytest.raises(Cancelled) as error:
            bench.perform(train(), key(address=Address("training", "third")), stop)
        caught.append(error.value)

    waiting = threading.Thread(target=third)
    waiting.start()
    _until(lambda: any("slot" in each.text for each in bench.events))
    stop.cancel()
    waiting.join(10)
    bench.world.finish()
    for each in threads:
        each.join(10)
    assert not caught[0].ended


def test_two_runs_of_one_resource_at_once_are_a_violation(bench):
    """The world notices what an engine must never do."""
    bench.world.faults[("before", "job end")] = Fault.CRASH
    with pytest.raises(SimulatedCrash):
        bench.train()
    bench.train(identity="j" * 64)
    with pytest.raises(AssertionError, match="was started while"):
        bench.world.check()


def test_logs_can_be_followed(bench):
    """Following gives the lines once the job has ended; lines before `since` are left out."""
    bench.world.long.add("train")
    thread = threading.Thread(target=bench.train)
    thread.start()
    _wait_for_job(bench, key().id)
    lines: list[LogLine] = []
    follower = threading.Thread(target=lambda: lines.extend(bench.executor.logs(POOL, key().id, None, follow=True)))
    follower.start()
    bench.world.finish()
    follower.join(10)
    thread.join(10)
    assert len(lines) == 1
    assert lines[0].text.startswith("made ")
    assert list(bench.executor.logs(POOL, key().id, lines[0].at + 1, follow=False)) == []
    assert list(bench.executor.logs(POOL, "unknown", None, follow=True)) == []


def test_discard_drops_the_heavy_parts(bench):
    """After discard the outputs are gone, the job's state is not."""
    made = bench.train()
    assert isinstance(bench.executor, Discards)
    bench.executor.discard(POOL, key().id)
    bench.executor.discard(POOL, "unknown")
    with pytest.raises(ExecutionError):
        bench.executor.entries(made["tree.model"])
    assert bench.see(LookAtJob(POOL, key().id)).facts["exit"] == 0


def test_what_a_job_left_is_removed_behind_our_back(bench):
    """Performed again, the job is lost; one whose files were discarded on request gives what it gave."""
    bench.train()
    bench.world.tidy()
    for _ in range(2):
        with pytest.raises(Lost, match="what it left is gone"):
            bench.train()
    first = bench.train(attempt=2)
    bench.executor.discard(POOL, key(attempt=2).id)
    assert bench.train(attempt=2) == first


# ---- faults ----


def test_each_point_can_be_struck_once(bench):
    """Whatever strikes at any point of train and publish, doing it again gives the same and breaks nothing."""
    step = publish(tree=Tree(POOL, f"jobs/{key().id}/out/model"), exports=Frozen({"model.txt": "{version}.txt"}))

    def work():
        bench.perform(train(), key())
        return bench.perform(step, key("publish"))

    calm = _run_in_fresh_bench(work, bench)
    points = len(bench.world.points)
    assert points > 10
    for number in range(points):
        for fault in (Fault.ERROR, Fault.CRASH, Fault.UNREACHABLE):
            _reset(bench)
            bench.world.faults = {number: fault}
            try:
                work()
            except (ExecutionError, SimulatedCrash):
                bench.world.heal()
            assert work() == calm
            assert bench.world.starts == {key().id: 1}
            bench.world.check()


def test_an_unreachable_place_answers_nothing(bench):
    """Every query is UNREACHABLE, every step fails and may be tried again; other places go on."""
    made = bench.train()
    bench.world.unreachable.add(str(POOL))
    assert bench.see(LookAtJob(POOL, key().id)).presence is Presence.UNREACHABLE
    assert bench.executor.preflight(POOL, [train()], None)[0].code == "SF491"
    assert not bench.executor.preflight(STORE, [publish()], None)
    for act in (
        bench.train,
        lambda: bench.executor.cancel(POOL, key().id, 1),
        lambda: bench.executor.entries(made["tree.model"]),
        lambda: bench.executor.discard(POOL, key().id),
        lambda: list(bench.executor.logs(POOL, key().id, None, follow=False)),
    ):
        with pytest.raises(ExecutionError) as caught:
            act()
        assert not caught.value.ended
    assert bench.see(LookAtPlace(STORE)).presence is Presence.PRESENT
    bench.world.heal()
    assert bench.train() == made


def test_no_time_means_unreachable(bench):
    """A deadline that has passed gives no answer, and is no evidence of absence."""
    query = LookAtPlace(STORE)
    assert bench.executor.observe(STORE, [query], 0.0)[query].presence is Presence.UNREACHABLE
    assert bench.executor.observe(STORE, [query], 1.0)[query].presence is Presence.PRESENT


# ---- stores ----


def test_publish_and_find(bench):
    """What is published is found by identity and by version name, and is whole."""
    absent = bench.see(FindIdentity(STORE, IDENTITY, SERIES, "V001"))
    assert (absent.presence, absent.facts) == (Presence.ABSENT, {"next": "V001", "claimed": {}})
    made = bench.publish({"a": b"1", "b/c": b"2"})
    assert (made["version"], made["build"], made["trees"]) == ("V001", 1, {"model": made["digest"]})
    found = bench.see(FindIdentity(STORE, IDENTITY, SERIES, "V001"))
    assert found.digest == made["digest"]
    assert found.facts["version"] == "V001"
    assert found.facts["next"] == "V002"
    assert found.facts["claimed"] == {"V001": IDENTITY}
    assert bench.see(FindVersion(STORE, SERIES, "V001")).facts["identity"] == IDENTITY
    assert bench.see(FindVersion(STORE, SERIES, "V002")).presence is Presence.ABSENT
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1, "hashed")).presence is Presence.PRESENT
    assert [each.path for each in bench.executor.entries(Tree(STORE, None, made["digest"]))] == ["a", "b/c"]


def test_the_first_output_wins(bench):
    """Other bytes under an identity that is there change nothing; another lineage gets a reference and the version."""
    first = bench.publish({"a": b"1"})
    again = bench.publish({"a": b"other"}, lineage="lineage-2")
    assert again == first
    holders = bench.world.store(STORE).references[(IDENTITY, 1)]
    assert {lineage: each.addresses for lineage, each in holders.items()} == {
        "lineage-1": {"training.digits"},
        "lineage-2": {"training.digits"},
    }
    taken = bench.publish(step=publish(IDENTITY, series=None))
    assert taken["version"] is None


def test_lost_data_are_seen_and_made_again(bench):
    """The same bytes make the build whole; other bytes are a new build and version, the old one is lost."""
    first = bench.publish({"a": b"1"})
    bench.world.lose(IDENTITY)
    seen = bench.see(LookAtArtifact(STORE, IDENTITY, 1))
    assert (seen.presence, seen.facts["missing_paths"]) == (Presence.ABSENT, ("model/a",))
    assert bench.publish({"a": b"1"}, step=publish(IDENTITY, replaces=1)) == first
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1)).presence is Presence.PRESENT

    second = bench.publish({"a": b"2"}, step=publish(IDENTITY, replaces=1))
    assert (second["build"], second["version"]) == (2, "V002")
    assert bench.publish({"a": b"2"}, step=publish(IDENTITY, replaces=1)) == second
    assert bench.see(FindVersion(STORE, SERIES, "V001")).presence is Presence.ABSENT
    bench.world.check()


def test_damaged_data_are_seen_by_reading_them(bench):
    """An object with other bytes of the same size is found only by hashing, and is not given out."""
    made = bench.publish({"a": b"1"})
    objects = bench.world.store(STORE).objects
    objects.update(dict.fromkeys(objects, b"X"))
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1)).presence is Presence.PRESENT
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1, "hashed")).presence is Presence.ABSENT
    with pytest.raises(ExecutionError):
        bench.executor.entries(Tree(STORE, None, made["digest"]))
    bench.world.store(STORE).listings.clear()
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1)).facts["missing_paths"] == ("model/",)


def test_a_given_version_name(bench):
    """A name can be given; given to other content it is refused."""
    assert bench.publish(step=publish(IDENTITY, version="first"))["version"] == "first"
    assert bench.publish(step=publish(IDENTITY, version="first"))["version"] == "first"
    with pytest.raises(ExecutionError, match="was published as"):
        bench.publish(step=publish("k" * 64, version="first"), identity="k" * 64)


def test_what_cannot_be_published(bench):
    """No tree, a tree that changed, an export that is not there, and no store each refuse; nothing is published."""
    bench.world.disk(POOL)["made/model/a"] = b"1"
    wrong = Tree(POOL, "made/model", "0" * 64)
    for step in (
        publish(tree=wrong),
        publish(tree=Tree(POOL, "nowhere")),
        publish(exports=Frozen(nothing="x")),
    ):
        with pytest.raises(ExecutionError):
            bench.perform(step, key("publish"))
    with pytest.raises(ExecutionError, match="nothing is published"):
        bench.perform(replace(publish(), trees=Frozen()), key("publish"))
    bench.perform(EnsurePlace(STORE, None), key("place"))
    with pytest.raises(ExecutionError, match="no store"):
        bench.perform(publish(), key("publish"))
    assert bench.see(FindIdentity(STORE, IDENTITY)).presence is Presence.ABSENT


def test_release_and_unpublish(bench):
    """Data go only when nobody refers to them; shared objects stay; to do it again is no error."""
    bench.publish({"a": b"1", "b": b"2"}, lineage="lineage-2")
    bench.publish({"a": b"1"}, identity="k" * 64)
    bench.publish()
    with pytest.raises(ExecutionError, match="lineage-2") as caught:
        bench.perform(Unpublish(STORE, IDENTITY, 1), key("unpublish"))
    assert caught.value.refusal
    bench.perform(Release(STORE, IDENTITY, 1), key("release", lineage="lineage-2"))
    assert bench.perform(Unpublish(STORE, IDENTITY, 1), key("unpublish")) == {"kept": ("training.digits",)}
    for _ in range(2):
        bench.perform(Release(STORE, IDENTITY, 1), key("release"))
        bench.perform(Unpublish(STORE, IDENTITY, 1), key("unpublish"))
    bench.perform(Unpublish(STORE, "none", 1), key("unpublish"))
    assert bench.see(FindIdentity(STORE, IDENTITY)).presence is Presence.ABSENT
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1)).problem == "the build was deleted"
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 7)).problem == "there is no such build"
    assert bench.see(LookAtArtifact(STORE, "k" * 64, 1)).presence is Presence.PRESENT
    assert bench.publish({"a": b"1", "b": b"2"})["version"] == "V001"
    bench.world.check()


def test_a_store_with_data_stays(bench):
    """A store is taken away only when nothing is published in it."""
    bench.publish()
    assert bench.perform(EnsurePlace(STORE, None), key("place")) == {"kept": 1}
    assert bench.see(LookAtPlace(STORE)).presence is Presence.PRESENT


def test_a_busy_pool_stays(bench):
    """A pool is not taken away while jobs run in it."""
    bench.perform(EnsurePlace(POOL, Frozen(slots=2)), key("place"))
    bench.world.faults[("before", "job end")] = Fault.CRASH
    with pytest.raises(SimulatedCrash):
        bench.train()
    with pytest.raises(ExecutionError, match="jobs run"):
        bench.perform(EnsurePlace(POOL, None), key("place"))
    bench.world.finish()
    bench.perform(EnsurePlace(POOL, None), key("place"))
    assert bench.see(LookAtPlace(POOL)).presence is Presence.ABSENT


def test_exports_lie_beside_the_version(bench):
    """Files of the output are copied under names with the version in them, and go with the data."""
    bench.publish({"a": b"1"}, step=publish(IDENTITY, exports=Frozen({"a": "{version}.manifest"})))
    exports = bench.world.store(STORE).exports
    assert list(exports.values()) == [{"V001.manifest": b"1"}]
    bench.perform(Release(STORE, IDENTITY, 1), key("release"))
    bench.perform(Unpublish(STORE, IDENTITY, 1), key("unpublish"))
    assert exports == {}


def test_a_changed_build_is_noticed(bench):
    """Were a published build or a claim to change, the world would say so."""
    bench.publish()
    store = bench.world.store(STORE)
    store.builds[IDENTITY].clear()
    store.claims.clear()
    with pytest.raises(AssertionError, match=r"not what was published.*V001"):
        bench.world.check()


# ---- folders ----


def test_scan(bench):
    """A scan counts what counts, per folder, and says what changed against a published tree."""
    project = bench.world.project
    project.update(
        {"data/0/a.png": b"1", "data/0/b.png": b"2", "data/1/": b"", "data/x.png": b"3", "data/.git/c.png": b""}
    )
    query = ScanTree(PROJECT, "data", Select((".png",)))
    seen = bench.see(query)
    assert (seen.facts["files"], seen.facts["bytes"]) == (3, 3)
    assert seen.facts["folders"] == {".": 1, "0": 2, "1": 0}
    published = bench.publish({"0/a.png": b"0", "0/b.png": b"2", "gone.png": b"4"})
    since = Tree(STORE, None, published["digest"])
    facts = bench.see(ScanTree(PROJECT, "data", Select((".png",)), since)).facts
    assert [facts[name] for name in ("added_paths", "removed_paths", "changed_paths")] == [
        ("x.png",),
        ("gone.png",),
        ("0/a.png",),
    ]
    assert "added" not in bench.see(ScanTree(PROJECT, "data", Select(), Tree(STORE, None, "unknown"))).facts
    assert bench.see(ScanTree(PROJECT, "nowhere")).presence is Presence.ABSENT
    assert bench.see(ScanTree(PROJECT, ".")).facts["files"] == 3


def test_copy(bench):
    """MIRROR makes the target equal, ADD leaves other files; a second time nothing happens."""
    bench.world.project.update({"code/train.py": b"1", "code/x.pyc": b"2"})
    bench.world.disk(POOL)["at/old"] = b"0"
    added = Copy(Tree(PROJECT, "code"), POOL, "at", mode="ADD", name="add")
    assert bench.perform(added, key("add"))["tree"].path == "at"
    assert set(bench.world.disk(POOL)) == {"at/", "at/old", "at/train.py"}
    mirror = Copy(Tree(PROJECT, "code"), POOL, "at")
    made = bench.perform(mirror, key("copy"))
    assert set(bench.world.disk(POOL)) == {"at/", "at/train.py"}
    passed = len(bench.world.points)
    assert bench.perform(mirror, key("copy")) == made
    assert len(bench.world.points) == passed
    assert made["tree"].digest == bench.see(ScanTree(PROJECT, "code")).digest


def test_code_is_part_of_what_a_job_depends_on(bench):
    """Other code gives other bytes."""
    bench.world.project.update({"one/train.py": b"1", "two/train.py": b"2"})
    made = [
        bench.perform(train(code=Tree(PROJECT, path)), key(attempt=number))["tree.model"].digest
        for number, path in enumerate(("one", "two"), 1)
    ]
    assert made[0] != made[1]


def test_a_job_sees_the_samples_of_its_usages(bench):
    """Of an input with a manifest only the chosen samples are shown; without one everything is."""
    from specforge.core.values import JobInput
    from specforge.formats import manifest

    samples = [manifest.Sample("0/a.png", usage="TRAIN"), manifest.Sample("0/b.png", usage="EVAL")]
    files = {"0/a.png": b"1", "0/b.png": b"2", "dataset.manifest": manifest.write(samples)}
    bench.world.project.update({f"data/{path}": content for path, content in files.items()})
    seen = []
    bench.world.program = lambda call: seen.append(sorted(call.inputs["data"])) or Made({"model/a": b"1"})
    for number, (path, usages) in enumerate([("data", ("TRAIN",)), ("data", None), ("data/0", ("TRAIN",))], 1):
        shown = JobInput("data", Tree(PROJECT, path), usages)
        bench.perform(train(inputs=(shown,)), key(attempt=number))
    assert seen == [["0/a.png", "dataset.manifest"], ["0/a.png", "0/b.png", "dataset.manifest"], ["a.png", "b.png"]]
    bench.world.project["data/dataset.manifest"] = b"not a manifest"
    with pytest.raises(ExecutionError):
        bench.perform(train(inputs=(JobInput("data", Tree(PROJECT, "data"), ("TRAIN",)),)), key(attempt=4))


def test_toolchains_are_made_once(bench):
    """The same lock is made ready once."""
    step = EnsureToolchain(POOL, "scikit-learn", Frozen(python="3.11"))
    for _ in range(2):
        bench.perform(step, key("toolchain"))
    assert [each.when for each in bench.world.points if each.effect == "toolchain"] == ["before", "after"]


def test_a_stop_is_heeded_before_an_effect(bench):
    """Nothing is begun after a stop was asked for."""
    bench.cancel.cancel()
    with pytest.raises(Cancelled):
        bench.publish()


def test_data_can_vanish_behind_a_reply(bench):
    """The fault LOSE takes the newest build's data and raises nothing."""
    bench.world.faults[("after", "publish reference")] = Fault.LOSE
    bench.publish()
    assert bench.see(LookAtArtifact(STORE, IDENTITY, 1)).presence is Presence.ABSENT


def test_time_goes_on_with_every_effect(bench):
    """The clock moves only when something happens."""
    before = bench.world.clock()
    assert bench.world.clock() == before
    bench.train()
    assert bench.world.clock() > before


# ---- places and executors ----


def test_every_place_is_one_of_the_world(bench):
    """FakeExecutors stand where the registry's would."""
    executors = FakeExecutors(bench.world)
    assert executors.of(POOL) is executors.of(PROJECT)
    assert isinstance(executors.reader(STORE), TreeReader)


def test_fake_drivers_share_a_world_per_project(tmp_path):
    """Through the registry, stores and pools of one project folder are of one world."""
    executors = Executors({each.driver: each for each in (FAKE_STORE, FAKE_POOL)}, tmp_path, tmp_path)
    store = FAKE_STORE.settings().place("artifacts")
    pool = FAKE_POOL.settings(slots=3).place("here")
    assert pool.settings == {"slots": 3}
    from specforge.executors.base import StepContext
    from specforge.executors.fake.executor import in_this_process, world_at

    executors.of(store).perform(EnsurePlace(store, Frozen()), StepContext(key("place")))
    query = LookAtPlace(store)
    assert executors.of(pool).observe(store, [query], None)[query].presence is Presence.PRESENT
    other = in_this_process(Surroundings(Path(tmp_path / "other"), tmp_path, executors.reader))
    assert other.observe(store, [query], None)[query].presence is Presence.ABSENT
    assert world_at(tmp_path) is world_at(tmp_path / ".")


def test_reading_what_is_not_there(bench):
    """A file that is not in a tree cannot be opened."""
    made = bench.train()
    (entry,) = bench.executor.entries(made["tree.model"])
    with pytest.raises(ExecutionError):
        bench.executor.open(made["tree.model"], entry._replace(path="other"))
    assert bench.world.starts[key().id] == 1
    assert str(DIGITS) == "training.digits"


def _wait_for_job(bench, key_id):
    def found():
        job = bench.world.jobs.get((str(POOL), key_id))
        return job if job is not None and job.watchers else None

    return _until(found)


def _until(found):
    import time

    end = time.monotonic() + 10
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.001)
    raise AssertionError("it did not happen within 10 seconds")


def _reset(bench):
    bench.__init__()
    bench.perform(EnsurePlace(STORE, Frozen()), key("place"))
    bench.world.points.clear()


def _run_in_fresh_bench(work, bench):
    _reset(bench)
    return work()
