"""From packages to predictions, without a server: rows, answers, data that are a dict and a text, XGBoost's files."""

from __future__ import annotations

import io
import json

import pytest

from specforge import runtimes
from specforge.runtimes import FRAMEWORKS, LOADERS, InputError, PackageError, Request, server_of
from specforge.runtimes.customized import JsonData
from specforge.runtimes.results import Results, answer_of
from specforge.runtimes.rows import picture_row, table_of

np = pytest.importorskip("numpy", reason="numpy is not installed")


def test_each_engine_is_served_with_its_own_software():
    """A server's toolchain has all that the engine's has, and there is a loader for each engine."""
    for engine, requirements in FRAMEWORKS.items():
        assert set(requirements) < set(runtimes.ENGINES[server_of(engine)])
        assert engine in LOADERS


def test_json_data_are_what_each_reader_wants():
    """`json.loads` takes the text, everybody else the dict."""
    value = {"b": [1, 2], "a": {"x": None}}
    text = json.dumps(value)
    data = JsonData(text, value)
    assert isinstance(data, dict)
    assert isinstance(data, str)
    assert json.loads(data) == value
    assert data["b"] == [1, 2]
    assert (list(data), dict(data), {**data}) == (["b", "a"], value, value)
    assert (data.get("c", 3), list(data.values()), "a" in data, "c" in data) == (3, [[1, 2], {"x": None}], True, False)
    assert data == value
    assert data == text
    assert data != {}
    assert str(data.encode(), "utf-8") == text
    with pytest.raises(KeyError):
        data["c"]
    with pytest.raises(AttributeError):
        data.no_such
    rows = JsonData("[1, 2]", [1, 2])
    assert (isinstance(rows, list), list(rows), rows[1]) == (True, [1, 2], 2)


def test_tables():
    """Columns in the order that is known, numbers from texts, texts where a column holds them."""
    rows = [{"a": "1", "b": True}, {"b": 2.5, "a": 3}]
    assert table_of(rows, ["b", "a"], 2).tolist() == [[1.0, 1.0], [2.5, 3.0]]
    assert table_of(rows, [], None).tolist() == [[1.0, 1.0], [3.0, 2.5]]
    assert table_of([{"a": "red", "b": 1}], [], 2).tolist() == [["red", 1.0]]
    with pytest.raises(InputError, match=r"has 2 columns, the model wants 3"):
        table_of(rows, [], 3)
    with pytest.raises(InputError, match=r"`data.req_data\[1\]` has to be an object, not a number"):
        table_of([rows[0], 1], [], None)
    with pytest.raises(InputError, match=r"`data.req_data\[0\]` has to be an object, not null"):
        table_of([None], [], None)
    with pytest.raises(InputError, match=r"`data.req_data\[0\].a` is too large a number"):
        table_of([{"a": 10**400}], [], None)


def test_a_picture_that_is_a_bomb():
    """A picture of very many pixels is refused before it is decoded."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    with pytest.raises(InputError, match=r"`bomb.png` is too large a picture"):
        picture_row(file, "bomb.png", "m", None)


def files(*names):
    return Request(files={"images": {name: io.BytesIO() for name in names}})


def test_answers_have_the_form_of_the_request():
    """A value for each row or picture is put beside it; whatever else a model says goes out as it is."""
    rows = Request(body={"data": {"req_data": [{"a": 1}, 5]}})
    assert answer_of([7, {"own": 8}], rows) == {"data": {"resp_data": [{"a": 1, "predictresult": 7}, {"own": 8}]}}
    assert answer_of(np.array([7, 8]), rows)["data"]["resp_data"][1] == {"predictresult": 8}
    assert answer_of([7], rows) == [7]
    assert answer_of({"x": 1}, rows) == {"x": 1}
    assert answer_of(["cat"], files("a")) == {"predicted_label": "cat"}
    scored = Results([1, 0], [[("1", 0.9)], [("0", 0.8)]])
    assert answer_of(scored, files("a", "b"))["predictions"][1] == {
        "file": "b",
        "predicted_label": "0",
        "scores": [["0", 0.8]],
    }
    assert answer_of([{"label": "x"}], files("a")) == [{"label": "x"}]
    assert answer_of("text", files("a")) == "text"


@pytest.fixture
def boosted(tmp_path):
    """A folder with a small model of XGBoost, and what made it."""
    xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed")

    def make(suffix, objective, **more):
        generator = np.random.default_rng(7)
        table = generator.random((60, 4))
        labels = table.argmax(axis=1) if "multi" in objective else (table[:, 0] > 0.5).astype(int)
        data = xgboost.DMatrix(table, labels, **({"feature_names": list("abcd")} if "names" in more else {}))
        options = {"objective": objective, "max_depth": 3, "seed": 7, **more.get("options", {})}
        folder = tmp_path / f"{suffix}-{objective.replace(':', '-')}"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        xgboost.train(options, data, 20).save_model(folder / f"m.{suffix}")
        return folder

    return make


def ask(folder, *rows):
    return runtimes.load("xgboost", folder).answer([Request(body={"data": {"req_data": list(rows)}})])[0]


def test_xgboost(boosted):
    """Its two formats, classes and values; names of columns are kept."""
    row = {"d": 0.1, "c": 0.1, "b": 0.9, "a": 0.2}
    folder = boosted("json", "multi:softprob", names=True, options={"num_class": 4})
    assert ask(folder, row)["data"]["resp_data"] == [{**row, "predictresult": 1}]
    folder = boosted("ubj", "binary:logistic", names=True)
    assert ask(folder, row)["data"]["resp_data"][0]["predictresult"] == 0
    folder = boosted("ubj", "reg:squarederror")
    value = ask(folder, {"a": 0.9, "b": 0.1, "c": 0.1, "d": 0.1})["data"]["resp_data"][0]["predictresult"]
    assert value == pytest.approx(1.0, abs=0.2)
    folder = boosted("json", "multi:softmax", options={"num_class": 4})
    assert ask(folder, {"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.9})["data"]["resp_data"][0]["predictresult"] == 3


def test_xgboost_packages_that_are_none(boosted, tmp_path):
    """Other JSON files are no models; a broken one has its reason."""
    folder = boosted("ubj", "binary:logistic")
    (folder / "m.ubj").write_bytes(b"no model")
    with pytest.raises(PackageError, match=r"`m.ubj` cannot be loaded"):
        runtimes.load("xgboost", folder)
    (folder / "m.ubj").unlink()
    with pytest.raises(PackageError, match=r"has one `NAME.json` or `NAME.ubj` in its folder `model`; found: none"):
        runtimes.load("xgboost", folder)
