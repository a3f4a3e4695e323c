"""XML-RPC as supervisor speaks it, against the standard library's own."""

from __future__ import annotations

import xmlrpc.client as peer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specforge.executors.replicas.xml_rpc import Fault, answer, call

# Text that XML can carry: neither control characters nor half characters; and what it keeps as it is.
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_answers_are_read_as_the_standard_library_reads_them(value: object) -> None:
    """Every kind of value that supervisor sends, nested."""
    assert answer(peer.dumps((value,), methodresponse=True).encode()) == value


@given(st.lists(TEXT | st.booleans(), max_size=4))
def test_calls_are_what_the_standard_library_reads(arguments: list[str | bool]) -> None:
    """Method and arguments arrive."""
    assert peer.loads(call("supervisor.x", arguments)) == (tuple(arguments), "supervisor.x")


def test_a_fault_is_raised_with_its_number() -> None:
    """So that callers tell one refusal from another."""
    with pytest.raises(Fault, match="6: SHUTDOWN_STATE") as found:
        answer(peer.dumps(peer.Fault(6, "SHUTDOWN_STATE")).encode())
    assert found.value.code == 6


@pytest.mark.parametrize(
    "body",
    [b"", b"no xml", b"<a>", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<methodResponse></methodResponse>"],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """Broken, empty, or with entities."""
    with pytest.raises(ValueError, match=r".+"):
        answer(body)
