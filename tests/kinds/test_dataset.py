"""What a Dataset asks, wishes and refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asked import with_steps
from pydantic import ValidationError

from specforge.core.diagnostics import Severity
from specforge.core.digest import identity_of
from specforge.core.queries import Presence, ScanTree, Seen, unreachable
from specforge.core.state import Version
from specforge.core.steps import Publish, RunJob
from specforge.core.values import EMPTY, PROJECT, Place, Select, Tree, frozen
from specforge.schemas.dataset import KIND

PICTURES = Select((".bmp", ".jpeg", ".jpg", ".png"), executable=False)


def findings(world, seen):
    desire = KIND.desire(replace(world.dataset(), facts={"source": seen}))
    assert all(each.path == ("source",) for each in desire.diagnostics)
    errors = [each for each in desire.diagnostics if each.severity is Severity.ERROR]
    assert bool(errors) != bool(desire.parts)
    return [(each.code, each.detail) for each in desire.diagnostics]


def test_the_source_is_scanned_for_pictures(world):
    """Only pictures count, without their executable bit; with a current version the scan says what differs from it."""
    subject = world.dataset()
    assert KIND.readings(subject) == {"source": ScanTree(PROJECT, "data/digits", PICTURES)}
    store = Place("folder", "store")
    current = Version("V001", "i" * 64, 1, "d" * 64, EMPTY, "{}")
    published = replace(subject, recorded=current, recorded_place=store)
    assert KIND.readings(published)["source"].since == Tree(store, None, "d" * 64)


def test_the_identity_is_a_golden_one(world):
    """The identity of a data set never changes by itself: everything published under it would be lost."""
    part = with_steps(KIND, world.dataset())
    assert dict(part.recipe) == {
        "task": "image_classification",
        "samples": "3" * 64,
        "layout": "class_folders",
        "split": {"train": 0.8, "seed": 7, "stratified": True},
    }
    identity = identity_of(part.prefix, part.revision, part.recipe)
    assert identity == "5c7b0b05aa4f7f4d49abd6ce730029e6f4f846fb99b5c7cbe068e5ed0335b0b1"


def test_a_version_is_published_by_a_job(world):
    """The procedure gets the source, verified against the scan, and its output and facts are published."""
    job, publish = with_steps(KIND, world.dataset()).steps
    assert isinstance(job, RunJob)
    assert isinstance(publish, Publish)
    assert job.inputs[0].tree == Tree(PROJECT, "data/digits", "3" * 64)
    assert f"--digest={'3' * 64}" in job.run.argv
    assert '--split={"seed":7,"stratified":true,"train":0.8}' in job.run.argv
    assert publish.exports == {"dataset.manifest": "{version}.manifest"}
    assert publish.series.version(12) == "V012"


def test_without_a_split_none_is_asked_for(world):
    """No `split`, no option, and null in the recipe."""
    part = with_steps(KIND, world.dataset(split=None))
    assert part.recipe["split"] is None
    assert not [each for each in part.steps[0].run.argv if each.startswith("--split")]


def test_a_pinned_version_is_told_to_the_store(world):
    """`version` names the version that is claimed."""
    subject = world.dataset(version="first")
    assert KIND.desire(subject).pinned == "first"
    assert with_steps(KIND, subject).steps[-1].version == "first"


def test_the_summary_counts(world):
    """A few words for the plan, with empty folders not counted as labels."""
    facts = {"source": world.scan(files=1797, bytes=511_000, folders={"0": 900, "1": 897, "x": 0})}
    desire = KIND.desire(replace(world.dataset(), facts=facts))
    assert desire.summary == "1,797 pictures in 2 labels, 0.5 MB"
    one = KIND.desire(replace(world.dataset(), facts={"source": world.scan(files=1, bytes=1, folders={"a": 1})}))
    assert one.summary == "1 picture in 1 label, 1 B"


def test_what_is_wrong_with_a_source(world):
    """Each has its code and its cause; those that lose pictures or labels are errors, an empty folder is a warning."""
    assert findings(world, Seen(Presence.ABSENT)) == [("SF210", "there is no folder `data/digits`")]
    assert findings(world, unreachable("permission denied")) == [
        ("SF215", "`data/digits` cannot be read: permission denied")
    ]
    single = Seen(Presence.PRESENT, "0" * 64, frozen({"files": 1, "folders": {}}))
    assert findings(world, single) == [("SF210", "`data/digits` is a file, not a folder")]
    none = Seen(Presence.PRESENT, "0" * 64, frozen({"files": 0, "folders": {"cat": 0}}))
    assert findings(world, none) == [("SF211", "`data/digits` has no pictures")]
    folders = {".": 2, "cat": 1, "dog": 0, "a b": 1, "x" * 33: 1, "猫": 1}
    assert findings(world, world.scan(folders=folders)) == [
        ("SF214", "2 pictures lie in `data/digits` itself, so they have no label"),
        ("SF213", "the folder `a b` in `data/digits` has the character ` `, which a label may not have"),
        ("SF212", "the folder `dog` in `data/digits` has no pictures, so there will be no such label"),
        ("SF213", f"the folder `{'x' * 33}` in `data/digits` has 33 characters, a label has at most 32"),
    ]
    assert findings(world, world.scan(problems=[{"path": "cat/x.png", "problem": "leads outside"}])) == [
        ("SF215", "`cat/x.png` in `data/digits` leads outside")
    ]


def test_an_empty_folder_stops_nothing(world):
    """The warning goes with the wish."""
    desire = KIND.desire(replace(world.dataset(), facts={"source": world.scan(folders={"cat": 3, "dog": 0})}))
    assert [each.severity for each in desire.diagnostics] == [Severity.WARNING]
    assert desire.parts


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"split": {"train": 0.8, "eval": 0.1}}, "`train` and `eval` make 0.9, they must make 1"),
        ({"split": {"train": 0}}, "greater than 0"),
        ({"split": {"train": 0.8, "seed": -1}}, "greater than or equal to 0"),
        ({"split": {}}, "Field required"),
        ({"task": "object_detection"}, "image_classification"),
        ({"source": ""}, "at least 1 character"),
        ({"version": "a/b"}, "should match pattern"),
        ({"name": "a b"}, "should match pattern"),
    ],
)
def test_documents_that_are_refused(world, fields, words):
    """A value that cannot be meant is an error of the document."""
    with pytest.raises(ValidationError, match=words):
        world.dataset(**fields)


def test_thirds_make_one(world):
    """Ratios that only float arithmetic takes apart are accepted."""
    assert world.dataset(split={"train": 0.7, "eval": 0.3}).spec.split.train == 0.7
