"""The JSON Schema of documents: valid itself, true to what loading accepts, with the words editors show."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from specforge.loading.schema import json_schema
from specforge.loading.yaml_reader import read

QUICKSTART = Path(__file__).parent.parent.parent / "specs" / "quickstart"


@pytest.fixture
def validator(real_kinds):
    """Return a validator of documents."""
    schema = json_schema(real_kinds)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_examples_and_the_quickstart_are_valid(validator, real_kinds):
    """Every kind's examples and every document of the worked project pass."""
    documents = [each for kind in real_kinds.by_prefix.values() for each in kind.examples]
    for file in sorted(QUICKSTART.rglob("*.yaml")):
        documents += [each.data for each in read(file.read_text("utf-8"), file.name).documents]
    assert documents
    for document in documents:
        validator.validate(document)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "Datset"},
        {"kind": "Dataset", "name": "a"},
        {"kind": "Dataset", "name": "a b", "task": "image_classification", "source": "x"},
        {"kind": "Dataset", "name": "a", "task": "image_classification", "source": "x", "sorce": "y"},
        {"kind": "Dataset", "name": "a", "task": "image_classification", "source": "x", "split": {"train": "most"}},
        {"kind": "Project", "name": "a", "variables": {"x": {"defaut": 1}}},
        {"kind": "Project", "name": "a", "variables": {"x": 1}},
    ],
)
def test_wrong_documents_are_not(validator, wrong):
    """Unknown kinds and fields, missing and wrong values."""
    assert list(validator.iter_errors(wrong))


def test_expressions_may_stand_for_any_value(validator):
    """A variable may have the type that is wanted; and what the project's defaults fill is not required."""
    validator.validate(
        {
            "kind": "Dataset",
            "name": "a",
            "task": "${var.task}",
            "source": "${var.x}/y",
            "split": {"train": "${var.share}", "stratified": "${var.s}"},
        }
    )
    validator.validate(
        {"kind": "Dataset", "name": "a", "task": "image_classification", "source": "x", "split": "${var.s}"}
    )


def test_fields_and_kinds_are_described(real_kinds):
    """The docstrings are what an editor shows."""
    definitions = json_schema(real_kinds)["$defs"]
    assert all(definitions[each]["description"] for each in ("Project", *real_kinds.by_document))
    fields = definitions["Dataset"]["properties"]
    assert [name for name, each in fields.items() if name != "kind" and not each.get("description")] == []
