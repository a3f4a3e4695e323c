"""Run by the tests in a process of its own, which forks the processes that are killed or run at once.

Every command checks what it sees by itself and prints how often; a failed check is a traceback and a non-zero exit.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from folder_store import PLACE, opened

from specforge.core.errors import ExecutionError
from specforge.core.queries import FindVersion, LookAtArtifact, Presence
from specforge.core.steps import EnsurePlace, Release, Unpublish
from specforge.core.values import EMPTY, Frozen
from specforge.testing.storage import FIRST, SECOND, SERIES, A, B, Store, context

EXPORTS = Frozen({"list.manifest": "{version}.manifest"})
KILLED = 77


def forked(work: Callable[[], object]) -> int:
    """Do the work in a forked process; return how it ended: its exit status, or minus the signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_objects(root: Path) -> None:
    """Every object that has a name is what its name says."""
    for each in (root / "store" / "objects").rglob("*"):
        if each.is_file():
            assert hashlib.sha256(each.read_bytes()).hexdigest() == each.name, each


def check_whole(root: Path, store: Store) -> None:
    """What can be found is whole, and a claimed name stands for something that was committed."""
    check_objects(root)
    for identity in (FIRST, SECOND):
        seen = store.find(identity)
        assert seen.presence is not Presence.UNREACHABLE, seen
        if seen.presence is Presence.PRESENT:
            whole = store.ask(LookAtArtifact(PLACE, identity, seen.facts["build"], "hashed"))
            assert whole.presence is Presence.PRESENT, whole
    for claim in (root / "store" / "versions").rglob("claim"):
        assert store.ask(FindVersion(PLACE, SERIES, claim.parent.name)).presence is not Presence.UNREACHABLE


def kills(root: Path, prepare: Callable[[Store], object], work: Callable[[Store], object]) -> int:
    """Kill `work` after its first, second, … write, each on a fresh store; then it is done again, and converges."""
    for count in range(1, 1000):
        place = root / str(count)
        store = opened(place)
        store.perform(EnsurePlace(PLACE, EMPTY))
        prepare(store)
        left = [count]

        def die(_: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                os._exit(KILLED)

        ended = forked(lambda place=place, die=die: work(opened(place, after_write=die)))
        assert ended in (0, KILLED)
        check_whole(place, store)
        outputs = work(store)
        check_whole(place, store)
        assert work(store) == outputs
        check_result(place, store)
        shutil.rmtree(place)
        if ended == 0:
            return count
    raise AssertionError("it never completed")


def check_result(root: Path, store: Store) -> None:
    """Nothing is left of the killed: no drafts, no second name for one build, no export that is cut."""
    assert not os.listdir(root / "store" / "drafts")
    for claim in (root / "store" / "versions").rglob("claim"):
        export = claim.with_name(f"{claim.parent.name}.manifest")
        assert not export.exists() or export.read_bytes() == A["list.manifest"]
    names = sorted(each.parent.name for each in (root / "store" / "versions").rglob("claim"))
    assert names in ([], ["V001"], ["V001", "V002"]), names
    if store.find().presence is Presence.PRESENT:
        assert names[: store.find().facts["build"]] == [f"V{n + 1:03d}" for n in range(store.find().facts["build"])]


def kill_publish(root: Path) -> int:
    def work(store: Store) -> object:
        outputs = store.publish(A, exports=EXPORTS)
        assert (outputs["build"], outputs["version"]) == (1, "V001")
        return outputs

    return kills(root, lambda _: None, work)


def kill_replace(root: Path) -> int:
    def work(store: Store) -> object:
        outputs = store.publish(B, replaces=1)
        assert (outputs["build"], outputs["version"]) == (2, "V002")
        return outputs

    return kills(root, lambda store: store.publish(A), work)


def kill_heal(root: Path) -> int:
    def damage(store: Store) -> None:
        outputs = store.publish(A)
        store.perform(Release(PLACE, FIRST, 1))
        store.perform(Unpublish(PLACE, FIRST, 1))
        assert outputs["version"] == "V001"

    def work(store: Store) -> object:
        outputs = store.publish(A, replaces=1)
        assert (outputs["build"], outputs["version"]) == (1, "V001")
        return outputs

    return kills(root, damage, work)


def kill_many(root: Path) -> int:
    """Killed at the first of many files copied; who comes next waits for helpers that are left."""
    import test_many_files as many

    def die(what: str) -> None:
        if what == "copy some":
            os._exit(KILLED)

    step = many.step(root)
    assert forked(lambda: many.opened(root, die).perform(step, context())) == KILLED
    assert not (root / "store" / "versions").exists()
    check_objects(root)
    executor = many.opened(root)
    outputs = executor.perform(step, context()).outputs
    assert executor.perform(step, context()).outputs == outputs
    assert not os.listdir(root / "store" / "drafts")
    return 1


def kill_unpublish(root: Path) -> int:
    def prepare(store: Store) -> None:
        store.publish(A, exports=EXPORTS)
        store.publish(B, SECOND)

    def work(store: Store) -> object:
        store.perform(Release(PLACE, FIRST, 1))
        store.perform(Unpublish(PLACE, FIRST, 1))
        assert store.find().presence is Presence.ABSENT
        assert store.read(store.publish(B, SECOND)) == B
        return None

    return kills(root, prepare, work)


def kill_remove(root: Path) -> int:
    """An empty store is removed in the end, wherever it was killed."""
    for count in range(1, 1000):
        place = root / str(count)
        store = opened(place)
        store.perform(EnsurePlace(PLACE, EMPTY))
        store.publish(A)
        store.perform(Release(PLACE, FIRST, 1))
        store.perform(Unpublish(PLACE, FIRST, 1))
        left = [count]

        def die(_: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                os._exit(KILLED)

        ended = forked(lambda place=place, die=die: opened(place, after_write=die).perform(EnsurePlace(PLACE, None)))
        store.perform(EnsurePlace(PLACE, None))
        assert not (place / "store").exists(), os.listdir(place / "store")
        if ended == 0:
            return count
    raise AssertionError("it never completed")


def processes(root: Path) -> int:
    """Several processes publish one identity with different bytes, and names of one series, at once."""
    opened(root).perform(EnsurePlace(PLACE, EMPTY))
    children = []
    gate = os.pipe()
    for number in range(4):
        child = os.fork()
        if child == 0:
            os.close(gate[1])
            os.read(gate[0], 1)  # returns for all of them when the writing end is closed
            store = opened(root)
            try:
                store.publish({"who": str(number).encode() * 3000}, lineage=f"process-{number}")
                store.publish({"own": str(number).encode()}, str(number) * 64, lineage=f"process-{number}")
            except BaseException:  # noqa: BLE001
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(gate[0])
    os.close(gate[1])
    assert [os.waitpid(each, 0)[1] for each in children] == [0] * 4
    store = opened(root)
    check_objects(root)
    assert store.find().facts["build"] == 1
    assert len(os.listdir(root / "store" / "references" / FIRST / "1")) == 4
    # Process 1 used FIRST for its own tree too: it found the common one there.
    names = sorted(each.parent.name for each in (root / "store" / "versions").rglob("claim"))
    assert names == ["V001", "V002", "V003", "V004"], names
    return len(children)


def file_limit(root: Path) -> int:
    """A limit on the size of files fails the step in words; nothing is visible; without it, it succeeds."""
    store = opened(root)
    store.perform(EnsurePlace(PLACE, EMPTY))
    big = {"big.bin": b"x" * 300_000}

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        with pytest.raises(ExecutionError) as caught:
            store.publish(big)
        (each,) = caught.value.diagnostics
        assert each.code == "SF426"
        assert "limit" in each.detail
        assert store.find().presence is Presence.ABSENT
        assert not os.listdir(root / "store" / "drafts")

    assert forked(limited) == 0
    assert store.read(store.publish(big)) == big
    return 1


def no_rights(root: Path) -> int:
    """A store that belongs to somebody else can be read and is not written; its folder can be forbidden altogether."""
    store = opened(root)
    store.perform(EnsurePlace(PLACE, EMPTY))
    store.publish(A)
    where = root / "store"

    def stranger() -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        else:
            for folder, _, _ in os.walk(where):
                os.chmod(folder, 0o555)
        (each,) = store.one.preflight(PLACE, [store.step(B, SECOND)], None)
        assert each.code == "SF425", each
        assert store.find().presence is Presence.PRESENT
        assert store.ask(LookAtArtifact(PLACE, FIRST, 1, "hashed")).presence is Presence.PRESENT
        for work in (
            lambda: store.publish(B, SECOND),
            lambda: store.perform(Release(PLACE, FIRST, 1)),
            lambda: store.perform(Unpublish(PLACE, FIRST, 1)),
            lambda: store.perform(EnsurePlace(PLACE, None)),
        ):
            with pytest.raises(ExecutionError) as caught:
                work()
            assert caught.value.diagnostics[0].code == "SF425"

    def forbidden() -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        assert store.find().presence is Presence.UNREACHABLE

    assert forked(stranger) == 0
    os.chmod(where, 0)
    try:
        assert forked(forbidden) == 0
    finally:
        os.chmod(where, 0o755)
        for folder, _, _ in os.walk(where):
            os.chmod(folder, 0o755)
    assert store.publish(B, SECOND)["version"] == "V002"
    return 1


if __name__ == "__main__":
    name, folder = sys.argv[1:]
    command = globals()[name]
    print(command(Path(folder)), context().key.id and "checked")
