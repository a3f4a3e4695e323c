"""Gates over figures; diagnostics in the order of the user's files; the errors that carry them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity, has_errors, sorted_diagnostics
from specforge.core.errors import Cancelled, ConfigError, ExecutionError, SpecforgeError, StateError, StateLocked
from specforge.core.source import Span
from specforge.core.steps import Gate, Refusal, judge
from specforge.core.values import Frozen, frozen


def gate(**conditions: dict[str, float]) -> Gate:
    """Return a gate."""
    return Gate(frozen(conditions))


@pytest.mark.parametrize(
    ("bounds", "value", "met"),
    [
        ({"min": 0.9}, 0.9, True),
        ({"min": 0.9}, 0.8999, False),
        ({"max": 0.1}, 0.1, True),
        ({"max": 0.1}, 0.2, False),
        ({"min": 0.1, "max": 0.2}, 0.15, True),
        ({"min": 0.1, "max": 0.2}, 0.25, False),
        ({"min": 1}, 1, True),
        ({"min": 0}, None, False),
        ({"min": 0}, True, False),
        ({"min": 0}, "1", False),
        ({"min": 0}, float("nan"), False),
    ],
)
def test_a_condition_is_met_or_not(bounds, value, met: bool) -> None:
    """Bounds are included; what is no number is not met."""
    assert (judge(gate(accuracy=bounds), Frozen(accuracy=value)) == ()) is met


def test_refusals_come_by_name_with_their_figures() -> None:
    """Each unmet condition once, in words."""
    found = judge(
        gate(
            recall={"min": 0.5}, accuracy={"min": 0.95}, loss={"max": 0.1}, f1={"min": 0.2, "max": 0.3}, auc={"max": 1}
        ),
        Frozen(accuracy=0.912345, recall=0.6, loss=2, f1=0.31),
    )
    assert [str(each) for each in found] == [
        "accuracy 0.9123, wanted at least 0.95",
        "auc missing, wanted at most 1",
        "f1 0.31, wanted at most 0.3",
        "loss 2, wanted at most 0.1",
    ]
    assert str(Refusal("f1", None, 0.2, 0.3)) == "f1 missing, wanted at least 0.2"
    assert str(Refusal("f1", 0.1, 0.2, 0.3)) == "f1 0.1, wanted at least 0.2"


def test_a_gate_without_conditions_accepts() -> None:
    """`evaluate` without `accept` measures only."""
    assert judge(Gate(), Frozen()) == ()


SPANS = st.none() | st.builds(
    Span, st.sampled_from(["a.yaml", "b.yaml"]), st.integers(1, 3), st.integers(1, 3), st.just(3), st.just(3)
)
DIAGNOSTICS = st.builds(
    Diagnostic,
    st.sampled_from(["SF101", "SF201"]),
    st.just("Summary"),
    st.sampled_from(["one", "two"]),
    st.sampled_from(Severity),
    address=st.none() | st.builds(Address, st.just("a"), st.sampled_from("xy")),
    span=SPANS,
)


@given(st.lists(DIAGNOSTICS, max_size=8), st.randoms(use_true_random=False))
def test_diagnostics_are_in_the_order_of_the_files(found: list[Diagnostic], chance: random.Random) -> None:
    """Each once; those without a place last; the same whatever the order they were found in."""
    ordered = sorted_diagnostics(found)
    assert set(ordered) == set(found)
    assert len(ordered) == len(set(found))
    spans = [each.span for each in ordered]
    assert sorted(spans, key=lambda span: span is None) == spans
    placed = [span for span in spans if span is not None]
    assert sorted(placed) == placed
    mixed = list(found)
    chance.shuffle(mixed)
    assert sorted_diagnostics(mixed) == ordered


def test_only_errors_are_errors() -> None:
    """A warning does not stop."""
    warning = Diagnostic("SF202", "Pinned", "kept", Severity.WARNING)
    assert not has_errors([warning])
    assert has_errors([warning, Diagnostic("SF201", "Unknown version", "none")])


def test_an_error_reads_as_its_diagnostics() -> None:
    """One or several."""
    one, two = Diagnostic("SF201", "Unknown version", "V9"), Diagnostic("SF203", "Taken", "V1")
    assert str(SpecforgeError(one)) == "SF201 Unknown version: V9"
    assert SpecforgeError(iter([one, two])).diagnostics == (one, two)
    assert issubclass(ConfigError, SpecforgeError)
    assert issubclass(StateLocked, StateError)


def test_a_failed_run_says_whether_it_is_over() -> None:
    """And carries the end of its log."""
    error = ExecutionError(Diagnostic("SF405", "Failed", "exit 3"), ended=True, log="boom")
    assert (error.ended, error.refusal, error.log) == (True, False, "boom")
    assert isinstance(Cancelled(()), ExecutionError)
