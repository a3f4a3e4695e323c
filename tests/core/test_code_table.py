"""The table of diagnostic codes."""

from __future__ import annotations

import re

from specforge.core.codes import CODES


def test_codes_are_in_order_with_a_title_and_an_explanation() -> None:
    """`SF` and three digits; titles name nothing of the user's; sentences end."""
    assert list(CODES) == sorted(CODES)
    for code, (title, explanation) in CODES.items():
        assert re.fullmatch(r"SF[1-5][0-9]{2}", code)
        assert title[0].isupper() or title[0] in "`u"
        assert not title.endswith(".")
        assert explanation.endswith(".")
