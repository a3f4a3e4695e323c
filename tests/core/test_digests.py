"""Canonical JSON, identities, tree digests: golden, for a change would make published artifacts unfindable."""

from __future__ import annotations

import json
import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specforge.core.address import Address
from specforge.core.digest import canonical_json, digest_of, identity_of
from specforge.core.values import Frozen, Key
from specforge.formats.tree import Entry, digest, listing, parse

TEXTS = [
    (None, "null"),
    (1, "1"),
    (1.0, "1.0"),
    (True, "true"),
    ("", '""'),
    ('a"b\\c\n\t/', '"a\\"b\\\\c\\n\\t/"'),
    ("\x7f\x00", '"\x7f\\u0000"'),
    ("汉字", '"汉字"'),
    ("🙂", '"🙂"'),
    ("e\u0301", '"é"'),
    ([1, "two", None], '[1,"two",null]'),
    ({"b": 1, "a": {"d": [], "c": {}}}, '{"a":{"c":{},"d":[]},"b":1}'),
    ({"z": 1, "e\u0301": 2}, '{"z":1,"é":2}'),
    (1e-4, "0.0001"),
    (1e22, "1e+22"),
    (0.1 + 0.2, "0.30000000000000004"),
    (-0.0, "-0.0"),
    (10**30, "1" + "0" * 30),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_the_one_text_of_a_value(value: object, text: str) -> None:
    """Sorted keys, no spaces, NFC, numbers as Python's JSON writes them."""
    assert canonical_json(value) == text


def test_golden_identities() -> None:
    """These digests are in stores: they never change."""
    assert digest_of(None) == "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"
    assert digest_of({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    recipe = {
        "task": "image_classification",
        "samples": "ab" * 32,
        "layout": "class_folders",
        "split": {"train": 0.8, "seed": 7, "stratified": True},
    }
    assert identity_of("dataset", 1, recipe) == "9d209fd3f24d6072bb9f4c6343f5f20217b7391e99cf0f39228bf3780d0f840c"
    assert (
        identity_of("数据", 2, {"é": "汉字", "list": [1, 1.0]})
        == "808a9fdf3a8e9ed3ff297230765d117802db9d632ae86e05ccc60dd3eb196658"
    )


def test_golden_tree_digests() -> None:
    """The listing is one JSON line a file; its sha256 is the digest."""
    entries = [Entry("b/é.txt", False, 3, "cd" * 32), Entry("a b.sh", True, 0, "ab" * 32)]
    expected = '["a b.sh",1,0,"' + "ab" * 32 + '"]\n["b/é.txt",0,3,"' + "cd" * 32 + '"]\n'
    assert listing(entries).decode() == expected
    assert digest(entries) == "e95f03a1aba59d5d99bf5edb364964a8489464f52d2c7801ffc72505419d9791"
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(reversed(entries)) == digest(entries)
    decomposed = [entries[0]._replace(path=unicodedata.normalize("NFD", "b/é.txt")), entries[1]]
    assert digest(decomposed) == digest(entries)
    assert parse(listing(entries)) == (entries[1], entries[0])


def test_run_keys_are_stable_and_readable() -> None:
    """The id of a run key names folders and containers that a killed apply left: it never changes."""
    key = Key("lineage-1", Address("training", "digits"), "ab" * 32, 2, "train")
    assert key.id == "training.digits-train-2-7b9c36895ee0dc27"


@pytest.mark.parametrize("field", ["lineage", "address", "identity", "attempt", "step"])
def test_every_part_of_a_run_key_is_in_its_id(field: str) -> None:
    """Two keys that differ anywhere have two names."""
    from dataclasses import replace

    key = Key("lineage-1", Address("training", "digits"), "ab" * 32, 2, "train")
    other = {"lineage": "x", "address": Address("a", "b"), "identity": "x", "attempt": 3, "step": "x"}
    assert replace(key, **{field: other[field]}).id != key.id


def test_what_json_cannot_say_is_an_error() -> None:
    """NaN and infinities are ValueErrors, objects TypeErrors, also behind a text that is not ASCII."""
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            canonical_json({"a": [bad]})
        with pytest.raises(ValueError, match="JSON compliant"):
            canonical_json(["汉", bad])
    with pytest.raises(TypeError):
        canonical_json({"a": object()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: object, chance: random.Random) -> object:
    """Return the same value with the keys of its mappings in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@given(JSON, st.randoms(use_true_random=False))
def test_the_order_of_keys_makes_no_difference(value: object, chance: random.Random) -> None:
    """Also where normalisation makes two keys one."""
    normal = json.loads(canonical_json(value))
    assert canonical_json(shuffled(normal, chance)) == canonical_json(normal)


@given(JSON)
def test_every_spelling_of_a_text_gives_one_digest(value: object) -> None:
    """NFC and NFD of the same value are the same; the text is NFC and reads back as the value."""
    normal = json.loads(canonical_json(value))

    def decomposed(item: object) -> object:
        if isinstance(item, str):
            return unicodedata.normalize("NFD", item)
        if isinstance(item, dict):
            return {decomposed(key): decomposed(inner) for key, inner in item.items()}
        return [decomposed(inner) for inner in item] if isinstance(item, list) else item

    text = canonical_json(decomposed(normal))
    assert text == canonical_json(normal)
    assert unicodedata.is_normalized("NFC", text)
    assert json.loads(text) == normal


@given(JSON)
def test_frozen_values_have_the_same_text(value: object) -> None:
    """A recipe is held frozen; its identity is that of the plain value."""
    from specforge.core.values import frozen

    assert canonical_json(frozen({"recipe": value})) == canonical_json({"recipe": value})
    assert digest_of(Frozen()) == digest_of({})
