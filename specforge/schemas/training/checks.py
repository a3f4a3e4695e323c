"""What can be wrong with a TrainingJob beyond its own document: parameters and names that clash. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from specforge.core.diagnostics import Diagnostic
from specforge.schemas.algorithm.parameters import Problem
from specforge.schemas.kind import Input, Subject
from specforge.schemas.training.spec import TrainingSpec

TAKEN_INPUTS = ("from_model", "train")
"""Names of inputs whose option is ours."""


def diagnostics_of(subject: Subject, algorithm: Input | None, problems: Iterable[Problem]) -> tuple[Diagnostic, ...]:
    """Return every problem of the job: those of its parameters, and what its own names and usages show."""
    return (*_parameters(subject, problems), *_names(subject, algorithm), *_usages(subject))


def _parameters(subject: Subject, problems: Iterable[Problem]) -> Iterator[Diagnostic]:
    spec: TrainingSpec = subject.spec
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


def _usages(subject: Subject) -> Iterator[Diagnostic]:
    """Find out before hours of training that there will be nothing to see or to measure on."""
    spec: TrainingSpec = subject.spec
    others: list[tuple[tuple[str, ...], str]] = [
        (("inputs", name), "dataset") for name, given in spec.inputs.items() if "TRAIN" not in given.usages
    ]
    if spec.evaluate is not None and "TRAIN" not in spec.evaluate.usages:
        others.append((("evaluate",), "data"))
    for path, field in others:
        data = subject.inputs.get(".".join((*path, field)))
        divided = data is None or data.version is not None or getattr(data.spec, "split", True) is not None
        if data is not None and not divided:
            detail = f"`{data.address.name}` has no `split`: its samples have no usage, which counts as TRAIN"
            hint = f"give {data.address} a `split`, or ask for `usages: [TRAIN]`"
            yield Diagnostic(
                "SF221", "No such samples", detail, hint=hint, address=subject.address, path=(*path, field)
            )


def _clash(subject: Subject, path: tuple[str, ...], detail: str) -> Diagnostic:
    hint = "give it another name" if path != ("seed",) else "give the seed as the parameter instead"
    return Diagnostic("SF219", "Option given twice", detail, hint=hint, address=subject.address, path=path)
