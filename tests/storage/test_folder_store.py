"""What is particular to a store in a folder: its settings, its files, its format."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from folder_store import PLACE, opened
from pydantic import ValidationError

from specforge.core.errors import ExecutionError
from specforge.core.queries import FindIdentity, FindVersion, LookAtJob, LookAtPlace, Presence
from specforge.core.steps import EnsurePlace, EnsureToolchain, Publish, Release, Unpublish
from specforge.core.values import EMPTY, PROJECT, Frozen, Place, StepRef, Tree, VersionSeries
from specforge.executors.base import LocalTrees, TreeReader
from specforge.executors.storage import FOLDER, FolderSettings
from specforge.executors.storage.records import component, next_version, number_of
from specforge.formats.folder import entries
from specforge.formats.tree import Entry, digest
from specforge.testing.storage import FIRST, SECOND, SERIES, A, B, Store, SuiteTrees, failed


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (".specforge/artifacts", ".specforge/artifacts"),
        ("./a//b/", "a/b"),
        ("../stores", "../stores"),
        ("/srv/store", "/srv/store"),
        ("~/store", "~/store"),
        (" spaces in it ", "spaces in it"),
    ],
)
def test_settings(text: str, place: str) -> None:
    """A store is written as its path; the place's id is the path as written, normalised."""
    assert FolderSettings.model_validate(text).place("artifacts") == Place("folder", place)
    assert FOLDER.settings is FolderSettings


@pytest.mark.parametrize("text", ["", "  ", ".", "./", "a/..", "nul\0", 7, None, {"path": "x"}])
def test_bad_settings(text: object) -> None:
    """No path, the project's own folder, and what is not text are refused."""
    with pytest.raises(ValidationError):
        FolderSettings.model_validate(text)


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the user's home; an absolute path stays."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    store = opened(tmp_path)
    store.perform(EnsurePlace(Place("folder", "~/store"), EMPTY))
    assert json.loads((tmp_path / "home/store/format").read_text()) == {"format": 1}
    store.perform(EnsurePlace(Place("folder", str(tmp_path / "abs")), EMPTY))
    assert (tmp_path / "abs/format").exists()


def test_layout(tmp_path: Path, store: Store) -> None:
    """Store format 1, file by file: others read it too, and old stores must stay readable."""
    outputs = store.publish(A, exports=Frozen({"list.manifest": "{version}.manifest"}))
    root = tmp_path / "store"
    listing = root / "objects" / outputs["digest"][:2] / outputs["digest"]
    assert listing.read_text().splitlines()[0].startswith('["0/a.png",0,4,"')
    assert json.loads((root / "format").read_text()) == {"format": 1}
    record = json.loads((root / "identities" / FIRST / "1").read_text())
    assert record.pop("created") > 0
    assert record == {
        "format": 1,
        "trees": {"data": outputs["digest"]},
        "output": "data",
        "facts": {"files": 3},
        "project": "demo",
        "kind": "dataset",
        "name": "digits",
    }
    version = root / "versions/demo/dataset/digits/V001"
    assert json.loads((version / "claim").read_text()) == {"identity": FIRST, "build": 1, "version": "V001"}
    assert (version / "V001.manifest").read_bytes() == A["list.manifest"]
    reference = json.loads((root / "references" / FIRST / "1/mine").read_text())
    assert list(reference["addresses"]) == ["dataset.digits"]
    assert reference["project"] == "demo"
    assert len([each for each in (root / "objects").rglob("*") if each.is_file()]) == 4
    assert os.listdir(root / "drafts") == []


def test_objects_are_read_only(tmp_path: Path, store: Store) -> None:
    """Published files have no write permission: a job that gets one does not change it by mistake."""
    store.publish(A)
    modes = {each.stat().st_mode & 0o222 for each in (tmp_path / "store/objects").rglob("*") if each.is_file()}
    assert modes <= {0, 0o200}


def test_format_from_the_future(tmp_path: Path, store: Store) -> None:
    """A store of another format is not read and not written, in words."""
    store.publish(A)
    for text in ('{"format": 2}', "", "[]", '{"format": "1"}'):
        (tmp_path / "store/format").write_text(text)
        for query in (LookAtPlace(PLACE), FindIdentity(PLACE, FIRST), FindVersion(PLACE, SERIES, "V001")):
            seen = store.ask(query)
            assert seen.presence is Presence.UNREACHABLE
            assert "format" in str(seen.problem)
        for step in (store.step(B, SECOND), EnsurePlace(PLACE, EMPTY), Release(PLACE, FIRST, 1)):
            assert failed(store, step).diagnostics[0].code == "SF421"


def test_damaged_records(tmp_path: Path, store: Store) -> None:
    """A record that cannot be read is neither there nor absent, and no question raises."""
    store.publish(A)
    (tmp_path / "store/identities" / FIRST / "1").write_text("{")
    assert store.find().presence is Presence.UNREACHABLE
    assert failed(store, store.step(A)).diagnostics[0].code == "SF428"
    (tmp_path / "store/versions/demo/dataset/digits/V001/claim").write_text("[]")
    seen = store.find(SECOND)
    assert seen.presence is Presence.UNREACHABLE
    assert "versions/demo/dataset/digits/V001/claim" in str(seen.problem)


def test_claim_without_commit(tmp_path: Path, store: Store) -> None:
    """A name whose commit a power cut took is absent, until the identity is published again."""
    store.publish(A)
    (tmp_path / "store/identities" / FIRST / "1").unlink()
    assert store.ask(FindVersion(PLACE, SERIES, "V001")).presence is Presence.ABSENT
    assert store.publish(A)["version"] == "V001"
    assert store.ask(FindVersion(PLACE, SERIES, "V001")).presence is Presence.PRESENT


def test_lowest_claim_wins(tmp_path: Path, store: Store) -> None:
    """Where a race left two names for one build, the lowest is its name."""
    store.publish(A)
    claim = json.loads((tmp_path / "store/versions/demo/dataset/digits/V001/claim").read_text())
    other = tmp_path / "store/versions/demo/dataset/digits/V003"
    other.mkdir()
    (tmp_path / "store/versions/demo/dataset/digits/V004").mkdir()  # a folder without a claim is no name yet
    (other / "claim").write_text(json.dumps({**claim, "version": "V003"}))
    assert store.find().facts["version"] == "V001"
    assert store.publish(A)["version"] == "V001"
    assert store.publish(B, SECOND)["version"] == "V004"


def test_leftovers_go(tmp_path: Path, store: Store) -> None:
    """Drafts of a killed writer are removed by the next one."""
    (tmp_path / "store/drafts/killed").mkdir(parents=True)
    (tmp_path / "store/drafts/killed/big").write_bytes(b"x")
    store.publish(A)
    assert os.listdir(tmp_path / "store/drafts") == []


def test_foreign_files_stay(tmp_path: Path, store: Store) -> None:
    """Taking a store away leaves what is not ours."""
    (tmp_path / "store/README").write_text("mine")
    assert store.perform(EnsurePlace(PLACE, None)) == {"kept": 0}
    assert os.listdir(tmp_path / "store") == ["README"]


def test_exports_are_healed(tmp_path: Path, store: Store) -> None:
    """An export that was changed or lost is put right by the next publish of the same identity."""
    exports = Frozen({"list.manifest": "{version}.manifest"})
    store.publish(A, exports=exports)
    file = tmp_path / "store/versions/demo/dataset/digits/V001/V001.manifest"
    for spoil in (file.unlink, lambda: file.write_bytes(b"a, c")):
        spoil()
        store.perform(Publish(PLACE, EMPTY, "data", SERIES, identity=FIRST, exports=exports))
        assert file.read_bytes() == A["list.manifest"]


def test_unpublish_removes_exports(tmp_path: Path, store: Store) -> None:
    """The exported files go with the data, the claim stays."""
    store.publish(A, exports=Frozen({"list.manifest": "{version}.manifest"}))
    store.perform(Release(PLACE, FIRST, 1))
    store.perform(Unpublish(PLACE, FIRST, 1))
    assert os.listdir(tmp_path / "store/versions/demo/dataset/digits/V001") == ["claim"]
    assert not [each for each in (tmp_path / "store/objects").rglob("*") if each.is_file()]


def test_odd_names(tmp_path: Path, store: Store) -> None:
    """Names with slashes, dots, quotes or Chinese lead nowhere else than into their own folder."""
    series = VersionSeries("项目", "dataset", "../../out", "V{:03d}")
    for version in ("..", "a/b", ".", "%2E", "it's"):
        outputs = store.publish({"x": version.encode()}, version.encode().hex(), series=series, version=version)
        assert outputs["version"] == version
        assert store.ask(FindVersion(PLACE, series, version)).presence is Presence.PRESENT
    assert sorted(os.listdir(tmp_path)) == ["store"]
    assert len({component(each) for each in ("..", "%2E.", "a/b", "a%2Fb", "a%b", "")}) == 6


@pytest.mark.parametrize(
    ("pattern", "version", "number"),
    [("V{:03d}", "V007", 7), ("V{:03d}", "V1000", 1000), ("V{:03d}", "V7", None), ("V{:03d}", "gold", None),
     ("0.0.{}", "0.0.12", 12), ("0.0.{}", "0.0.", None), ("0.0.{}", "0.0.x", None), ("{}-rc", "3-rc", 3)],
)  # fmt: skip
def test_version_numbers(pattern: str, version: str, number: int | None) -> None:
    """A version's number is read back from the series' pattern; names given by hand have none."""
    series = VersionSeries("p", "k", "n", pattern)
    assert number_of(series, version) == number
    assert next_version(series, [version]) == series.version((number or 0) + 1)


def test_executable_bits(tmp_path: Path, store: Store) -> None:
    """A tree keeps its executable bits; one whose digest leaves them out is published without."""
    for digest_bit in (True, False):
        root = tmp_path / "code"
        root.mkdir(exist_ok=True)
        (root / "run").write_bytes(b"#!")
        (root / "run").chmod(0o755)
        tree = Tree(PROJECT, "code", digest(entries(root, executable=digest_bit)))
        outputs = store.perform(Publish(PLACE, Frozen(code=tree), "code", identity=str(digest_bit)))
        assert outputs["digest"] == tree.digest
        (each,) = store.two.entries(Tree(PLACE, None, outputs["digest"]))
        assert each.executable is digest_bit


def test_project_place(tmp_path: Path, store: Store) -> None:
    """The project's own folder is a place to read from; nothing is published there."""
    seen = store.ask(LookAtPlace(PROJECT))
    assert (seen.presence, seen.facts["free"] > 0) == (Presence.PRESENT, True)
    for place in (PROJECT, Place("folder", "x/.."), Place("folder", str(tmp_path))):
        for step in (EnsurePlace(place, EMPTY), EnsurePlace(place, None), Release(place, FIRST, 1)):
            assert failed(store, step).diagnostics[0].code == "SF420"
    assert not (tmp_path / "format").exists()


def test_abilities(tmp_path: Path, store: Store) -> None:
    """The executor gives trees and local folders; a published tree is no folder of this machine."""
    assert isinstance(store.one, TreeReader)
    assert isinstance(store.one, LocalTrees)
    assert store.one.local_folder(Tree(PROJECT, "data")) == tmp_path / "data"
    assert store.one.local_folder(Tree(PLACE, None, "0" * 64)) is None
    with pytest.raises(ExecutionError):
        store.one.entries(Tree(PLACE, None, "0" * 64))


def test_not_its_work(store: Store) -> None:
    """Steps and questions of other places are refused in words."""
    assert failed(store, EnsureToolchain(PLACE, "scikit-learn", EMPTY)).diagnostics[0].code == "SF420"
    assert store.ask(LookAtJob(PLACE, "key")).presence is Presence.UNREACHABLE


def test_preflight(tmp_path: Path, store: Store) -> None:
    """A place whose folder cannot be made, and a copy that does not fit, are said before anything runs."""
    (tmp_path / "file").write_bytes(b"")
    step = Publish(Place("folder", "file/store"), Frozen(data=StepRef("job", "tree.data")), "data", identity=FIRST)
    assert store.one.preflight(step.store, [step], None)[0].code == "SF420"
    assert store.one.preflight(PLACE, [EnsurePlace(PLACE, None)], None) == ()
    assert store.one.preflight(PLACE, [store.step(A), EnsurePlace(PLACE, EMPTY)], None) == ()

    class Huge(SuiteTrees):
        def entries(self, tree: Tree) -> tuple[Entry, ...]:
            return tuple(each._replace(size=1 << 62) for each in super().entries(tree))

    store = opened(tmp_path, Huge())
    (each,) = store.one.preflight(PLACE, [store.step(A)], None)
    assert (each.code, "bytes left" in each.detail) == ("SF426", True)
