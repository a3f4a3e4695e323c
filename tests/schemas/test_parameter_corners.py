"""Corners of parameters: choices of another type, defaults that are wrong."""

from __future__ import annotations

from specforge.schemas.algorithm.parameters import check, effective
from specforge.schemas.algorithm.spec import Parameter


def test_choices_of_another_type_are_the_declarations_problem() -> None:
    """They are reported where the algorithm is checked, and left out here."""
    declared = Parameter(type="int", choices=[1, "two", 3])
    assert check("n", 3, declared) == (3, None)
    _, problem = check("n", 2, declared)
    assert problem is not None


def test_a_wrong_default_is_the_algorithms_own_problem() -> None:
    """A job that does not give the parameter is not blamed; one that gives a wrong value is."""
    declared = {"n": Parameter(type="int", default="many")}
    assert effective({}, declared) == ({}, [])
    values, problems = effective({"n": "few"}, declared)
    assert values == {}
    assert [each.parameter for each in problems] == ["n"]
