"""The contract of an executor that keeps published trees: derive a test class, say how an executor is made, run pytest.

class TestMine(StorageContract):
    def make(self, folder, reader):
        return MyExecutor(Surroundings(folder, folder / "cache", reader)), Place("mine", "store")

`make` is called several times in one test, with the same folder: executors on one store, as two processes have them.
The suite's own trees lie at `Place("suite", …)`; `reader` reads those, and must be what the executor reads them with.
"""

from __future__ import annotations

import pytest

from specforge.core.errors import Cancelled
from specforge.core.queries import FindIdentity, FindVersion, LookAtArtifact, LookAtPlace, Presence, Query
from specforge.core.steps import EnsurePlace, Publish, Release, Unpublish
from specforge.core.values import EMPTY, Frozen, Tree, VersionSeries
from specforge.executors.base import CancelToken
from specforge.testing.store_bench import (
    FIRST,
    SECOND,
    SERIES,
    SUITE,
    A,
    B,
    Store,
    SuiteTrees,
    at_once,
    context,
    failed,
)
from specforge.testing.store_keeping import KeepingContract

__all__ = [
    "FIRST",
    "SECOND",
    "SERIES",
    "SUITE",
    "A",
    "B",
    "StorageContract",
    "Store",
    "SuiteTrees",
    "at_once",
    "context",
    "failed",
]


class StorageContract(KeepingContract):
    """What every store does. Derive from it and give `make`; `damage` and `cut_off` may be given too."""

    # ---- the place ----

    def test_place_there(self, store: Store) -> None:
        """A store that was made is present, and making it again changes nothing."""
        store.publish(A)
        store.perform(EnsurePlace(store.place, EMPTY))
        assert store.ask(LookAtPlace(store.place)).presence is Presence.PRESENT
        assert store.find().presence is Presence.PRESENT

    def test_place_removed(self, store: Store) -> None:
        """An empty store is taken away, twice without harm; then it is absent, and so is everything in it."""
        outputs = store.perform(EnsurePlace(store.place, None))
        assert not outputs["kept"]
        store.perform(EnsurePlace(store.place, None))
        assert store.ask(LookAtPlace(store.place)).presence is Presence.ABSENT
        seen = store.find()
        assert seen.presence is Presence.ABSENT
        assert seen.facts["next"] == "V001"

    def test_place_with_data_kept(self, store: Store) -> None:
        """A store that holds published data is not taken away, and the outputs say so."""
        outputs = store.publish(A)
        assert store.perform(EnsurePlace(store.place, None))["kept"] == 1
        assert store.read(outputs) == A

    def test_no_store(self, store: Store) -> None:
        """Publishing where there is no store fails in words; releasing and unpublishing there is nothing to do."""
        store.perform(EnsurePlace(store.place, None))
        failed(store, store.step(A))
        store.perform(Release(store.place, FIRST, 1))
        store.perform(Unpublish(store.place, FIRST, 1))

    # ---- publish and find ----

    def test_publish(self, store: Store) -> None:
        """What is published is found by its identity, with its trees and facts, and can be read back."""
        outputs = store.publish(A)
        assert store.read(outputs) == A
        assert (outputs["identity"], outputs["build"], outputs["version"]) == (FIRST, 1, "V001")
        assert outputs["digest"] == outputs["trees"]["data"]
        assert outputs["facts"] == {"files": 3}
        seen = store.find()
        assert (seen.presence, seen.digest) == (Presence.PRESENT, outputs["digest"])
        assert {**seen.facts} == {
            "build": 1,
            "trees": outputs["trees"],
            "facts": {"files": 3},
            "version": "V001",
            "next": "V002",
            "claimed": {},
        }

    def test_nothing_published(self, store: Store) -> None:
        """An identity that nobody published is absent; the name it would get is known."""
        seen = store.find(pinned="V001")
        assert (seen.presence, seen.digest) == (Presence.ABSENT, None)
        assert {**seen.facts} == {"next": "V001", "claimed": {}}
        assert store.find(series=None).facts == {}

    def test_several_trees(self, store: Store) -> None:
        """A build may have several trees, an empty one too; the output names the main one."""
        trees = {"model": store.trees.tree(A), "log": store.trees.tree({"log.txt": b"!"}), "rest": store.trees.tree({})}
        outputs = store.perform(Publish(store.place, Frozen(trees), "model", identity=FIRST))
        assert outputs["version"] is None
        assert outputs["digest"] == trees["model"].digest
        assert store.read(outputs, "log") == {"log.txt": b"!"}
        assert store.read(outputs, "rest") == {}

    def test_publish_again(self, store: Store) -> None:
        """Performed again, a Publish has the same result and no further effect; the trees are not needed any more."""
        first = store.publish(A)
        assert store.publish(A) == first
        bare = Publish(store.place, EMPTY, "data", SERIES, identity=FIRST)
        assert store.two.perform(bare, context()).outputs == first
        assert store.find().facts["next"] == "V002"

    def test_first_output_wins(self, store: Store) -> None:
        """Other bytes under an identity that is there are not written: what was first is given back."""
        first = store.publish(A)
        assert store.publish(B) == first
        assert store.read(first) == A

    def test_tree_of_the_store(self, store: Store) -> None:
        """A tree that is published already can be published under another identity by its digest alone."""
        first = store.publish(A)
        again = Tree(store.place, None, first["digest"])
        outputs = store.perform(Publish(store.place, Frozen(data=again), "data", SERIES, identity=SECOND))
        assert (outputs["digest"], outputs["version"]) == (first["digest"], "V002")

    def test_changed_source(self, store: Store) -> None:
        """A file that changed since its digest was taken fails the step, and nothing becomes visible."""
        step = store.step(A)
        store.trees.change(step.trees["data"], "1/b.png", b"ONE")
        failed(store, step)
        assert store.find().presence is Presence.ABSENT
        assert store.find().facts["next"] == "V001"

    def test_nothing_to_publish(self, store: Store) -> None:
        """Without trees an identity that is not there cannot be published."""
        failed(store, Publish(store.place, EMPTY, "data", SERIES, identity=FIRST))

    def test_cancelled(self, store: Store) -> None:
        """A publish that was told to stop raises Cancelled and leaves nothing visible."""
        token = CancelToken()
        token.cancel()
        with pytest.raises(Cancelled):
            store.perform(store.step(A), cancel=token)
        assert store.find().presence is Presence.ABSENT

    def test_at_once(self, store: Store) -> None:
        """Two who publish one identity at once, with other bytes, have one result."""
        outputs = at_once(
            lambda: store.one.perform(store.step(A), context()).outputs,
            lambda: store.two.perform(store.step(B), context(lineage="other")).outputs,
        )
        assert outputs[0] == outputs[1]
        assert (outputs[0]["build"], outputs[0]["version"]) == (1, "V001")
        assert store.read(outputs[0]) in (A, B)

    # ---- version names ----

    def test_versions_in_order(self, store: Store) -> None:
        """Names are given in the order of publishing; a reuse keeps its name."""
        names = [store.publish({"a": bytes([n])}, f"{n:064d}")["version"] for n in range(1, 4)]
        assert names == ["V001", "V002", "V003"]
        assert store.publish({"a": b"\1"}, f"{1:064d}")["version"] == "V001"

    def test_series_are_apart(self, store: Store) -> None:
        """Every project, kind and name counts for itself; one identity may have a name in each."""
        for series in (
            VersionSeries("other", "dataset", "digits", "V{:03d}"),
            VersionSeries("demo", "training", "digits", "V{:04d}"),
            VersionSeries("demo", "dataset", "letters", "0.0.{}"),
        ):
            assert store.find(series=series).facts["next"] == series.version(1)
            assert store.publish(A, series=series)["version"] == series.version(1)
        assert store.publish(A)["version"] == "V001"

    def test_version_given(self, store: Store) -> None:
        """A name that is given is claimed exactly, gaps are allowed, and no later number comes before it."""
        assert store.publish(A, version="V005")["version"] == "V005"
        assert store.publish(B, SECOND)["version"] == "V006"
        assert store.publish({"c": b""}, "3" * 64, version="gold")["version"] == "gold"
        assert store.find(pinned="gold").facts["claimed"] == {"gold": "3" * 64}

    def test_version_given_later(self, store: Store) -> None:
        """What has a name can get another; asked without one, the lowest is given."""
        store.publish(A)
        assert store.publish(A, version="V007")["version"] == "V007"
        assert store.publish(A)["version"] == "V001"

    def test_version_taken(self, store: Store) -> None:
        """A name that holds something else is refused, before anything is published."""
        store.publish(A, version="V001")
        assert "V001" in failed(store, store.step(B, SECOND, version="V001")).diagnostics[0].detail
        seen = store.find(SECOND, pinned="V001")
        assert seen.presence is Presence.ABSENT
        assert seen.facts["claimed"] == {"V001": FIRST}

    def test_names_at_once(self, store: Store) -> None:
        """Several who publish into one series at once get a name each."""
        steps = [store.step({"a": bytes([n])}, f"{n:064d}") for n in range(1, 7)]
        executors = [store.one, store.two]
        outputs = at_once(
            *(
                lambda step=step, executor=executors[n % 2]: executor.perform(step, context()).outputs
                for n, step in enumerate(steps)
            )
        )
        assert sorted(each["version"] for each in outputs) == [f"V{n:03d}" for n in range(1, 7)]

    def test_find_version(self, store: Store) -> None:
        """A version name leads to what it stands for; one that nobody claimed is absent."""
        outputs = store.publish(A)
        seen = store.ask(FindVersion(store.place, SERIES, "V001"))
        assert (seen.presence, seen.digest) == (Presence.PRESENT, outputs["digest"])
        assert seen.facts["identity"] == FIRST
        assert seen.facts["build"] == 1
        assert seen.facts["trees"] == outputs["trees"]
        assert seen.facts["facts"] == {"files": 3}
        assert store.ask(FindVersion(store.place, SERIES, "V002")).presence is Presence.ABSENT

    def test_export_missing(self, store: Store) -> None:
        """A file that should be shown beside the version and is not in the output fails before anything is visible."""
        failed(store, store.step(A, exports=Frozen({"none.txt": "{version}.txt"})))
        assert store.find().presence is Presence.ABSENT
        assert store.publish(A, exports=Frozen({"list.manifest": "{version}.manifest"}))["version"] == "V001"

    # ---- trouble ----

    def test_unreachable(self, store: Store) -> None:
        """A store that cannot be reached is neither present nor absent, and no question raises."""
        store.publish(A)
        if not self.cut_off(store):
            pytest.skip("this store cannot be cut off here")
        queries: list[Query] = [
            LookAtPlace(store.place),
            FindIdentity(store.place, FIRST, SERIES),
            FindVersion(store.place, SERIES, "V001"),
            LookAtArtifact(store.place, FIRST, 1),
        ]
        answers = store.one.observe(store.place, queries, None)
        assert {each.presence for each in answers.values()} == {Presence.UNREACHABLE}
        assert all(answers[each].problem for each in queries)
        failed(store, store.step(B, SECOND))

    def test_deadline(self, store: Store) -> None:
        """What cannot be answered by the deadline is unreachable, not absent."""
        queries: list[Query] = [LookAtPlace(store.place), FindIdentity(store.place, FIRST)]
        answers = store.one.observe(store.place, queries, -1.0)
        assert {each.presence for each in answers.values()} == {Presence.UNREACHABLE}

    def test_preflight(self, store: Store) -> None:
        """Nothing keeps a healthy store from being published to."""
        assert not store.one.preflight(store.place, [store.step(A)], None)

    def test_no_jobs(self, store: Store) -> None:
        """A store runs nothing: there are no logs, and nothing to cancel."""
        store.one.cancel(store.place, "key", 0.0)
        assert list(store.one.logs(store.place, "key", None, follow=False)) == []
