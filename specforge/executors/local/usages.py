"""The view of a published data set that a job gets: only the samples of some usages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from specforge.core.making import dataclass
from specforge.formats import manifest
from specforge.formats.tree import Entry

SUFFIX = ".manifest"
UNUSED = "TRAIN"
"""The usage of a sample that has none."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The files to show, without the manifest, which is written anew."""

    entries: tuple[Entry, ...]
    manifest_path: str
    manifest: bytes


def has_manifest(entries: Sequence[Entry]) -> bool:
    """Return whether the tree says what its samples are for."""
    return any(each.path.endswith(SUFFIX) for each in entries)


def choose(entries: Sequence[Entry], read: Callable[[Entry], bytes], wanted: Collection[str]) -> Chosen | str:
    """Return what to show of a tree with one manifest; a text says why that cannot be told."""
    manifests = [each for each in entries if each.path.endswith(SUFFIX)]
    if len(manifests) != 1:
        return f"`usages` needs a tree with one manifest; this one has {len(manifests)}"
    try:
        samples = manifest.read(read(manifests[0]))
    except ValueError as error:
        return f"the manifest `{manifests[0].path}` cannot be read: {error}"
    kept = tuple(each for each in samples if (each.usage or UNUSED) in wanted)
    files = set()
    for each in kept:
        files.add(each.source)
        files.update(note.annotation_loc for note in each.annotations if note.annotation_loc is not None)
    shown = tuple(each for each in entries if each.path in files)
    return Chosen(shown, manifests[0].path, manifest.write(kept))
