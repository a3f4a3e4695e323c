"""The procedure that publishes a data set: check, divide, write the manifest."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.formats import folder, manifest, tree
from specforge.formats.pictures import SUFFIXES
from specforge.formats.tree import Entry
from specforge.procedures import Failure
from specforge.procedures.__main__ import main
from specforge.procedures.dataset import MANIFEST, Split, publish_dataset, usages

SEVEN = Split(0.8, 7, stratified=True)


def png(shade):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + bytes([shade % 256]))
    note = chunk(b"tEXt", b"number\0" + str(shade).encode())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + note + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def put(source, *paths):
    for number, path in enumerate(paths):
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png(number))


@pytest.fixture(name="source")
def _source(tmp_path):
    source = tmp_path / "source"
    put(source, *(f"cat/{number}.png" for number in range(10)), *(f"dog/deep/{number}.png" for number in range(5)))
    return source


def read(output):
    return manifest.read((output / MANIFEST).read_bytes())


def test_a_version_is_a_manifest_and_the_pictures(source, tmp_path):
    """The output is the manifest, sorted by path, and every picture under its path; the facts count them."""
    output = tmp_path / "out"
    facts = publish_dataset(source, output, SEVEN)
    samples = read(output)
    assert [each.source for each in samples] == sorted(each.source for each in samples)
    assert [each.labels for each in samples] == [("cat",)] * 10 + [("dog",)] * 5
    assert {each.annotations[0].annotated_by for each in samples} == {"human"}
    for each in samples:
        assert (output / each.source).read_bytes() == (source / each.source).read_bytes()
    bytes_ = sum(path.stat().st_size for path in source.rglob("*.png"))
    assert facts == {"files": 15, "labels": {"cat": 10, "dog": 5}, "train": 12, "eval": 3, "bytes": bytes_}
    assert [each.usage for each in samples if each.labels == ("dog",)].count("TRAIN") == 4


def test_the_same_source_gives_the_same_bytes(source, tmp_path):
    """Neither the order of files, nor their times, nor where they lie changes a byte."""
    publish_dataset(source, tmp_path / "one", SEVEN)
    moved = source.rename(tmp_path / "moved")
    for path in moved.rglob("*.png"):
        os.utime(path, (1, 1))
    publish_dataset(moved, tmp_path / "two", SEVEN)
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()


def test_without_a_split_no_sample_has_a_usage(source, tmp_path):
    """What is not divided says nothing, which counts as TRAIN."""
    facts = publish_dataset(source, tmp_path / "out", None)
    assert {each.usage for each in read(tmp_path / "out")} == {None}
    assert (facts["train"], facts["eval"]) == (15, 0)


def test_other_files_are_not_samples(source, tmp_path):
    """A file that is no picture by its suffix is left where it is."""
    (source / "README.txt").write_text("read me")
    (source / "cat" / "Thumbs.db").write_bytes(b"x")
    assert publish_dataset(source, tmp_path / "out", None)["files"] == 15
    assert not (tmp_path / "out" / "README.txt").exists()


def test_names_of_all_sorts(tmp_path):
    """Spaces, quotes, Chinese, emoji and other Unicode forms in names of pictures arrive as they are, in form NFC."""
    nfd = unicodedata.normalize("NFD", "é")
    put(tmp_path / "s", "猫/a b.png", '猫/it\'s "x".png', "猫/🐱.JPG.png", f"猫/{nfd}.png")
    publish_dataset(tmp_path / "s", tmp_path / "out", None)
    sources = [each.source for each in read(tmp_path / "out")]
    assert sources == sorted(["猫/a b.png", '猫/it\'s "x".png', "猫/🐱.JPG.png", "猫/é.png"])
    assert all((tmp_path / "out" / each).read_bytes().startswith(b"\x89PNG") for each in sources)


def test_a_changed_source_is_refused(source, tmp_path):
    """The digest that the plan saw is what is published, or nothing is."""
    seen = tree.digest(folder.entries(source, SUFFIXES, executable=False))
    publish_dataset(source, tmp_path / "one", SEVEN, seen)
    put(source, "cat/new.png")
    with pytest.raises(Failure, match="the source changed while it was published"):
        publish_dataset(source, tmp_path / "two", SEVEN, seen)
    assert not (tmp_path / "two").exists()


def test_every_bad_picture_is_named(source, tmp_path):
    """All that cannot be published are listed at once, the first twenty by name."""
    for number in range(25):
        (source / "cat" / f"bad{number:02d}.png").write_bytes(b"no picture")
    put(source, "loose.png", "a b/1.png")
    with pytest.raises(Failure) as caught:
        publish_dataset(source, tmp_path / "out", SEVEN)
    text = caught.value.text
    assert text.startswith("27 of 42 pictures cannot be published:\n")
    assert "`a b/1.png`: its label has the character ` `, which a label may not have" in text
    assert "`cat/bad00.png`: it does not begin like a PNG file" in text
    assert text.endswith("and 7 more")
    (source / "a b" / "1.png").unlink()
    for path in source.glob("cat/bad*"):
        path.unlink()
    with pytest.raises(Failure, match=r"1 of 16 .*: `loose.png`: it lies in no folder, so it has no label"):
        publish_dataset(source, tmp_path / "out", SEVEN)


def test_links_that_lead_outside_are_refused(source, tmp_path):
    """What does not lie in the source is not its owner's to publish."""
    (tmp_path / "secret.png").write_bytes(png(1))
    (source / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(Failure, match=r"`cat/link\.png`"):
        publish_dataset(source, tmp_path / "out", SEVEN)


# ---- the division ----

HASHES = st.integers(0, 2**64).map(lambda number: f"{number:064x}")
FILES = st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), HASHES, min_size=1, max_size=40)


def entries(files):
    return [Entry(f"{label}/{number}.png", False, 1, sha256) for (label, number), sha256 in files.items()]


@settings(deadline=None)  # the machine may be busy
@given(FILES, st.floats(0.05, 1), st.integers(0, 3))
def test_each_label_has_its_share(files, train, seed):
    """Of each label the rounded share is TRAIN, whatever the order in which files come."""
    found = usages(entries(files), Split(train, seed, stratified=True))
    for label in {label for label, _ in files}:
        own = [usage for path, usage in found.items() if path.startswith(f"{label}/")]
        assert own.count("TRAIN") == round(len(own) * train)
    assert usages(entries(files)[::-1], Split(train, seed, stratified=True)) == found


@settings(deadline=None)  # the machine may be busy
@given(FILES, st.floats(0.05, 1))
def test_without_labels_all_share(files, train):
    """Not stratified: the share is that of all samples."""
    found = usages(entries(files), Split(train, 1, stratified=False))
    assert list(found.values()).count("TRAIN") == round(len(files) * train)


@settings(deadline=None)  # the machine may be busy
@given(FILES, HASHES, st.floats(0.05, 0.95), st.booleans())
def test_one_more_sample_moves_at_most_one_other(files, sha256, train, stratified):
    """Adding a picture keeps the division of the others, except perhaps one."""
    split = Split(train, 3, stratified)
    before = usages(entries(files), split)
    after = usages(entries({**files, ("a", 1000): sha256}), split)
    assert sum(after[path] != usage for path, usage in before.items()) <= 1


def test_the_seed_divides_anew():
    """Another seed gives another division; that of one seed is the same in every release."""
    given = [Entry(f"a/{number}", False, 1, f"{number:064x}") for number in range(8)]
    for seed, expected in ((0, "0137"), (1, "0246")):
        found = usages(given, Split(0.5, seed, stratified=True))
        assert "".join(sorted(path[-1] for path, usage in found.items() if usage == "TRAIN")) == expected


# ---- as a job ----


def run(*argv):
    command = [sys.executable, "-m", "specforge.procedures", *argv]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False, timeout=60)


def test_as_a_job(source, tmp_path):
    """`python -m specforge.procedures` does the same, and leaves the facts in a file."""
    done = run(
        "publish_dataset",
        f"--source={source}",
        f"--output={tmp_path}/out",
        f"--facts={tmp_path}/facts.json",
        f"--failure={tmp_path}/failure",
        '--split={"train":0.8,"seed":7,"stratified":true}',
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "15 pictures, 12 TRAIN, 3 EVAL\n", "")
    assert json.loads((tmp_path / "facts.json").read_text())["labels"] == {"cat": 10, "dog": 5}
    assert not (tmp_path / "failure").exists()


def test_a_failed_job_says_why(source, tmp_path):
    """A mistake of the user's is a reason in a file and on stderr, not a traceback."""
    (source / "cat" / "bad.png").write_bytes(b"")
    failure = tmp_path / "failure"
    done = run(
        "publish_dataset",
        f"--source={source}",
        f"--output={tmp_path}/o",
        f"--facts={tmp_path}/f",
        f"--failure={failure}",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert failure.read_text().splitlines() == [
        "1 of 16 pictures cannot be published: `cat/bad.png`: the file is empty",
        "hint: mend them, take them away, or name them in `.specignore`",
    ]
    assert done.stderr == "1 of 16 pictures cannot be published:\n  `cat/bad.png`: the file is empty\n"


def test_a_reason_is_one_line():
    """The file has the first detail and how many more there are, the log twenty of them."""
    failure = Failure("25 are wrong", [f"number {each}" for each in range(25)])
    assert failure.line == "25 are wrong: number 0 (and 24 more)"
    assert failure.text.splitlines()[-1] == "  and 5 more"
    assert len(failure.text.splitlines()) == 22
    assert Failure("alone").line == Failure("alone").text == "alone"


def test_a_system_error_is_a_reason_too(source, tmp_path, capsys):
    """A disk that takes nothing is told in the system's words, with the file."""
    (tmp_path / "file").write_text("in the way")
    argv = ["publish_dataset", f"--source={source}", f"--output={tmp_path}/file/out", f"--facts={tmp_path}/f"]
    assert main(argv) == 1
    assert f"Not a directory: {tmp_path}/file" in capsys.readouterr().err


def test_an_unknown_procedure_is_a_usage_error(capsys):
    """Whoever calls a procedure that is not there hears which there are."""
    assert main(["nothing"]) == 2
    assert "publish_dataset" in capsys.readouterr().err
