"""The end of an apply as text."""

from __future__ import annotations

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.engine.apply import ApplyResult
from specforge.engine.events import ChangeEnded
from specforge.render.result import render_result

DATA, TRAINING, MODEL = Address("dataset", "digits"), Address("training", "digits"), Address("model", "digits")


def result(*outcomes: ChangeEnded, failed: bool = False, interrupted: bool = False) -> ApplyResult:
    """Return a result of these outcomes."""
    return ApplyResult({each.address: each for each in outcomes}, 14.2, failed, interrupted)


def test_done() -> None:
    """Every change has a line with its version and figures; the last line counts."""
    shown = render_result(
        result(
            ChangeEnded(1, DATA, "create", "done", 1.2, "V001", "1,797 files"),
            ChangeEnded(1, TRAINING, "create", "done", 12.0, "V0001", "accuracy 0.9861"),
            ChangeEnded(1, MODEL, "new version", "cut off", 0.1, "0.0.1"),
        )
    )
    assert shown.splitlines() == [
        "  ✓ dataset.digits   V001  1,797 files       1 s",
        "  ✓ training.digits  V0001  accuracy 0.9861  12 s",
        "  = model.digits     cut off  0.0.1          0.1 s",
        "",
        "Done in 14 s: 2 done, 1 cut off.",
    ]


def test_failure_names_root_causes_only() -> None:
    """The diagnostic and the end of the log are shown of what failed; what was skipped names its cause."""
    broken = Diagnostic("SF440", "The job failed", "`train` exited with 3", hint="`spec logs training.digits`")
    shown = render_result(
        result(
            ChangeEnded(1, TRAINING, "create", "failed", 2.0, diagnostics=(broken,)),
            ChangeEnded(1, MODEL, "create", "skipped", 0.0, because=TRAINING),
            failed=True,
        ),
        logs={TRAINING: ("epoch 1", "\x1b[31mboom\x1b[0m")},
    )
    assert shown == (
        "  ✗ training.digits  failed  2 s\n"
        "\n"
        "training.digits: failed\n"
        "error[SF440]: The job failed\n"
        "  `train` exited with 3\n"
        "hint: `spec logs training.digits`\n"
        "the end of its log:\n"
        "  epoch 1\n"
        "  boom\n"
        "\n"
        "Skipped because of training.digits: model.digits\n"
        "\n"
        "Failed in 14 s: 1 failed, 1 skipped.\n"
    )


def test_the_log_in_a_note_is_shown_as_a_log() -> None:
    """The end of a log travels as a note of several lines: it is shown once, as lines."""
    broken = Diagnostic("SF440", "The job failed", "`train` exited with 3", note="one\ntwo\n", address=TRAINING)
    shown = render_result(
        result(ChangeEnded(1, TRAINING, "create", "failed", 2.0, diagnostics=(broken,)), failed=True),
        logs={TRAINING: ("two",)},
    )
    assert "the end of its log:\n  one\n  two\n" in shown
    assert shown.count("two") == 1


def test_refused() -> None:
    """A refusal says the figure, the bound and what stays current."""
    words = "accuracy 0.91, wanted at least 0.99; V0001 stays current"
    shown = render_result(result(ChangeEnded(1, TRAINING, "new version", "refused", 4.0, "V0001", words), failed=True))
    assert "accuracy 0.91, wanted at least 0.99" in shown
    assert shown.endswith("Failed in 14 s: 1 refused.\n")


def test_interrupted() -> None:
    """What was not started because the user stopped is said."""
    shown = render_result(result(ChangeEnded(1, TRAINING, "create", "skipped", 0.0), failed=True, interrupted=True))
    assert "Skipped not started: training.digits" in shown
    assert "Interrupted in 14 s" in shown


def test_narrow() -> None:
    """Long words are wrapped below their column."""
    words = "refused because " + "the figures are not what was wanted " * 4
    shown = render_result(result(ChangeEnded(1, TRAINING, "create", "refused", 4.0, None, words)), width=60)
    assert all(len(line) <= 62 for line in shown.splitlines())
