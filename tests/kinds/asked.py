"""What a kind answers when all of it is asked for."""

from __future__ import annotations

from dataclasses import replace

from specforge.schemas.kind import Kind, Part, Subject


def with_steps(kind: Kind, subject: Subject, number: int = 0) -> Part:
    """Return one part of the wish with the steps that make it."""
    part = kind.desire(subject).parts[number]
    return replace(part, steps=kind.steps(subject, part))
