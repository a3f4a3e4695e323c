"""Diagnostics about specs, brought to the user's lines: for those who find mistakes without knowing the files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, sorted_diagnostics
from specforge.loading.positions import SourceFile
from specforge.loading.yaml_reader import read_text
from specforge.planner.project import Project

Sources = Mapping[Address, tuple[str, int]]


def located(diagnostics: Iterable[Diagnostic], project: Project | Sources, root: Path) -> tuple[Diagnostic, ...]:
    """Return the diagnostics in the order of the files; those with an address get their position and its line.

    A file that cannot be read any more leaves its diagnostics as they are.
    """
    sources = project.sources if isinstance(project, Project) else project

    @cache
    def file_of(name: str) -> SourceFile | None:
        text = read_text(root / name, name)
        return SourceFile(name, text) if isinstance(text, str) else None

    def place(each: Diagnostic) -> Diagnostic:
        if each.span is not None or each.address is None or each.address not in sources:
            return each
        name, document = sources[each.address]
        file = file_of(name)
        span = file.span(document, each.path) if file is not None else None
        if file is None or span is None:
            return each
        return dataclasses.replace(each, span=span, snippet=file.snippet(span))

    return sorted_diagnostics(place(each) for each in diagnostics)
