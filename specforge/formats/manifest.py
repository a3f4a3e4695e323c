"""The manifest of a data set: JSON lines in UTF-8, one sample a line, with its usage and annotations.

`source` is `s3://…`, a path or `content://TEXT`. Keys of a sample that this format does not know are kept and written
back; those of an annotation are errors, because a misspelt one would silently lose a label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TASKS = (
    "image_classification",
    "object_detection",
    "text_classification",
    "text_entity",
    "audio_classification",
    "audio_content",
    "audio_segmentation",
)
USAGES = ("TRAIN", "EVAL", "TEST", "INFERENCE")
_NAMED = frozenset({"image_classification", "text_classification", "audio_classification"})
_PREFIX = "modelarts/"
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
_CLOCK = re.compile(r"\d{2}:[0-5]\d:[0-5]\d\.\d{3}")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on one line, counted from 1."""

    line: int
    text: str


class ManifestError(ValueError):
    """The bytes are not a manifest; `problems` has every line's first problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"line {each.line}: {each.text}" for each in self.problems[:_SHOWN]]
        more = len(self.problems) - len(lines)
        super().__init__("\n".join([*lines, *([f"and {more} more"] if more else [])]))


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation: `task` without its prefix, `name` the label; the other fields as the format names them."""

    task: str
    name: str | None = None
    property: Mapping[str, Any] | None = None
    hard: bool | None = None
    annotated_by: str | None = None
    creation_time: str | None = None
    confidence: float | None = None
    annotation_loc: str | None = None
    annotation_format: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: where the sample lies, what it is for, and its annotations (none: not labelled)."""

    source: str
    usage: str | None = None
    annotations: tuple[Annotation, ...] = ()
    id: str | None = None
    inference_loc: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its annotations, in order."""
        return tuple(each.name for each in self.annotations if each.name is not None)


def read(data: bytes) -> list[Sample]:
    """Read a manifest; empty lines are skipped. Raises ManifestError with the problems of all lines."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            samples.append(_sample(_object(line)))
        except ValueError as error:
            problems.append(Problem(number, str(error)))
    if problems:
        raise ManifestError(problems)
    return samples


def write(samples: Iterable[Sample]) -> bytes:
    """Return the bytes of a manifest with these samples, in this order; the same samples give the same bytes."""
    return "".join(
        json.dumps(_line(each), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n" for each in samples
    ).encode()


# ---- reading ----


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("a line must be a JSON object")
    return value


def _sample(line: dict[str, Any]) -> Sample:
    known = ("source", "usage", "id", "annotation", "inference-loc")
    source = _text(line, "source", required=True)
    usage = _text(line, "usage")
    if usage is not None and usage not in USAGES:
        raise ValueError(f"`usage` is `{usage}`, not one of {', '.join(USAGES)}")
    annotations = line.get("annotation")
    if annotations is not None and not isinstance(annotations, list):
        raise ValueError("`annotation` must be a list")
    return Sample(
        source=source or "",
        usage=usage,
        annotations=tuple(_annotation(each, at) for at, each in enumerate(annotations or ())),
        id=_text(line, "id"),
        inference_loc=_text(line, "inference-loc"),
        extra={key: value for key, value in line.items() if key not in known},
    )


_ANNOTATION_KEYS = {
    "type": "task",
    "name": "name",
    "property": "property",
    "hard": "hard",
    "annotated-by": "annotated_by",
    "creation-time": "creation_time",
    "confidence": "confidence",
    "annotation-loc": "annotation_loc",
    "annotation-format": "annotation_format",
}


def _annotation(value: Any, at: int) -> Annotation:
    try:
        if not isinstance(value, dict):
            raise ValueError("must be an object")
        unknown = next((key for key in value if key not in _ANNOTATION_KEYS), None)
        if unknown is not None:
            raise ValueError(f"has the unknown key `{unknown}`")
        return _checked(value)
    except ValueError as error:
        raise ValueError(f"annotation {at + 1}: {error}") from None


def _checked(value: dict[str, Any]) -> Annotation:
    kind = _text(value, "type", required=True) or ""
    task = kind.removeprefix(_PREFIX)
    if task == kind or task not in TASKS:
        raise ValueError(f"`type` is `{kind}`, not `{_PREFIX}TASK` with a known task")
    moment = _text(value, "creation-time")
    if moment is not None and not _MOMENT.fullmatch(moment):
        raise ValueError(f"`creation-time` is `{moment}`, not like `2019-01-23 11:30:30`")
    form = _text(value, "annotation-format")
    if form not in (None, "PASCAL VOC"):
        raise ValueError(f"`annotation-format` is `{form}`, the only one is `PASCAL VOC`")
    return Annotation(
        task=task,
        name=_text(value, "name", required=task in _NAMED),
        property=_property(value.get("property"), task),
        hard=_hard(value.get("hard")),
        annotated_by=_text(value, "annotated-by"),
        creation_time=moment,
        confidence=_confidence(value.get("confidence")),
        annotation_loc=_text(value, "annotation-loc", required=task == "object_detection"),
        annotation_format=form,
    )


def _text(value: Mapping[str, Any], key: str, required: bool = False) -> str | None:
    text = value.get(key)
    if text is None and not required:
        return None
    if text is None:
        raise ValueError(f"`{key}` is missing")
    if not isinstance(text, str) or not text:
        raise ValueError(f"`{key}` must be a text that is not empty")
    return text


def _hard(value: Any) -> bool | None:
    if value is None:
        return None
    if value not in ("true", "false"):
        raise ValueError('`hard` must be "true" or "false"')
    return bool(value == "true")


def _confidence(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("`confidence` must be a number from 0 to 1")
    return float(value)


def _property(value: Any, task: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("`property` must be an object")
    if task == "text_entity":
        for key in ("@modelarts:start_index", "@modelarts:end_index"):
            index = value.get(key)
            if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                raise ValueError(f"`{key}` must be a whole number from 0")
        if value["@modelarts:start_index"] >= value["@modelarts:end_index"]:
            raise ValueError("`@modelarts:start_index` must be less than `@modelarts:end_index`, which is excluded")
    if task == "audio_content":
        _text(value, "@modelarts:content", required=True)
    if task == "audio_segmentation":
        for key in ("@modelarts:start_time", "@modelarts:end_time"):
            if not _CLOCK.fullmatch(_text(value, key, required=True) or ""):
                raise ValueError(f"`{key}` is `{value[key]}`, not like `00:01:23.450`")
    return value


# ---- writing ----


def _line(sample: Sample) -> dict[str, Any]:
    line: dict[str, Any] = {"source": sample.source}
    if sample.usage is not None:
        line["usage"] = sample.usage
    if sample.id is not None:
        line["id"] = sample.id
    if sample.annotations:
        line["annotation"] = [_annotation_line(each) for each in sample.annotations]
    if sample.inference_loc is not None:
        line["inference-loc"] = sample.inference_loc
    return {**line, **sample.extra}


def _annotation_line(annotation: Annotation) -> dict[str, Any]:
    line = {key: getattr(annotation, attribute) for key, attribute in _ANNOTATION_KEYS.items()}
    line["type"] = _PREFIX + annotation.task
    if annotation.hard is not None:
        line["hard"] = "true" if annotation.hard else "false"
    return {key: value for key, value in line.items() if value is not None}
