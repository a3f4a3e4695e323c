"""The part of the storage contract about what was published long ago: who needs it, how it goes, what became of it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.queries import FindVersion, LookAtArtifact, Presence
from specforge.core.steps import Release, Unpublish
from specforge.core.values import VersionSeries
from specforge.testing.store_bench import FIRST, SECOND, SERIES, A, B, Store, StoreMaker, failed


class KeepingContract(StoreMaker):
    """How a store keeps what it has: references, release, unpublish, damage, replacement."""

    # ---- references, release, unpublish ----

    def test_unpublish(self, store: Store) -> None:
        """Released and unpublished, an artifact is gone; doing so again is nothing; its name stays taken."""
        store.publish(A)
        store.perform(Release(store.place, FIRST, 1))
        assert store.find().presence is Presence.PRESENT
        for _ in range(2):
            store.perform(Unpublish(store.place, FIRST, 1))
            assert store.find().presence is Presence.ABSENT
            assert store.ask(FindVersion(store.place, SERIES, "V001")).presence is Presence.ABSENT
            assert store.ask(LookAtArtifact(store.place, FIRST, 1)).presence is Presence.ABSENT
        assert store.publish(B, SECOND)["version"] == "V002"

    def test_unpublish_refused(self, store: Store) -> None:
        """What another lineage refers to is not unpublished; the refusal names its project and resource."""
        outputs = store.publish(A)
        store.publish(A, lineage="theirs", series=VersionSeries("other-project", "dataset", "digits", "V{:03d}"))
        store.perform(Release(store.place, FIRST, 1))
        refused = failed(store, Unpublish(store.place, FIRST, 1))
        assert refused.refusal, "a removal stops at an error, and goes on after a refusal"
        detail = refused.diagnostics[0].detail
        assert "other-project" in detail
        assert "dataset.digits" in detail
        assert "theirs" in detail
        assert store.read(outputs) == A
        store.perform(Release(store.place, FIRST, 1), lineage="theirs")
        store.perform(Unpublish(store.place, FIRST, 1))
        assert store.find().presence is Presence.ABSENT

    def test_unpublish_needed_by_own(self, store: Store) -> None:
        """What another resource of the same lineage refers to is kept, and the outputs say by whom."""
        letters = Address("dataset", "letters")
        outputs = store.publish(A)
        store.perform(store.step(A), address=letters)
        store.perform(Release(store.place, FIRST, 1))
        assert store.perform(Unpublish(store.place, FIRST, 1))["kept"] == ("dataset.letters",)
        assert store.read(outputs) == A
        store.perform(Release(store.place, FIRST, 1), address=letters)
        store.perform(Unpublish(store.place, FIRST, 1), address=letters)
        assert store.find().presence is Presence.ABSENT

    def test_shared_objects_stay(self, store: Store) -> None:
        """Files that another identity has too stay when one is unpublished."""
        store.publish(A)
        other = store.publish(B, SECOND)
        store.perform(Release(store.place, FIRST, 1))
        store.perform(Unpublish(store.place, FIRST, 1))
        assert store.read(other) == B
        assert store.ask(LookAtArtifact(store.place, SECOND, 1, "hashed")).presence is Presence.PRESENT

    def test_release_unknown(self, store: Store) -> None:
        """Releasing what was never published, or twice, is nothing to do."""
        store.perform(Release(store.place, FIRST, 1))
        store.publish(A)
        store.perform(Release(store.place, FIRST, 1))
        store.perform(Release(store.place, FIRST, 1))

    def test_published_again(self, store: Store) -> None:
        """Unpublished and made again: the same bytes are the same build and name, other bytes are new ones."""
        for files, build, version in ((A, 1, "V001"), (B, 2, "V002"), (A, 1, "V001")):
            outputs = store.publish(files)
            assert (outputs["build"], outputs["version"]) == (build, version)
            assert store.read(outputs) == files
            store.perform(Release(store.place, FIRST, build))
            store.perform(Unpublish(store.place, FIRST, build))

    # ---- damage and replacement ----

    def test_replaced(self, store: Store) -> None:
        """A build made again with other bytes is the next one, with a name of its own; the old one counts no more."""
        store.publish(A)
        outputs = store.publish(B, replaces=1)
        assert (outputs["build"], outputs["version"]) == (2, "V002")
        assert store.read(outputs) == B
        assert store.find().facts["build"] == 2
        assert store.ask(FindVersion(store.place, SERIES, "V001")).presence is Presence.ABSENT
        assert store.publish(B, replaces=1) == outputs

    def test_replaced_equal(self, store: Store) -> None:
        """A build made again with the same bytes stays the same build under the same name."""
        first = store.publish(A)
        assert store.publish(A, replaces=1) == first
        assert store.find().facts["build"] == 1

    def test_replaced_under_a_pin(self, store: Store) -> None:
        """A name given by hand does not come to mean other bytes, not even of the same identity."""
        store.publish(A, version="gold")
        failed(store, store.step(B, version="gold", replaces=1))

    def test_whole(self, store: Store) -> None:
        """A whole build is present at either depth; a build that nobody published is absent."""
        outputs = store.publish(A)
        for depth in ("listed", "hashed"):
            seen = store.ask(LookAtArtifact(store.place, FIRST, 1, depth))
            assert (seen.presence, seen.digest) == (Presence.PRESENT, outputs["digest"])
        assert store.ask(LookAtArtifact(store.place, FIRST, 2)).presence is Presence.ABSENT
        assert store.ask(LookAtArtifact(store.place, SECOND, 1)).presence is Presence.ABSENT

    @pytest.mark.parametrize(("content", "depth"), [(None, "listed"), (b"short", "listed"), (b"ONE", "hashed")])
    def test_damage(self, store: Store, content: bytes | None, depth: Any) -> None:
        """A file that is gone or cut is found by listing, one of the same size by reading; publishing again heals."""
        outputs = store.publish(A)
        if not self.damage(store, hashlib.sha256(b"one").hexdigest(), content):
            pytest.skip("published files cannot be damaged here")
        seen = store.ask(LookAtArtifact(store.place, FIRST, 1, depth))
        assert seen.presence is Presence.ABSENT
        assert seen.facts["missing"] == 1
        assert seen.facts["missing_paths"] == ("data/1/b.png",)
        assert store.publish(A, replaces=1) == outputs
        assert store.ask(LookAtArtifact(store.place, FIRST, 1, "hashed")).presence is Presence.PRESENT

    def test_damaged_listing(self, store: Store) -> None:
        """A tree whose listing is gone is lost as a whole; other bytes in its place are a new build."""
        outputs = store.publish(A)
        if not self.damage(store, outputs["digest"], None):
            pytest.skip("published files cannot be damaged here")
        seen = store.ask(LookAtArtifact(store.place, FIRST, 1))
        assert seen.presence is Presence.ABSENT
        assert seen.facts["missing_paths"] == ("data/",)
        with pytest.raises(ExecutionError):
            store.read(outputs)
        assert store.publish(B, replaces=1)["build"] == 2
