"""What can be wrong with a TrainingJob beyond its own document: parameters and names that clash. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from specforge.core.diagnostics import Diagnostic
from specforge.schemas.algorithm.parameters import effective
from specforge.schemas.kind import Input, Subject
from specforge.schemas.training.spec import TrainingSpec

TAKEN_INPUTS = ("from_model", "train")
"""Names of inputs whose option is ours."""


def diagnostics_of(subject: Subject, algorithm: Input | None) -> tuple[Diagnostic, ...]:
    """Return every problem of the job that its algorithm's declarations and its own names show."""
    return (*_parameters(subject, algorithm), *_names(subject, algorithm))


def _parameters(subject: Subject, algorithm: Input | None) -> Iterator[Diagnostic]:
    spec: TrainingSpec = subject.spec
    if algorithm is None or algorithm.spec is None:
        return
    _, problems = effective(spec.parameters, getattr(algorithm.spec, "parameters", {}))
    for each in problems:
        path = ("parameters", each.parameter) if each.parameter in spec.parameters else ("parameters",)
        yield Diagnostic("SF218", "Bad parameter", each.detail, hint=each.hint, address=subject.address, path=path)


def _names(subject: Subject, algorithm: Input | None) -> Iterator[Diagnostic]:
    spec: TrainingSpec = subject.spec
    for name in spec.inputs:
        if name in TAKEN_INPUTS:
            detail = f"an input cannot be named `{name}`: the option `--{name}_url` has another meaning"
            yield _clash(subject, ("inputs", name), detail)
    options = {f"{name}_url" for name in (*spec.inputs, *TAKEN_INPUTS)}
    if spec.seed is not None:
        options.add("seed")
    declared = getattr(algorithm.spec, "parameters", {}) if algorithm is not None else {}
    for name in declared:
        if name in options:
            detail = f"the algorithm has a parameter `{name}`, which would be given to the boot file twice"
            path = ("seed",) if name == "seed" else ("inputs",)
            yield _clash(subject, path, detail)


def _clash(subject: Subject, path: tuple[str, ...], detail: str) -> Diagnostic:
    hint = "give it another name" if path != ("seed",) else "give the seed as the parameter instead"
    return Diagnostic("SF219", "Option given twice", detail, hint=hint, address=subject.address, path=path)
