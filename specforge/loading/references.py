"""Do the references of the documents lead somewhere? Names, kinds and version pins; cycles are the planner's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from specforge.core.address import Address, Reference
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.source import Span
from specforge.loading.positions import Path, Problem, SourceFile
from specforge.loading.variables import closest
from specforge.planner.project import Declared
from specforge.schemas.base import Ref
from specforge.schemas.kind import Kinds

_MOST_HINTS = 20
"""Wrong references that get a hint; a search for each of thousands would take minutes."""

_MOST_LISTED = 5
"""Names that a hint lists."""

_VERSION = re.compile(r"[A-Za-z0-9_\-.]{1,32}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A declared resource and where it stands; `filled` are the fields that the project's defaults gave."""

    declared: Declared
    source: SourceFile
    document: int
    filled: tuple[str, ...] = ()

    @property
    def position(self) -> Span | None:
        """Where the resource's name stands."""
        return self.source.span(self.document, ("name",))


@dataclass(frozen=True, slots=True)
class Names:
    """What may be referred to. `uncertain` names stand in documents that are themselves wrong.

    Not `complete`: a file could not be read, so that an unknown name may well stand in it.
    """

    resources: Mapping[Address, Loaded]
    kinds: Kinds
    uncertain: Collection[str] = frozenset()
    complete: bool = True

    def problem(self, path: Path, reference: Reference, ref: Ref, *, hint: bool = True) -> Problem | None:
        """Return what is wrong with this reference, or None.

        A version of a resource that is not declared may be a kept one: the planner finds out.
        """
        name, version = reference.name, reference.version
        if version is not None and (problem := _pin_problem(path, reference, ref)) is not None:
            return problem
        if any(Address(kind, name) in self.resources for kind in ref.kinds):
            return None
        if version is not None or name in self.uncertain or not self.complete:
            return None
        wanted = _either(ref.kinds)
        todo = self._hint(name, ref) if hint else None
        others = [each.kind for each in self.resources if each.name == name]
        if others:
            detail = f"`{name}` is of kind {_either(others)}; one of kind {wanted} is needed here"
            return Problem(path, "SF112", "Reference to another kind", detail, todo)
        return Problem(path, "SF104", "Unknown reference", f"no {wanted} is named `{name}`", todo)

    def _hint(self, name: str, ref: Ref) -> str | None:
        candidates = {address.name: loaded for address, loaded in self.resources.items() if address.kind in ref.kinds}
        near = closest(name, (each for each in candidates if each != name))
        if near is not None:
            span = candidates[near].position
            return f"did you mean `{near}`" + (f" ({span.file}:{span.line})?" if span else "?")
        if candidates:
            few = [f"`{each}`" for each in sorted(candidates)][:_MOST_LISTED]
            return "declared: " + ", ".join(few) + (", …" if len(candidates) > _MOST_LISTED else "")
        documents = [self.kinds.by_prefix[kind].document for kind in ref.kinds if kind in self.kinds.by_prefix]
        return f"declare it: `kind: {documents[0]}`, `name: {name}`" if documents else None


def _pin_problem(path: Path, reference: Reference, ref: Ref) -> Problem | None:
    name, version = reference.name, reference.version or ""
    if not ref.versioned:
        detail = f"no version can be chosen here, but `@{version}` is written"
        return Problem(path, "SF112", "Bad version pin", detail, f"write `{name}`")
    if not name or not _VERSION.fullmatch(version):
        detail = f"`{name}@{version}` does not have the form `NAME@VERSION`"
        hint = "a version has letters, digits, `.`, `_` and `-`, like `V001`"
        return Problem(path, "SF112", "Bad version pin", detail, hint)
    return None


def check_references(names: Names) -> list[Diagnostic]:
    """Return what is wrong with the references that the documents themselves write."""
    diagnostics: list[Diagnostic] = []
    known = {(each.kind, each.name) for each in names.resources}
    for address, loaded in names.resources.items():
        for path, reference, ref in loaded.declared.references:
            if reference.version is None and (ref.kinds[0], reference.name) in known:
                continue  # as nearly all are
            if loaded.filled and len(path) == 1 and path[0] in loaded.filled:
                continue
            problem = names.problem(path, reference, ref, hint=len(diagnostics) < _MOST_HINTS)
            if problem is not None:
                diagnostics.append(loaded.source.diagnostic(loaded.document, problem, address))
    return diagnostics


def _either(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))
