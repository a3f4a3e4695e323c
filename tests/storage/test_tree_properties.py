"""Properties of tree listings and digests."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.formats.tree import Entry, digest, listing, parse

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
entry = st.builds(Entry, names, st.booleans(), st.integers(0, 2**50), hashes)
trees = st.lists(entry, max_size=8, unique_by=lambda each: unicodedata.normalize("NFC", each.path))


@settings(deadline=None)
@given(trees, st.randoms(use_true_random=False))
def test_order_does_not_matter(entries: list[Entry], random) -> None:
    """The same files in any order have the same listing."""
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert listing(shuffled) == listing(entries)
    assert digest(shuffled) == digest(entries)


@settings(deadline=None)
@given(trees)
def test_unicode_form_does_not_matter(entries: list[Entry]) -> None:
    """A path in another Unicode form is the same path."""
    other = [each._replace(path=unicodedata.normalize("NFD", each.path)) for each in entries]
    assert digest(other) == digest(entries)


@settings(deadline=None)
@given(trees)
def test_round_trip(entries: list[Entry]) -> None:
    """A listing read back gives the files, sorted by path."""
    normal = sorted(each._replace(path=unicodedata.normalize("NFC", each.path)) for each in entries)
    assert list(parse(listing(entries))) == normal


@settings(deadline=None)
@given(trees)
def test_form_of_the_listing(entries: list[Entry]) -> None:
    """Each line is the JSON array of a file, as `json` writes it."""
    normal = sorted((unicodedata.normalize("NFC", a), int(b), c, d) for a, b, c, d in entries)
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in normal]
    assert listing(entries) == "".join(lines).encode()


@settings(deadline=None)
@given(trees, trees)
def test_other_files_other_digest(one: list[Entry], two: list[Entry]) -> None:
    """Two trees have one digest only if they have the same files."""
    same = sorted(parse(listing(one))) == sorted(parse(listing(two)))
    assert (digest(one) == digest(two)) is same


def test_golden_digest() -> None:
    """The form is fixed: these digests are in published stores."""
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    files = [Entry("b/é 猫.png", False, 3, "ab" * 32), Entry('a "x".py', True, 0, "cd" * 32)]
    assert digest(files) == "604b87a7b10913c95e1d3935404bec40f6865faea6d08b96446df594850f8fe6"
