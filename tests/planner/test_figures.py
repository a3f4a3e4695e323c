"""What others read of an evaluation: the figures of the version that they get, whichever way it comes about."""

from __future__ import annotations

import pytest
from paper import Paper, actions, change_of, verbs

MODEL = {"kind": "Model", "name": "digits", "training": "digits", "mode": "image_processing"}


@pytest.fixture
def packaged(applied: Paper) -> Paper:
    """The quickstart with a model, after its parameter was changed."""
    applied.add(**MODEL)
    applied.apply()
    applied.edit("training.digits", "parameters.C", 5)
    applied.apply()
    assert applied.record("model.digits").current == "0.0.2"
    return applied


def test_a_training_that_is_current_again_takes_its_model_along(packaged: Paper) -> None:
    """The figures of the older version are known: so is the identity of the package with them."""
    packaged.edit("training.digits", "parameters.C", 10)
    assert actions(packaged.plan()) == {"training.digits": "reuse", "model.digits": "reuse"}
    packaged.apply()
    assert packaged.record("model.digits").current == "0.0.1"
    assert packaged.plan().empty


def test_figures_that_are_yet_to_be_measured_are_waited_for(packaged: Paper) -> None:
    """Another evaluation of the same output: the package may change by what it finds."""
    packaged.edit("training.digits", "evaluate.samples", 1)
    plan = packaged.plan()
    assert verbs(change_of(plan, "training.digits")) == {"output": "keep", "evidence": "make"}
    assert verbs(change_of(plan, "model.digits")) == {"output": "maybe"}


def test_a_training_that_is_measured_no_more_keeps_its_figures(packaged: Paper) -> None:
    """What is recorded of its version stays, so that nothing follows from leaving the evaluation out."""
    packaged.edit("training.digits", "evaluate", None)
    assert actions(packaged.plan()) == {"training.digits": "update"}
    packaged.edit("training.digits", "parameters.C", 10)
    assert actions(packaged.plan()) == {"training.digits": "reuse", "model.digits": "reuse"}
