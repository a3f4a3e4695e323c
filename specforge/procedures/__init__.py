"""Procedures: how data work is done. Functions with declared inputs, outputs and parameters, which know no place and no
kind; also `python -m specforge.procedures NAME --OPTION=VALUE …`, in whatever toolchain they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


class Failure(Exception):  # noqa: N818 - an outcome of the job, not a fault of ours
    """The user's data or code is wrong: the text is the reason the job failed, shown without a traceback."""


def names() -> Mapping[str, str]:
    """Return {procedure: the module that has a `main(argv)` for it}."""
    return {
        "publish_dataset": "specforge.procedures.dataset",
        "evaluate": "specforge.procedures.evaluate",
    }


def find(name: str) -> Callable[[Sequence[str]], None]:
    """Return the procedure's `main`, which takes its options; raise KeyError if there is no such procedure."""
    from importlib import import_module

    main: Callable[[Sequence[str]], None] = import_module(names()[name]).main
    return main
