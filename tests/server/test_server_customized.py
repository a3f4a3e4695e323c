"""`customize_service.py` as it is written in the wild, served and evaluated."""

from __future__ import annotations

import json
import sys

import pytest

from specforge import runtimes
from specforge.formats.config_json import JSON, MULTIPART, Api, Message

PICTURES = """\
import os
import numpy as np
from PIL import Image
from model_service.python_model_service import XgSklServingBaseService
import names


class digits_service(XgSklServingBaseService):
    def __init__(self, model_name, model_path):
        super(digits_service, self).__init__(model_name, model_path)
        self.model_name = model_name
        self.model_path = model_path
        folder = os.path.dirname(os.path.realpath(self.model_path))
        assert os.path.exists(os.path.join(folder, "config.json"))

    def _preprocess(self, data):
        preprocessed_data = {}
        for k, v in data.items():
            for file_name, file_content in v.items():
                image = Image.open(file_content)
                print("got", file_name)
                preprocessed_data[k] = np.asarray(image).ravel()
        return preprocessed_data

    def _inference(self, data):
        return {"best": np.argmax(data["images"]), "all": data["images"] / 2}

    def _postprocess(self, data):
        return {"predicted_label": names.NAMES[data["best"]], "best": data["best"], "all": data["all"],
                "scores": [["a", np.float32(0.5)]]}
"""

TABLE = """\
import collections
import json
from model_service.python_model_service import XgSklServingBaseService


class user_Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.own = model_path

    def _preprocess(self, data):
        assert isinstance(data, dict) and isinstance(data, str)
        assert data["data"]["req_data"] and data.get("meta") is None and "data" in data and list(data) == ["data"]
        list_data = []
        json_data = json.loads(data, object_pairs_hook=collections.OrderedDict)
        for element in json_data["data"]["req_data"]:
            list_data.append([element[each] for each in element])
        return list_data

    def _inference(self, data):
        assert self.own == self.model_path and self.model_path.endswith("m.joblib")
        return [sum(each) for each in data]

    def _postprocess(self, data):
        return data
"""

ROWS = '''\
from model_service.python_model_service import XgSklServingBaseService


class Doubled(XgSklServingBaseService):
    """Only what goes in is changed; the rest is the base's."""

    def _preprocess(self, data):
        rows = super()._preprocess(data)
        return [each[::-1] for each in rows]
'''

BATCHED = """\
import time
from model_service.python_model_service import XgSklServingBaseService


class Batched(XgSklServingBaseService):
    batch = True

    def _preprocess(self, data):
        if data["word"] == "bad":
            raise ValueError("bad word")
        return data["word"]

    def _inference(self, data):
        time.sleep(0.2)
        assert isinstance(data, list)
        return [(each, len(data)) for each in data]

    def _postprocess(self, data):
        return {"word": data[0], "together": data[1]}
"""

ANYTHING = """\
from model_service.python_model_service import XgSklServingBaseService


class Anything(XgSklServingBaseService):
    def _preprocess(self, data):
        return data

    def _inference(self, data):
        if data.get("what") == "object":
            return {"it": object()}
        if data.get("what") == "raise":
            raise KeyError("secret")
        if data.get("what") == "image":
            from PIL import UnidentifiedImageError
            raise UnidentifiedImageError("/a/path")
        return {"got": sorted(data), "odd": {1: {2, 1}, "nan": float("nan")}}
"""


def test_pictures_in_the_old_way(bench):
    """Files by key and name, name and path to the constructor, neighbours imported, numpy's numbers in the answer."""
    served = bench.serve(service=PICTURES, files=[("names.py", "NAMES = ['zero', 'one', 'two', 'three']")])
    answer = served.picture(1, 2, 9, 3)
    assert answer.json == {
        "predicted_label": "two",
        "best": 2,
        "all": [0.5, 1.0, 4.5, 1.5],
        "scores": [["a", 0.5]],
    }
    assert "got p.png" in served.log
    answer = served.form(("images", "x.txt", b"no picture"))
    assert (answer.status, answer.error) == (422, "what was sent is no picture")


def test_a_table_in_the_old_way(bench):
    """The data are a dict and a text; a list is put into the form of the request."""
    served = bench.serve(service=TABLE, mode="predictive_analysis")
    answer = served.rows({"b": 1, "a": 2}, {"b": 3, "a": 4})
    assert answer.json["data"]["resp_data"] == [
        {"b": 1, "a": 2, "predictresult": 3},
        {"b": 3, "a": 4, "predictresult": 7},
    ]


def test_one_method_of_its_own(bench):
    """What a class does not override is done as without it."""
    served = bench.serve(service=ROWS)
    answer = served.picture(9, 0, 0, 0)
    assert answer.json["predicted_label"] == "3"
    assert answer.json["scores"][0][0] == "3"


def test_batches(bench):
    """A class that says so is given what waits together; one bad request fails alone."""
    from concurrent.futures import ThreadPoolExecutor

    served = bench.serve(service=BATCHED, apis=(Api(Message(JSON), Message(JSON)),))

    def ask(word):
        return served.ask("POST", "/", json.dumps({"word": word}), content_type="application/json")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, ["a", "b", "bad", "c", "d", "e", "f", "g"]))
    assert [each.status for each in answers] == [200, 200, 500, 200, 200, 200, 200, 200]
    assert [each.json.get("word") for each in answers] == ["a", "b", None, "c", "d", "e", "f", "g"]
    assert max(each.json.get("together", 0) for each in answers) > 1


def test_anything(bench):
    """The undefined mode: forms and JSON of any kind, answers of any kind; what is no JSON is the model's failure."""
    served = bench.serve(service=ANYTHING, mode="undefined")
    answer = served.form(("a", "a.bin", b"1"), ("b", None, b"2"), ("c", "", b""))
    assert answer.json == {"got": ["a", "b"], "odd": {"1": [1, 2], "nan": None}}

    def ask(what):
        return served.ask("POST", "/", json.dumps({"what": what}), content_type="application/json")

    assert ask("").json["got"] == ["what"]
    answer = ask("object")
    assert (answer.status, answer.json["error"]["code"]) == (500, "model_failed")
    assert answer.error.startswith("the model's answer is no JSON")
    assert ask("raise").error == "the model failed with a KeyError; its log says more"
    assert ask("image").error == "what was sent is no picture"


def test_fields_and_answers_by_their_schema(bench):
    """Plain fields have the type that the schema says; an answer that breaks its schema is the model's failure."""
    request = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "f": {"type": "file"}}}
    response = {"type": "object", "required": ["it"], "properties": {"got": {"type": "array"}}}
    apis = (Api(Message(MULTIPART, request), Message(JSON, response)),)
    served = bench.serve(service=ANYTHING, apis=apis)
    assert served.form(("n", None, b"x")).error == "`n` has to be of type integer"
    assert served.form(("n", "n.txt", b"1")).error == "`n` is missing; the form has `n`"
    answer = served.form(("n", None, b"1"))
    assert answer.status == 500
    assert (
        answer.error == "the model's answer does not fit its response schema: `answer` must contain ['it'] properties"
    )


@pytest.fixture
def clean(monkeypatch):
    """What a package changes in the process that loads it is put back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in ("names", "customize_service", "model_service", "model_service.python_model_service"):
            del sys.modules[name]


@pytest.mark.usefixtures("clean")
def test_the_loader_runs_it_too(bench):
    """Evaluation asks the same code as the server does."""
    folder = bench.package(service=PICTURES, files=[("names.py", "NAMES = 'abcd'")])
    (folder / "p.png").write_bytes(bench.png(1, 2, 9, 3))
    predictor = runtimes.load("scikit-learn", folder / "model")
    assert predictor.predict([folder / "p.png"]) == [runtimes.Prediction("c", (("a", 0.5),))]
    (folder / "bad.png").write_bytes(b"x")
    with pytest.raises(runtimes.PackageError, match=r"`customize_service.py` failed for `bad.png`: UnidentifiedImage"):
        predictor.predict([folder / "bad.png"])


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("x = 1", "must have one class that derives from `XgSklServingBaseService`; found: none"),
        (f"{ANYTHING}\nclass Two(XgSklServingBaseService): ...", "found: `Anything`, `Two`"),
        ("def f(:", "cannot be loaded: SyntaxError"),
        ("import no_such_library", "imports `no_such_library`, which is neither in the package nor in the toolchain"),
        (
            "from model_service.tfserving_model_service import TfServingBaseService",
            "is written for TensorFlow (it imports `model_service.tfserving_model_service`), which is not served here",
        ),
        (
            "from mms.model_service.mxnet_model_service import MXNetBaseService",
            "is written for MXNet (it imports `mms`), which is not served here",
        ),
    ],
)
@pytest.mark.usefixtures("clean")
def test_files_that_cannot_be_run(bench, service, said):
    """Each has its reason."""
    folder = bench.package(service=service)
    with pytest.raises(runtimes.PackageError) as caught:
        runtimes.load("scikit-learn", folder / "model")
    assert said in str(caught.value)


@pytest.mark.usefixtures("clean")
def test_answers_that_evaluation_cannot_read(bench):
    """Without a label, or with scores that are none, there is nothing to measure."""
    service = PICTURES.replace('"predicted_label"', '"label"')
    folder = bench.package(service=service, files=[("names.py", "NAMES = 'abcd'")])
    (folder / "p.png").write_bytes(bench.png(1, 2, 9, 3))
    with pytest.raises(runtimes.PackageError, match=r"for `p.png` has no `predicted_label`"):
        runtimes.load("scikit-learn", folder / "model").predict([folder / "p.png"])
    picture = folder / "p.png"
    service = PICTURES.replace('[["a", np.float32(0.5)]]', "3")
    folder = bench.package(service=service, files=[("names.py", "NAMES = 'abcd'")])
    with pytest.raises(runtimes.PackageError, match=r"`scores` in the answer"):
        runtimes.load("scikit-learn", folder / "model").predict([picture])
