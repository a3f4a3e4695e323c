"""Publish: objects first, one durable barrier, then the commit, the version name, the exports and the reference.

Killed anywhere, the next one finds either nothing visible or the commit, and goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import field

from specforge.core.making import dataclass
from specforge.core.steps import Publish
from specforge.core.values import Frozen, Tree
from specforge.executors.base import LocalTrees, StepEvent, TreeReader
from specforge.executors.storage.failures import changed, damaged, impossible, version_taken
from specforge.executors.storage.records import Build, component, next_version
from specforge.executors.storage.store import Store
from specforge.formats.folder import locate
from specforge.formats.hashing import BLOCK, MANY_BYTES, MANY_FILES, Hashing, hash_file
from specforge.formats.tree import Entry, listing

REPORT_EVERY = 500
REPLACED = "replaced"
ALREADY_THERE = {errno.ENOTEMPTY, errno.EEXIST, errno.EXDEV}
"""Why a folder cannot be moved to a name; the last is what some layered file systems say."""


@dataclass(slots=True)
class _Gathered:
    """What is to be put: trees by name, and where each object's bytes come from."""

    trees: dict[str, str] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, tuple[Tree, Entry]] = field(default_factory=dict)


def publish(store: Store, step: Publish) -> Frozen:
    """Perform the step; returns its outputs."""
    identity = str(step.identity)
    store.records.need()
    store.clear_leftovers()
    with store.shared(identity):
        _refuse_other_content(store, step, identity)
        current = store.records.current(identity)
        if current is None or current.number == step.replaces:
            current = _make(store, step, identity, current)
        version = _name(store, step, current)
        if version is not None and step.series is not None:
            _export(store, step, current, f"{store.records.series(step.series)}/{component(version)}", version)
        _refer(store, step, current)
        # What was found may be so fresh that its writer was killed before it was durable: then it becomes so here.
        store.touched.add(store.records.identity(identity))
        store.settle()
    return Frozen(
        {
            "identity": identity,
            "build": current.number,
            "digest": current.digest,
            "trees": current.trees,
            "version": version,
            "facts": current.facts,
        }
    )


def _refuse_other_content(store: Store, step: Publish, identity: str) -> None:
    """Find out before the work that the name asked for belongs to another identity."""
    if step.series is not None and step.version is not None:
        taken = store.records.claim(step.series, step.version)
        if taken is not None and taken.identity != identity:
            raise version_taken(step.version, taken.identity)


# ---- the build ----


def _make(store: Store, step: Publish, identity: str, current: Build | None) -> Build:
    if step.output not in step.trees:
        raise impossible(
            f"there is nothing to publish as {identity[:12]}: it went from `{store.records.name}` meanwhile"
        )
    gathered = _gather(store, step)
    # A build that is made again is suspect: what it has left is read, not only counted.
    _put(store, gathered, suspicious=step.replaces is not None)
    builds = store.records.builds(identity)
    folder = store.records.identity(identity)
    equal = [n for n in builds.numbers if store.records.build(identity, n).trees == gathered.trees]
    whole = max((n for n in equal if n in builds.lost or n == step.replaces), default=None)
    if current is not None and current.number != whole:
        body = json.dumps({"why": REPLACED}).encode()
        store.create(f"{folder}/{current.number}.lost", body)
    if whole is not None:
        if whole in builds.lost:
            store.remove(f"{folder}/{whole}.lost")
        return store.records.build(identity, whole)
    return _commit(store, step, identity, gathered.trees, max(builds.numbers, default=0) + 1)


def _commit(store: Store, step: Publish, identity: str, trees: Mapping[str, str], number: int) -> Build:
    address = store.context.key.address
    body = {
        "format": 1,
        "trees": trees,
        "output": step.output,
        "facts": step.facts,
        "created": time.time(),
        "project": step.series.project if step.series else None,
        "kind": address.kind,
        "name": address.name,
    }
    folder = store.records.identity(identity)
    store.make_folder(folder)
    store.create(f"{folder}/{number}", _text(body))
    return store.records.build(identity, number)


def _gather(store: Store, step: Publish) -> _Gathered:
    gathered = _Gathered()
    for name, tree in step.trees.items():
        entries = store.readers(tree.place).entries(tree)
        text = listing(entries)
        digest = hashlib.sha256(text).hexdigest()
        if tree.digest is not None and digest != tree.digest:
            # A tree scanned as data has no executable bits in its digest.
            entries = tuple(each._replace(executable=False) for each in entries)
            text = listing(entries)
            digest = hashlib.sha256(text).hexdigest()
            if digest != tree.digest:
                raise changed(f"`{tree.path}`" if tree.path else f"tree {str(tree.digest)[:12]}")
        gathered.trees[name] = digest
        gathered.texts[digest] = text
        for each in entries:
            gathered.files.setdefault(each.sha256, (tree, each))
        if name == step.output:
            known = {each.path for each in entries}
            for path in step.exports:
                if path not in known:
                    raise impossible(f"there is no `{path}` in the tree `{name}` to show beside the version")
    return gathered


def _put(store: Store, gathered: _Gathered, *, suspicious: bool) -> None:
    """Make every object be there: drafts, a barrier, then names, so that an object that has a name is whole."""
    there = _prefixes(store)
    look = store.records.holds_truly if suspicious else store.records.holds

    def holds(sha: str, size: int) -> bool:
        return sha[:2] in there and look(sha, size)

    files = {sha: each for sha, each in gathered.files.items() if not holds(sha, each[1].size)}
    # The listing of an empty tree and an empty file are one object.
    texts = {sha: text for sha, text in gathered.texts.items() if sha not in files and not holds(sha, len(text))}
    drafts = _copy_all(store, files)
    for sha, text in texts.items():
        drafts[sha] = f"{store.scratch}/{sha}"
        store.disk.write(drafts[sha], text)
    store.check_cancel()
    store.disk.barrier(list(drafts.values()), store.records.root)
    _name_objects(store, drafts)
    store.settle()
    total = sum(entry.size for _, entry in files.values())
    store.context.emit(StepEvent("progress", done=total, total=total, unit="bytes"))


def _prefixes(store: Store) -> set[str]:
    """Return which folders of objects there are."""
    try:
        return set(os.listdir(f"{store.records.root}/objects"))
    except FileNotFoundError:
        return set()


def _name_objects(store: Store, drafts: Mapping[str, str]) -> None:
    """Move drafts to their names; where a folder of objects is not there yet, the folder of the drafts becomes it."""
    objects, there = f"{store.records.root}/objects", _prefixes(store)
    store.make_folder(objects)
    store.touched.add(objects)
    moved = set()
    for prefix in sorted({sha[:2] for sha in drafts}):
        store.touched.add(f"{objects}/{prefix}")
        if prefix not in there and os.path.isdir(f"{store.scratch}/{prefix}"):
            try:
                store.disk.rename(f"{store.scratch}/{prefix}", f"{objects}/{prefix}")
                moved.add(prefix)
            except OSError as error:
                # Somebody else may have made it since: then it has files, and they stay.
                if error.errno not in ALREADY_THERE:
                    raise
        if prefix not in moved:
            store.make_folder(f"{objects}/{prefix}")
    for sha, draft in drafts.items():
        if sha[:2] not in moved or draft == f"{store.scratch}/{sha}":
            target = f"{objects}/{sha[:2]}/{sha}"
            try:
                store.disk.rename(draft, target)
            except FileNotFoundError:
                # Its folder was empty, and somebody else's came in its place just now.
                store.disk.rename(draft, target)


def _copy_all(store: Store, files: Mapping[str, tuple[Tree, Entry]]) -> dict[str, str]:
    """Make a draft of each file; return where they are."""
    total = sum(entry.size for _, entry in files.values())
    sources = _sources(store, files) if len(files) >= MANY_FILES or total >= MANY_BYTES else {}
    drafts = _copy_at_once(store, files, sources, total) if sources else {}
    done = sum(files[sha][1].size for sha in drafts)
    rest = [each for each in files.items() if each[0] not in drafts]
    for count, (sha, (tree, entry)) in enumerate(rest):
        if count % REPORT_EVERY == 0:
            store.check_cancel()
            store.context.emit(StepEvent("progress", done=done, total=total, unit="bytes"))
        drafts[sha] = f"{store.scratch}/{sha}"
        copy_checked(store.readers(tree.place), tree, entry, drafts[sha], 0o444)
        store.disk.did(f"copy {drafts[sha]}")
        done += entry.size
    return drafts


def _sources(store: Store, files: Mapping[str, tuple[Tree, Entry]]) -> dict[str, str]:
    """Return where the files lie that are in folders of this machine."""
    last, folder = None, None
    sources = {}
    for sha, (tree, entry) in files.items():
        if tree is not last:
            last, reader = tree, store.readers(tree.place)
            folder = reader.local_folder(tree) if isinstance(reader, LocalTrees) else None
            where = str(folder)
        if folder is not None:
            sources[sha] = locate(where, entry.path)
    return sources


def _copy_at_once(
    store: Store, files: Mapping[str, tuple[Tree, Entry]], sources: Mapping[str, str], total: int
) -> dict[str, str]:
    """Copy many files on every core; return the drafts that came out right, the others are left to be copied again."""
    # Who makes a file keeps the others out of its folder: so there are several, as of objects.
    for each in sorted({sha[:2] for sha in sources}):
        store.disk.make_folder(f"{store.scratch}/{each}")
    drafts = {sha: f"{store.scratch}/{sha[:2]}/{sha}" for sha in sources}

    def report(done: int) -> None:
        store.disk.did("copy some")
        store.check_cancel()
        store.context.emit(StepEvent("progress", done=done, total=total, unit="bytes"))

    # A helper that outlives us holds our locks until it has noticed, so that nobody clears away what it writes.
    with Hashing("/", held=store.locks) as hashing:
        hashing.add(list(sources.values()), sum([files[each][1].size for each in sources]), list(drafts.values()))
        answers = hashing.finish(report)
    for index, sha in enumerate(sources):
        if answers.digests[index] != sha or index in answers.errors:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(drafts.pop(sha))
    return drafts


def copy_checked(reader: TreeReader, tree: Tree, entry: Entry, target: str, mode: int) -> None:
    """Copy one file into a new file; raises ExecutionError if it is not what the entry says any more."""
    published = tree.path is None
    where = f"the store `{tree.place.id}`" if published else f"`{tree.path or tree.place.id}`"
    try:
        source = reader.open(tree, entry)
    except FileNotFoundError:
        raise (damaged if published else changed)(where, entry.path) from None
    hasher, size = hashlib.sha256(), 0
    with source:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            # No more than there should be: who asks for a block gets room for one.
            while block := source.read(min(BLOCK, entry.size + 1)):
                hasher.update(block)
                size += len(block)
                view = memoryview(block)
                while view:
                    view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
    if size != entry.size or hasher.hexdigest() != entry.sha256:
        os.unlink(target)
        raise (damaged if published else changed)(where, entry.path)


# ---- name, exports, reference ----


def _name(store: Store, step: Publish, build: Build) -> str | None:
    series = step.series
    if series is None:
        return None
    records = store.records
    folder = records.series(series)
    while True:
        claims = records.claims(series)
        mine = [each.version for each in claims if (each.identity, each.build) == (build.identity, build.number)]
        if mine and step.version is None:
            return mine[0]
        version = step.version or next_version(series, tuple(each.version for each in claims))
        taken = next((each for each in claims if each.version == version), None)
        if taken is not None:
            if version in mine:
                return version
            raise version_taken(version, taken.identity)
        store.make_folder(f"{folder}/{component(version)}")
        body = {"identity": build.identity, "build": build.number, "version": version}
        store.create(f"{folder}/{component(version)}/claim", _text(body))


def _export(store: Store, step: Publish, build: Build, folder: str, version: str) -> None:
    """Copy files of the output beside the claim, for people to read."""
    if not step.exports:
        return
    entries = {each.path: each for each in store.records.listing(build.digest)}
    for path, name in step.exports.items():
        target = f"{folder}/{component(name.replace('{version}', version))}"
        entry = entries.get(path)
        if entry is None:
            raise impossible(f"there is no `{path}` in what is published as {build.identity[:12]}")
        if os.path.exists(target) and hash_file(target, entry.size).sha256 == entry.sha256:
            continue
        with open(store.records.object(entry.sha256), "rb") as source:
            store.replace(target, source.read())


def _refer(store: Store, step: Publish, build: Build) -> None:
    """Note that this lineage's resource needs the build."""
    key = store.context.key
    folder = store.records.references(build.identity, build.number)
    before = store.records.references_to(build.identity, build.number).get(component(key.lineage), {})
    addresses = dict(before.get("addresses", {}))
    if str(key.address) in addresses:
        return
    addresses[str(key.address)] = time.time()
    project = step.series.project if step.series else before.get("project")
    store.make_folder(folder)
    body = {"project": project, "addresses": addresses}
    store.replace(f"{folder}/{component(key.lineage)}", _text(body))


def _text(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
