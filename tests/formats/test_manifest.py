"""The manifest: read, write, refuse."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.formats import manifest
from specforge.formats.labels import label_problem
from specforge.formats.manifest import Annotation, ManifestError, Sample

LABELLED = {
    "source": "s3://bucket/cat/1.png",
    "usage": "EVAL",
    "id": "0162005993f8065ef47eefb59d1e4970",
    "annotation": [
        {
            "type": "modelarts/image_classification",
            "name": "cat",
            "property": {"color": "white"},
            "hard": "true",
            "annotated-by": "human",
            "creation-time": "2019-01-23 11:30:30",
            "confidence": 0.8,
        }
    ],
    "inference-loc": "/out/1.txt",
}


def lines(*objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects).encode()


def problem(*objects):
    with pytest.raises(ManifestError) as caught:
        manifest.read(lines(*objects))
    return str(caught.value)


def annotated(**fields):
    base = {"type": "modelarts/image_classification", "name": "cat"}
    return {
        "source": "a.png",
        "annotation": [{key.replace("_", "-"): value for key, value in {**base, **fields}.items()}],
    }


def test_every_field_is_read():
    """All that the format names comes back as a value."""
    (sample,) = manifest.read(lines(LABELLED))
    note = Annotation(
        task="image_classification",
        name="cat",
        property={"color": "white"},
        hard=True,
        annotated_by="human",
        creation_time="2019-01-23 11:30:30",
        confidence=0.8,
    )
    assert sample == Sample(
        source="s3://bucket/cat/1.png",
        usage="EVAL",
        annotations=(note,),
        id="0162005993f8065ef47eefb59d1e4970",
        inference_loc="/out/1.txt",
    )
    assert sample.labels == ("cat",)


def test_what_is_written_is_what_was_read():
    """Reading and writing again loses nothing, not even keys of a sample that the format does not name."""
    known = {**LABELLED, "sample-type": 0}
    assert json.loads(manifest.write(manifest.read(lines(known)))) == known


def test_a_sample_needs_only_a_source():
    """Usage and annotations are optional: not labelled, for nothing in particular; empty lines do not count."""
    data = b'{"source":"content://some text"}\n\n  \n{"source":"\xe7\x8c\xab/1.png"}'
    assert manifest.read(data) == [Sample("content://some text"), Sample("猫/1.png")]
    assert manifest.read(b"") == []


def test_writing_is_one_text():
    """The same samples give the same bytes: no spaces, no escapes, one line each."""
    samples = [Sample("猫/1.png", "TRAIN", (Annotation("image_classification", "猫", annotated_by="human"),))]
    expected = (
        '{"source":"猫/1.png","usage":"TRAIN","annotation":'
        '[{"type":"modelarts/image_classification","name":"猫","annotated-by":"human"}]}\n'
    )
    assert manifest.write(samples) == expected.encode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([1], "a line must be a JSON object"),
        ({"usage": "TRAIN"}, "`source` is missing"),
        ({"source": ""}, "`source` must be a text that is not empty"),
        ({"source": 7}, "`source` must be a text"),
        ({"source": "a", "usage": "train"}, "`usage` is `train`, not one of TRAIN, EVAL, TEST, INFERENCE"),
        ({"source": "a", "annotation": {}}, "`annotation` must be a list"),
        ({"source": "a", "annotation": ["cat"]}, "annotation 1: must be an object"),
        (annotated(type="image_classification"), "`type` is `image_classification`, not `modelarts/TASK`"),
        (annotated(type="modelarts/other"), "`type` is `modelarts/other`"),
        (annotated(name=None), "`name` is missing"),
        (annotated(hard=True), '`hard` must be "true" or "false"'),
        (annotated(confidence=1.5), "`confidence` must be a number from 0 to 1"),
        (annotated(confidence=True), "`confidence` must be a number"),
        (annotated(creation_time="yesterday"), "`creation-time` is `yesterday`"),
        (annotated(property="red"), "`property` must be an object"),
        (annotated(nmae="cat"), "has the unknown key `nmae`"),
        (annotated(type="modelarts/object_detection"), "`annotation-loc` is missing"),
        (annotated(type="modelarts/object_detection", annotation_loc="a.xml", annotation_format="COCO"), "`COCO`"),
        (
            annotated(type="modelarts/text_entity", property={"@modelarts:start_index": 3, "@modelarts:end_index": 3}),
            "must be less than",
        ),
        (annotated(type="modelarts/text_entity", property={"@modelarts:start_index": -1}), "from 0"),
        (annotated(type="modelarts/audio_content", property={}), "`@modelarts:content` is missing"),
        (
            annotated(type="modelarts/audio_segmentation", property={"@modelarts:start_time": "1:2:3"}),
            "`@modelarts:start_time` is `1:2:3`",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line, words):
    """Each rule of the format has its error, which names the line."""
    text = problem({"source": "fine.png"}, line)
    assert text.startswith("line 2: ")
    assert words in text


@pytest.mark.parametrize(
    "line",
    [
        annotated(type="modelarts/object_detection", annotation_loc="a.xml", annotation_format="PASCAL VOC"),
        annotated(type="modelarts/text_entity", property={"@modelarts:start_index": 0, "@modelarts:end_index": 3}),
        annotated(type="modelarts/audio_content", property={"@modelarts:content": "hello"}),
        annotated(
            type="modelarts/audio_segmentation",
            property={"@modelarts:start_time": "00:00:01.000", "@modelarts:end_time": "00:00:02.500"},
        ),
    ],
)
def test_other_tasks_are_read_and_written_too(line):
    """Annotations of every task survive."""
    assert json.loads(manifest.write(manifest.read(lines(line)))) == line


def test_all_bad_lines_are_told_at_once():
    """One reading shows every problem; a long list is cut, with the number of the others."""
    with pytest.raises(ManifestError) as caught:
        manifest.read(b"no\n" * 25)
    assert len(caught.value.problems) == 25
    assert caught.value.problems[24].line == 25
    assert str(caught.value).endswith("and 5 more")


def test_bytes_that_are_no_text():
    """A binary file, or one nested without end, is an error and not a crash."""
    with pytest.raises(ManifestError, match="line 1: not UTF-8 at byte 0"):
        manifest.read(b"\xff\xfe")
    with pytest.raises(ManifestError, match="line 1: not JSON"):
        manifest.read(b"[" * 200_000)


@pytest.mark.parametrize("label", ["cat", "0", "A-b_c", "猫", "x" * 32])
def test_labels_that_are_allowed(label):
    """Letters, digits, `_`, `-` and Chinese characters, 1 to 32 of them."""
    assert label_problem(label) is None


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("", "is empty"),
        ("x" * 33, "has 33 characters"),
        ("a b", "has the character ` `"),
        ("🐱", "`🐱`"),
        ('a"b', '`"`'),
    ],
)
def test_labels_that_are_not(label, words):
    """What is wrong with a label is said in words that follow its name."""
    assert words in label_problem(label)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(
        st.builds(
            Sample,
            source=TEXTS,
            usage=st.sampled_from([None, *manifest.USAGES]),
            annotations=st.lists(
                st.builds(
                    Annotation,
                    task=st.just("image_classification"),
                    name=TEXTS,
                    hard=st.sampled_from([None, True, False]),
                    confidence=st.none() | st.floats(0, 1),
                ),
                max_size=3,
            ).map(tuple),
            id=st.none() | TEXTS,
        )
    )
)
def test_any_samples_survive(samples):
    """Whatever the names, what is written is read back."""
    assert manifest.read(manifest.write(samples)) == samples
