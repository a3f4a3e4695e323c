"""What an Algorithm asks and gives, and the parameters it declares."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from specforge.core.queries import Presence, ScanTree, Seen, unreachable
from specforge.core.values import PROJECT, Tree, frozen
from specforge.runtimes import FRAMEWORKS
from specforge.schemas.algorithm import KIND
from specforge.schemas.algorithm.parameters import argument, effective
from specforge.schemas.algorithm.spec import AlgorithmSpec, Framework, Parameter


def test_the_frameworks_are_the_engines_there_are():
    """What a document may say is what can be locked and loaded."""
    assert sorted(get_args(Framework)) == sorted(FRAMEWORKS)
    assert AlgorithmSpec.model_json_schema()["properties"]["framework"]["const"] == "scikit-learn"


def test_code_and_boot_file_are_looked_for(world):
    """Both are asked about; the boot file within the code folder."""
    assert KIND.readings(world.algorithm(code="src/svc", boot="run/train.py")) == {
        "code": ScanTree(PROJECT, "src/svc"),
        "boot": ScanTree(PROJECT, "src/svc/run/train.py"),
    }


def test_what_others_see(world):
    """The outputs of an algorithm, with a golden `runnable`: it is part of the identity of every training."""
    outputs = KIND.desire(world.algorithm()).outputs
    assert outputs["runnable"] == "7f47e8be1a42b9f0184a5019ea57c5cb182d92d1dcf3626e8426d5b57d59836b"
    assert outputs["code"] == Tree(PROJECT, "code", "1" * 64)
    assert outputs["framework"] == "scikit-learn"
    assert outputs["boot"] == "train.py"


def test_declarations_are_not_part_of_it(world):
    """Neither defaults, nor texts, nor the folder's name change `runnable`; code, boot file and lock do."""
    known = KIND.desire(world.algorithm()).outputs["runnable"]
    same = (world.algorithm(parameters={}), world.algorithm(description="other"), world.algorithm(code="moved"))
    assert {KIND.desire(each).outputs["runnable"] for each in same} == {known}
    subject = world.algorithm()
    code = Seen(Presence.PRESENT, "8" * 64, frozen({"files": 1}))
    others = (
        world.algorithm(boot="other.py"),
        replace(subject, facts={**subject.facts, "code": code}),
        replace(subject, locks={"scikit-learn": frozen({"python": "3.12"})}),
    )
    found = {KIND.desire(each).outputs["runnable"] for each in others}
    assert len(found) == 3
    assert known not in found


def findings(subject):
    desire = KIND.desire(subject)
    assert not desire.outputs
    return [(each.code, each.path, each.detail) for each in desire.diagnostics]


def test_what_is_wrong_with_the_code(world):
    """No folder, a file, no boot file, a folder for one, one outside, an unreadable folder, a link that leads away."""
    subject = world.algorithm()

    def code(seen):
        return findings(replace(subject, facts={**subject.facts, "code": seen}))

    assert code(Seen(Presence.ABSENT)) == [("SF210", ("code",), "there is no folder `code`")]
    single = Seen(Presence.PRESENT, "0" * 64, frozen({"files": 1, "folders": {}}))
    assert code(single) == [("SF210", ("code",), "`code` is a file, not a folder")]
    assert code(unreachable("permission denied")) == [("SF215", ("code",), "`code` cannot be read: permission denied")]
    odd = Seen(
        Presence.PRESENT, "0" * 64, frozen({"files": 1, "problems": [{"path": "x", "problem": "leads outside"}]})
    )
    assert code(odd) == [("SF215", ("code",), "`x` in `code` leads outside")]
    missing = replace(subject, facts={**subject.facts, "boot": Seen(Presence.ABSENT)})
    assert findings(missing) == [("SF210", ("boot",), "there is no file `train.py` in `code`")]
    folder = Seen(Presence.PRESENT, "0" * 64, frozen({"files": 2, "folders": {".": 2}}))
    among = replace(subject, facts={**subject.facts, "boot": folder})
    assert findings(among) == [("SF210", ("boot",), "`train.py` is a folder")]
    outside = world.algorithm(boot="../train.py")
    assert findings(outside) == [("SF210", ("boot",), "`../train.py` is outside of `code`")]


def test_a_toolchain_must_be_locked(world):
    """Without an entry in the lock there is nothing to run with; the hint says how to make it."""
    desire = KIND.desire(replace(world.algorithm(), locks={}))
    assert [(each.code, each.hint) for each in desire.diagnostics] == [("SF217", "run `spec lock`")]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"type": "float", "default": "high"}, "its default `high` is not a number; `p` is declared as `float`"),
        ({"type": "int", "default": 1.5}, "its default `1.5` is not a whole number"),
        ({"type": "int", "default": True}, "its default `true` is not a whole number"),
        ({"type": "bool", "default": 1}, "its default `1` is not true or false"),
        ({"type": "str", "default": 10}, "its default `10` is not a text"),
        ({"type": "float", "default": 2.0, "max": 1}, "its default `2.0` is more than its `max` 1"),
        ({"type": "float", "default": 0.5, "min": 1}, "its default `0.5` is less than its `min` 1"),
        ({"type": "str", "default": "c", "choices": ["a", "b"]}, "its default `c` is not one of its choices"),
        ({"type": "int", "choices": ["a"]}, "its choice `a` is not a whole number"),
        ({"type": "str", "min": 1}, "`min` and `max` are for numbers"),
        ({"type": "int", "min": 2, "max": 1}, "`min` 2 is more than `max` 1"),
        ({"type": "int", "default": 1, "required": True}, "a required parameter has a default"),
    ],
)
def test_declarations_that_make_no_sense(world, declared, words):
    """Each has one error, at the parameter."""
    desire = KIND.desire(world.algorithm(parameters={"p": declared}))
    (found,) = desire.diagnostics
    assert (found.code, found.path) == ("SF216", ("parameters", "p"))
    assert words in found.detail


DECLARED = {
    "C": Parameter(type="float", default=1.0, min=0, max=100),
    "steps": Parameter(type="int", required=True),
    "kernel": Parameter(type="str", default="rbf", choices=["rbf", "linear"]),
    "verbose": Parameter(type="bool"),
    "rates": Parameter(type="float", choices=[1, 2]),
}


def test_effective_parameters():
    """Defaults are filled in, types are the declared ones, what has neither value nor default is left out."""
    values, problems = effective({"C": 10, "steps": 3, "rates": 1.0}, DECLARED)
    assert not problems
    assert values == {"C": 10.0, "steps": 3, "kernel": "rbf", "rates": 1.0}
    assert type(values["C"]) is float
    assert [argument(name, value) for name, value in values.items()] == [
        "--C=10.0",
        "--steps=3",
        "--kernel=rbf",
        "--rates=1.0",
    ]
    assert argument("verbose", True) == "--verbose=true"


@pytest.mark.parametrize(
    ("given", "detail", "hint"),
    [
        ({"kernal": "rbf"}, "the algorithm declares no parameter `kernal`", "did you mean `kernel`?"),
        ({"zzz": 1}, "the algorithm declares no parameter `zzz`", "its parameters: `C`, `steps`, `kernel`, `verbose`"),
        ({"C": "10"}, "`10` is not a number; `C` is declared as `float`", "write a number"),
        ({"C": True}, "`true` is not a number; `C` is declared as `float`", "write a number"),
        ({"C": 101}, "`101` is more than its `max` 100", None),
        ({"C": -1}, "`-1` is less than its `min` 0", None),
        ({"steps": 1.5}, "`1.5` is not a whole number; `steps` is declared as `int`", "write a whole number"),
        ({"kernel": "poly"}, "`poly` is not one of its choices", "choose one of: `rbf`, `linear`"),
        ({"kernel": 7}, "`7` is not a text; `kernel` is declared as `str`", 'write `"7"`'),
        ({"steps": None}, "the parameter `steps` is required", "add `steps:`"),
    ],
)
def test_values_that_are_refused(given, detail, hint):
    """Unknown names, wrong types, values out of range or choice, and what is missing."""
    values = {"steps": 1, **given}
    _, problems = effective({name: value for name, value in values.items() if value is not None}, DECLARED)
    assert [each.detail for each in problems] == [detail]
    assert problems[0].hint == hint or problems[0].hint.startswith(hint)
