"""Which files make a package, engine by engine."""

from __future__ import annotations

import pytest

from specforge.formats.config_json import MODEL_TYPES
from specforge.formats.layouts import LAYOUTS, layout_problems

VARIABLES = ["variables/variables.index", "variables/variables.data-00000-of-00001"]


@pytest.mark.parametrize(
    ("engine", "files"),
    [
        ("tensorflow", ["saved_model.pb", *VARIABLES]),
        ("mxnet", ["net-symbol.json", "net-0000.params"]),
        ("pyspark", ["spark_model/metadata/part-00000", "spark_model/data/_SUCCESS"]),
        ("pytorch", ["net.pth", "customize_service.py", "net/__init__.py"]),
        ("scikit-learn", ["svc.joblib", "label.json", "old/svc.joblib"]),
        ("xgboost", ["trees.json", "config.json"]),
        ("xgboost", ["trees.json", "label.json"]),
        ("xgboost", ["trees.ubj", "label.json"]),
        ("caffe", ["deploy.prototxt", "net.caffemodel", "customize_service.py"]),
        ("image", []),
    ],
)
def test_packages_that_are_complete(engine, files):
    """Every engine's files, alone and with what may lie beside them."""
    assert layout_problems(engine, files) == []


@pytest.mark.parametrize(
    ("engine", "files", "words"),
    [
        ("tensorflow", ["saved_model.pb", VARIABLES[0]], f"`{VARIABLES[1]}` in `model`; found: none"),
        ("mxnet", ["net-0000.params"], "one `NAME-symbol.json`"),
        ("mxnet", ["net-symbol.json", "other-0000.params"], "do not begin with the same name"),
        ("pyspark", ["spark_model.zip"], "one folder `spark_model`"),
        ("pytorch", ["net.pth"], "a pytorch package needs `customize_service.py`, which loads the model"),
        ("scikit-learn", ["sub/svc.joblib"], "a scikit-learn package has one `NAME.joblib` in `model`; found: none"),
        ("scikit-learn", ["b.joblib", "a.joblib"], "found: `a.joblib`, `b.joblib`"),
        ("xgboost", ["a.ubj", "config.json", "b.ubj"], "found: `a.ubj`, `b.ubj`"),
        ("xgboost", ["config.json"], "one `NAME.ubj` or `NAME.json` in `model`; found: none"),
        ("caffe", ["deploy.prototxt", "customize_service.py"], "one `NAME.caffemodel`"),
        ("image", ["customize_service.py", "sub/customize_service.py"], "at most one `customize_service.py`"),
        ("image", ["config.json", "sub/config.json"], "a package has at most one `config.json`; found"),
        ("image", ["sub/customize_service.py"], "must lie in `model` itself, not in a folder of it"),
    ],
)
def test_packages_that_are_not(engine, files, words):
    """What is missing, doubled or in the wrong folder, with what was found instead."""
    found = layout_problems(engine, files)
    assert len(found) == 1
    assert words in found[0]


def test_every_layout_has_a_word_in_config_json():
    """An engine that can be laid out can be named."""
    assert set(LAYOUTS) <= set(MODEL_TYPES)
