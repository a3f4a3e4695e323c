"""What somebody wrote into a store by hand, with the size kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from specforge.core.queries import LookAtArtifact, Presence
from specforge.executors.storage import looking
from specforge.testing.storage import FIRST, A, Store


def object_of(root: Path, content: bytes) -> Path:
    """Return the file that keeps this content."""
    sha256 = hashlib.sha256(content).hexdigest()
    return next(root.rglob(sha256))


def overwrite(path: Path, content: bytes, at: int | None) -> None:
    """Write other content into a file, at this moment (ns) or now."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    if at is not None:
        os.utime(path, ns=(at, at))


def test_content_written_after_the_commit_is_found_by_listing(tmp_path: Path, store: Store) -> None:
    """Its size is right, its time is not: it is read."""
    store.publish(A)
    overwrite(object_of(tmp_path, b"one"), b"ONE", None)
    seen = store.ask(LookAtArtifact(store.place, FIRST, 1))
    assert (seen.presence, seen.facts["missing"], seen.facts["changed"]) == (Presence.ABSENT, 1, 1)
    store.publish(A, replaces=1)
    assert store.ask(LookAtArtifact(store.place, FIRST, 1)).presence is Presence.PRESENT


def test_a_forged_time_is_found_by_reading_only(tmp_path: Path, store: Store) -> None:
    """Listing believes times; `hashed` believes nothing."""
    store.publish(A)
    path = object_of(tmp_path, b"one")
    overwrite(path, b"ONE", path.stat().st_mtime_ns)
    assert store.ask(LookAtArtifact(store.place, FIRST, 1)).presence is Presence.PRESENT
    assert store.ask(LookAtArtifact(store.place, FIRST, 1, "hashed")).facts["changed"] == 1


def test_of_a_copied_store_the_times_say_nothing(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything is younger than its commit, a look that lists does not read it all."""
    store.publish(A)
    overwrite(object_of(tmp_path, b"one"), b"ONE", None)
    monkeypatch.setattr(looking, "_MOST_READ", 2)
    assert store.ask(LookAtArtifact(store.place, FIRST, 1)).presence is Presence.PRESENT
