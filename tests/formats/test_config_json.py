"""config.json: read, write, refuse."""

from __future__ import annotations

import json
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specforge.formats import config_json
from specforge.formats.config_json import (
    METRICS,
    MODES,
    Api,
    ConfigError,
    Dependency,
    Message,
    ModelConfig,
    Package,
    Problem,
    read,
    write,
)
from specforge.formats.config_json.schema import schema_problems

PICTURES = {"type": "object", "properties": {"images": {"type": "file"}}}
WHOLE = {
    "model_algorithm": "image_classification",
    "model_type": "TensorFlow",
    "runtime": "tf1.13-python3.6-gpu",
    "metrics": {"f1": 0.345294, "recall": 0.351852, "precision": 0.338977, "accuracy": 0.462963},
    "apis": [
        {
            "protocol": "http",
            "url": "/",
            "method": "POST",
            "request": {"Content-type": "multipart/form-data", "data": PICTURES},
            "response": {"Content-type": "application/json", "data": {"type": "object"}},
        }
    ],
    "dependencies": [
        {
            "installer": "pip",
            "packages": [
                {"package_name": "numpy", "package_version": "1.15.0", "restraint": "EXACT"},
                {"package_name": "Pillow"},
            ],
        }
    ],
}


def written(value) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def changed(path: str = "", value=None, **fields) -> bytes:
    """Return the whole example with one value (at a dotted path; ... takes it away) or some fields changed."""
    made = json.loads(json.dumps({**WHOLE, **fields}))
    at, keys = made, [int(each) if each.isdecimal() else each for each in path.split(".") if each]
    for key in keys[:-1]:
        at = at[key]
    if keys and value is ...:
        del at[keys[-1]]
    elif keys:
        at[keys[-1]] = value
    return written(made)


def problems(data: bytes) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        read(data)
    return list(caught.value.problems)


def test_every_field_is_read():
    """All that the format names comes back as a value."""
    assert read(written(WHOLE)) == ModelConfig(
        model_algorithm="image_classification",
        model_type="TensorFlow",
        apis=(Api(Message("multipart/form-data", PICTURES), Message(data={"type": "object"})),),
        runtime="tf1.13-python3.6-gpu",
        metrics={
            "f1": Decimal("0.345294"),
            "recall": Decimal("0.351852"),
            "precision": Decimal("0.338977"),
            "accuracy": Decimal("0.462963"),
        },
        dependencies=(Dependency((Package("numpy", "1.15.0", "EXACT"), Package("Pillow"))),),
    )


def test_what_is_written_is_what_was_read():
    """Reading and writing again loses nothing; the bytes stay the same from then on."""
    once = write(read(written(WHOLE)))
    assert json.loads(once) == WHOLE
    assert write(read(once)) == once


def test_equal_values_give_equal_bytes():
    """The order in which keys are written means nothing; two spaces a level, a newline at the end."""
    turned = written(dict(reversed(WHOLE.items()))).replace(
        b'"type": "object", "properties": {"images": {"type": "file"}}',
        b'"properties": {"images": {"type": "file"}}, "type": "object"',
    )
    text = write(read(turned))
    assert text == write(read(written(WHOLE)))
    assert text.startswith(b'{\n  "model_algorithm": "image_classification",\n  "model_type": "TensorFlow",\n')
    assert text.endswith(b"\n  ]\n}\n")


def test_examples_of_the_source_are_read():
    """A misspelt `protocol`, a method in lower case, `item` for `items`, empty restraints, things left to defaults."""
    text = written(
        {
            "model_type": "Image",
            "swr_location": "registry/group/image:1",
            "model_algorithm": "image_classification",
            "metrics": {"f1": 0, "accuracy": 0},
            "health": {"url": "/health", "timeout_seconds": 1.50},
            "apis": [
                {
                    "procotol": "HTTP",
                    "url": "/classify",
                    "method": "get",
                    "request": {"Content-type": "Text/Plain; charset=utf-8"},
                    "response": {"Content-type": "applicaton/json", "data": {"type": "array", "item": [3]}},
                },
                {},
            ],
            "dependencies": [
                {"installer": "pip", "packages": [{"package_name": "a", "package_version": "", "restraint": ""}]}
            ],
        }
    )
    found = read(text)
    assert [(each.protocol, each.url, each.method) for each in found.apis] == [
        ("http", "/classify", "GET"),
        ("http", "/", "POST"),
    ]
    assert found.apis[0].request.media_type == "text/plain"
    assert found.apis[1] == Api(Message("application/json", {}), Message("application/json", {}))
    assert found.swr_location == "registry/group/image:1"
    assert found.dependencies == (Dependency((Package("a"),)),)
    assert found.metrics == {"f1": 0, "accuracy": 0}
    assert b'"protocol": "http"' in write(found)


def test_keys_that_the_format_does_not_name_are_kept():
    """What another tool reads is not lost; they come last, in order."""
    text = write(read(changed(zeta=[1, 2.50, None], health={"url": "/health", "after": True})))
    assert text.endswith(
        b',\n  "health": {\n    "after": true,\n    "url": "/health"\n  },\n'
        b'  "zeta": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0.12345678901234567", "0.12345678901234567"),
        ("0.123456789012345678", "0.12345678901234568"),
        ("0.9500", "0.9500"),
        ("1", "1"),
        ("5e-7", "0.0000005"),
        ("1e-400", "0.00000000000000000"),
    ],
)
def test_seventeen_decimals_of_a_metric_are_kept(given, kept):
    """Exact as written, which is more than a float holds; rounded where there are more."""
    text = changed("metrics.accuracy", 0.462963).replace(b'"accuracy": 0.462963', f'"accuracy": {given}'.encode())
    assert f'"accuracy": {kept}\n'.encode() in write(read(text))


@given(st.dictionaries(st.sampled_from(METRICS), st.floats(0, 1)))
def test_figures_survive(figures):
    """A figure with at most 17 decimals comes back as the same number."""
    config = ModelConfig(
        "a", "XGBoost", MODES["undefined"], metrics={k: config_json.metric(v) for k, v in figures.items()}
    )
    back = read(write(config)).metrics
    assert {key: float(value) for key, value in back.items()} == pytest.approx(figures, abs=1e-17)


@pytest.mark.parametrize("mode", MODES)
def test_the_apis_of_every_mode_are_valid(mode):
    """What a mode says is a config.json's apis, and comes back as it was."""
    config = ModelConfig("a", "Scikit_Learn", MODES[mode])
    assert read(write(config)) == config


@pytest.mark.parametrize(
    ("mode", "request_", "response"),
    [
        (
            "predictive_analysis",
            {"data": {"req_data": [{"a": 1}]}, "meta": {"uuid": "u"}},
            {"data": {"resp_data": [{}]}, "meta": {"uuid": "u"}},
        ),
        (
            "object_detection",
            None,
            {"detection_classes": ["a"], "detection_boxes": [[0, 1, 2.5, 3]], "detection_scores": [0.5]},
        ),
    ],
)
def test_the_schemas_of_the_modes_mean_what_the_reference_says(mode, request_, response):
    """Another validator accepts the reference's own requests and answers, and refuses others."""
    (api,) = MODES[mode]
    if request_ is not None:
        jsonschema.validate(request_, api.request.data)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"data": {}}, api.request.data)
    jsonschema.validate(response, api.response.data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, api.response.data)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("path", "value", "where", "words"),
    [
        ("model_algorithm", ..., "", "has no `model_algorithm`"),
        ("model_type", ..., "", "has no `model_type`"),
        ("apis", ..., "", "has no `apis`"),
        ("model_type", "Tensorflow", "model_type", "is `Tensorflow`, not one of AutoModel, Caffe"),
        ("model_type", 3, "model_type", "must be a text that is not empty"),
        ("model_algorithm", " ", "model_algorithm", "must be a text that is not empty"),
        ("runtime", "python 3", "runtime", "is `python 3`, not like `python3.6`"),
        ("runtime", None, "runtime", "must be a text"),
        ("model_type", "Image", "", "has no `swr_location`"),
        ("swr_location", "a/b", "swr_location", "is for packages of type Image"),
        ("swr_locaton", "a/b", "swr_locaton", "is not a key of config.json; did you mean `swr_location`?"),
        ("metrics", [], "metrics", "must be an object"),
        ("metrics.accuracy", True, "metrics.accuracy", "must be a number"),
        ("metrics.accuracy", "0.9", "metrics.accuracy", "must be a number"),
        ("metrics.accuracy", 1e300, "metrics.accuracy", "no figure"),
        ("metrics.acuracy", 1, "metrics.acuracy", "did you mean `accuracy`?"),
        ("apis", [], "apis", "must be a list that is not empty"),
        ("apis", {}, "apis", "must be a list that is not empty"),
        ("apis.0", "POST /", "apis[0]", "must be an object"),
        ("apis.0.path", "/", "apis[0].path", "known are protocol, url"),
        ("apis.0.procotol", "http", "apis[0].procotol", "which is there as well"),
        ("apis.0.protocol", "ftp", "apis[0].protocol", "neither `http` nor `https`"),
        ("apis.0.protocol", 1, "apis[0].protocol", "must be a text"),
        ("apis.0.url", "predict", "apis[0].url", "must begin with `/`"),
        ("apis.0.url", "/predict", "apis[0].url", "answers `/` only"),
        ("apis.0.method", "FETCH", "apis[0].method", "is `FETCH`, not one of DELETE"),
        ("apis.0.method", "GET", "apis[0].method", "answers POST only"),
        ("apis.0.request", [], "apis[0].request", "must be an object"),
        ("apis.0.request.Content-Type", "a/b", "apis[0].request.Content-Type", "did you mean `Content-type`?"),
        ("apis.0.request.Content-type", "json", "apis[0].request.Content-type", "is not a content type"),
        ("apis.0.request.Content-type", "text/csv", "apis[0].request.Content-type", "is `text/csv`, neither"),
        ("apis.0.request.Content-type", 7, "apis[0].request.Content-type", "must be a text"),
        ("apis.0.request.data", True, "apis[0].request.data", "must be a schema: an object"),
        ("apis.0.request.data", [], "apis[0].request.data", "must be a schema: an object"),
        ("apis.0.response.data.type", "file", "apis[0].response.data.type", "is `file`, not one of"),
        ("dependencies", {}, "dependencies", "must be a list"),
        ("dependencies.0", "numpy", "dependencies[0]", "must be an object"),
        ("dependencies.0.installer", "conda", "dependencies[0].installer", "must be `pip`"),
        ("dependencies.0.installer", ..., "dependencies[0].installer", "must be `pip`"),
        ("dependencies.0.packages", [], "dependencies[0].packages", "must be a list of packages"),
        ("dependencies.0.packages.0", "numpy", "dependencies[0].packages[0]", "must be an object"),
        ("dependencies.0.packages.0.package_name", ..., "dependencies[0].packages[0]", "has no `package_name`"),
        ("dependencies.0.packages.0.package_name", "a b", "dependencies[0].packages[0].package_name", "no spaces"),
        ("dependencies.0.packages.0.package_version", "=1", "dependencies[0].packages[0].package_version", "no spaces"),
        ("dependencies.0.packages.0.package_version", 1.5, "dependencies[0].packages[0].package_version", "a text"),
        ("dependencies.0.packages.0.restraint", "MORE", "dependencies[0].packages[0].restraint", "is `MORE`, not one"),
        ("dependencies.0.packages.0.restraint", ..., "dependencies[0].packages[0]", "has a version but no `restraint`"),
        ("dependencies.0.packages.1.restraint", "EXACT", "dependencies[0].packages[1].restraint", "no `package_ver"),
        ("dependencies.0.packages.1.name", "a", "dependencies[0].packages[1].name", "is not a key here"),
    ],
)
def test_what_breaks_a_rule_is_told_at_its_path(path, value, where, words):
    """Every limit of the reference: one problem, where it is, in words."""
    found = problems(changed(path, value))
    assert any(each.where == where and words in each.text for each in found), found
    assert all(each.line == 1 and each.column for each in found)


def test_two_apis_for_the_same_request():
    """Of two for one path, method and content type nobody could say which counts; another content type is another."""
    json_, form = {"Content-type": "application/json"}, {"Content-type": "multipart/form-data"}
    (found,) = problems(changed("apis", [{"request": json_}, {"method": "post"}]))
    assert (found.where, found.text) == ("apis[1]", "asks for the same as one before it")
    assert len(read(changed("apis", [{"request": json_}, {"request": form}])).apis) == 2


def test_all_problems_at_once_with_their_places():
    """Line and column of each value, in the order of the file; of what is missing, of what is around it."""
    text = b"""\xef\xbb\xbf{
  "model_type" : "Tensorflow",
  "note": [ 1, {"\\u0061pis": []}, "x" ],
  "apis": [
    {"url": "/", "request": {"Content-type": "application/json", "data": {"type": "txt", "items": [{}, 3]}}}
  ],
  "empty": {}
}
"""
    found = problems(text)
    assert [(each.line, each.column, each.where) for each in found] == [
        (1, 1, ""),
        (2, 18, "model_type"),
        (5, 83, "apis[0].request.data.type"),
        (5, 104, "apis[0].request.data.items[1]"),
    ]
    with pytest.raises(ConfigError) as caught:
        read(text)
    lines = str(caught.value).splitlines()
    assert lines[0] == "line 1, column 1: has no `model_algorithm`"
    assert lines[3] == "line 5, column 104: `apis[0].request.data.items[1]` must be a schema: an object"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff{}", "not UTF-8 at byte 0"),
        (b"", "line 1, column 1: not JSON: expecting value"),
        (b'{\n"a": }', "line 2, column 6: not JSON: expecting value"),
        (b'{"a": 1, "a": 2}', "the key `a` is there twice"),
        (b'{"a": NaN}', "`NaN` is not a number of JSON"),
        (b'{"a": 1e999}', "the number `1e999` is too large"),
        (b'{"a": "\\ud800"}', "a text has half of a character"),
        (b"[1]", "line 1, column 1: must be a JSON object"),
        (b"[" * 5000, "nested too deep"),
        (b"[" * 101 + b"]" * 101, "nested deeper than 100 levels"),
        (b'{"a": ' + b"1" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_texts_that_are_no_config(text, words):
    """What is not JSON, or could be read in two ways, is refused with its place where that is known."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert words in str(caught.value)


def test_values_that_break_a_rule_are_not_written():
    """Whoever makes a config.json hears of its mistakes, too; there is no file to point into."""
    with pytest.raises(ConfigError) as caught:
        write(ModelConfig("a", "Prolog", ()))
    assert [str(each) for each in caught.value.problems][1] == "`apis` must be a list that is not empty"
    assert caught.value.problems[0].line is None


def test_an_image_is_written_with_its_address():
    """swr_location is there where the type is Image."""
    config = ModelConfig("a", "Image", MODES["undefined"], swr_location="group/image:1")
    assert read(write(config)) == config


# ---- the schemas inside ----


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["string", "null"], "minLength": 0, "pattern": "^a+$", "title": "t", "unknown": {"type": 3}},
        {"type": "array", "items": {"type": "number", "minimum": 0.5, "multipleOf": 2}, "uniqueItems": True},
        {"type": "array", "items": [{"type": "string"}, {"type": "number"}], "additionalItems": False},
        {"properties": {"a": True}, "required": ["a"], "additionalProperties": {"enum": [1, None]}},
        {"$defs": {"a/b": {"type": "null"}}, "$ref": "#/$defs/a~1b", "anyOf": [{"$ref": "#"}, {"$ref": "#/anyOf/0"}]},
        {"patternProperties": {"^x": {}}, "not": {}, "if": {}, "then": {}, "else": {}, "allOf": [{}]},
    ],
)
def test_schemas_that_are_right(schema):
    """What another implementation takes for a schema has no problems here."""
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema_problems(schema, ()) == []


@pytest.mark.parametrize(
    ("schema", "where", "words"),
    [
        ({"type": "strng"}, "type", "is `strng`, not one of"),
        ({"type": 3}, "type", "is no text, not one of"),
        ({"type": []}, "type", "must name at least one type"),
        ({"type": ["string", "string"]}, "type", "none twice"),
        ({"properties": []}, "properties", "must be an object with a schema for each name"),
        ({"properties": {"a": "string"}}, "properties.a", "must be a schema"),
        ({"items": "string"}, "items", "must be a schema"),
        ({"items": []}, "items", "list of schemas that is not empty"),
        ({"anyOf": {}}, "anyOf", "list of schemas that is not empty"),
        ({"required": True}, "required", "must be a list of names"),
        ({"required": ["a", "a"]}, "required", "none twice"),
        ({"required": ["a", 1]}, "required", "must be a list of names"),
        ({"enum": []}, "enum", "must be a list of values"),
        ({"pattern": "("}, "pattern", "is not a regular expression: "),
        ({"pattern": 3}, "pattern", "is not a regular expression"),
        ({"patternProperties": {"(": {}}}, "patternProperties.(", "is not a regular expression"),
        ({"uniqueItems": 1}, "uniqueItems", "must be true or false"),
        ({"minItems": -1}, "minItems", "a whole number from 0"),
        ({"minItems": True}, "minItems", "a whole number from 0"),
        ({"maximum": "3"}, "maximum", "must be a number"),
        ({"multipleOf": 0}, "multipleOf", "must be more than 0"),
        ({"title": 3}, "title", "must be a text"),
        ({"$ref": 3}, "$ref", "is no text, which leads nowhere"),
        ({"$ref": "#/$defs/a"}, "$ref", "is `#/$defs/a`, which leads nowhere"),
        ({"$ref": "https://example.org/schema"}, "$ref", "leads nowhere in this schema"),
        ({"$ref": "#/required", "required": ["a"]}, "$ref", "leads nowhere"),
        ({"anyOf": [{}], "$ref": "#/anyOf/1"}, "$ref", "leads nowhere"),
    ],
)
def test_schemas_that_are_none(schema, where, words):
    """Each keyword that is used wrongly is told at its path."""
    found = schema_problems(schema, ())
    assert [each.where for each in found] == [where]
    assert words in found[0].text
