"""Versions of Python packages: which are some, their order, and what a dependency asks for."""

from __future__ import annotations

import itertools

import pytest

from specforge.formats.config_json import Package
from specforge.formats.config_json.versions import is_version, meets, normal_name, requirement_of

RISING = [
    ["0", "0.0"],
    ["0.9"],
    ["1.0.dev1"],
    ["1.0a1.dev2"],
    ["1.0a1", "1.0.alpha1", "1.0-A-1"],
    ["1.0b1", "1.0beta1"],
    ["1.0rc1", "1.0c1", "1.0.pre1"],
    ["1.0rc2"],
    ["1", "1.0", "1.0.0", "v1.0", "1.0+cpu"],
    ["1.0.post1.dev3"],
    ["1.0.post1", "1.0-1", "1.0r1"],
    ["1.9"],
    ["1.10"],
    ["1!0.1"],
]


def test_versions_rise_by_their_numbers():
    """`1.10` is later than `1.9`; pre-releases come before the release, what was mended after it; spellings agree."""
    for (low, lower), (high, higher) in itertools.product(enumerate(RISING), repeat=2):
        for one, other in itertools.product(lower, higher):
            assert meets(one, Package("p", other, "ATLEAST")) == (low >= high), (one, other)
            assert meets(one, Package("p", other, "ATMOST")) == (low <= high), (one, other)
            if "+" not in other:
                assert meets(one, Package("p", other, "EXACT")) == (low == high), (one, other)


def test_a_local_name_counts_where_it_is_asked_for():
    """`1.0+cpu` is `1.0`, but `1.0` is not `1.0+cpu`."""
    assert meets("1.0+cpu", Package("p", "1.0", "EXACT"))
    assert meets("1.0+cpu", Package("p", "1.0.0+cpu", "EXACT"))
    assert not meets("1.0", Package("p", "1.0+cpu", "EXACT"))
    assert requirement_of(Package("p", "1.0+cpu", "EXACT")) == "p==1.0+cpu"
    assert requirement_of(Package("p", "1.0+cpu", "ATLEAST")) == "p>=1.0"


@pytest.mark.parametrize("package", [Package("p"), Package("p", "2"), Package("p", None, "EXACT")])
def test_without_a_version_or_its_meaning_any_will_do(package):
    """Only the name is asked for."""
    assert meets("1.0", package)
    assert requirement_of(package) == "p"


def test_what_is_no_version_is_compared_as_it_stands():
    """Old packages have odd ones; they are only equal to themselves."""
    assert meets("2004d", Package("p", "2004d", "EXACT"))
    assert not meets("2004d", Package("p", "1.0", "ATLEAST"))
    assert not meets("1.0", Package("p", "newest", "ATMOST"))


@pytest.mark.parametrize("text", ["", "newest", "1.*", "1..2", "1.0-", "1.0+", "1.0x", "-1", "1,2", " 1", ">=1"])
def test_what_is_no_version(text):
    """Patterns, ranges and words are none."""
    assert not is_version(text)


def test_requirements_and_names():
    """As pip writes them; a name has one spelling."""
    found = [requirement_of(Package("six", "1.17", each)) for each in ("EXACT", "ATLEAST", "ATMOST")]
    assert found == ["six==1.17", "six>=1.17", "six<=1.17"]
    assert {normal_name(each) for each in ("Typing_Extensions", "typing.extensions", "typing--extensions")} == {
        "typing-extensions"
    }
