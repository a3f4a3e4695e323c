"""Canonical JSON and identities.

An identity is the sha256 of the canonical JSON of `[kind prefix, kind revision, recipe]`. The form is fixed by golden
digests in tests: to change it would make every published artifact unfindable.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

# One encoder for all: to make one costs as much as to encode a small recipe. What is encoded is never circular.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, strings in Unicode form NFC, no NaN.

    Numbers must already have their declared type: 1 and 1.0 give different texts. Raises ValueError for NaN and
    infinities, TypeError for what JSON cannot say.
    """
    text = _encode(value)
    if text.isascii():
        return text
    # Keys are sorted again after normalisation: two spellings of one key must not give two orders.
    return _encode(_normalised(value))


def _normalised(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {_normalised(key): _normalised(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normalised(item) for item in value]
    return value


def digest_of(value: Any) -> str:
    """Return the sha256 (64 hexadecimal digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def identity_of(prefix: str, revision: int, recipe: Mapping[str, Any]) -> str:
    """Return the identity of what a kind would make by this recipe, which must have no holes left."""
    return digest_of([prefix, revision, recipe])
