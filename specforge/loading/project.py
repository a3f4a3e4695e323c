"""Files to Project: find the project file, read every document, fill in variables and defaults, validate, resolve."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity, sorted_diagnostics
from specforge.core.digest import canonical_json
from specforge.core.errors import ConfigError
from specforge.core.source import Span
from specforge.core.values import Frozen
from specforge.loading.files import matching
from specforge.loading.lockfile import read_lock
from specforge.loading.positions import Problem, SourceFile
from specforge.loading.project_file import DEFAULT_SPECS, PROJECT_FILE, ProjectSpec, Resolution, Settings
from specforge.loading.references import Loaded, Names, check_references
from specforge.loading.validation import default_fields, shown, validate
from specforge.loading.variables import did_you_mean, substitute
from specforge.loading.yaml_reader import Document, read, read_text
from specforge.planner.project import Declared, Project
from specforge.schemas.base import Ref
from specforge.schemas.kind import Kind, Kinds
from specforge.schemas.references import references

PROJECT_KIND = "Project"


def find_root(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that has a project file; raises ConfigError."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    detail = f"there is no `{PROJECT_FILE}` in `{start}` or above it"
    raise ConfigError(Diagnostic("SF101", "No project here", detail, hint="make one with `spec init`"))


def load(
    root: Path, *, environment: str | None = None, variables: Mapping[str, str] | None = None, kinds: Kinds
) -> Project:
    """Return the project in `root` for one environment; raises ConfigError with everything that is wrong.

    `variables` are texts as on a command line, each read as a YAML scalar.
    """
    with _collector_off():
        return _Loading(root, kinds).project(environment, variables or {})


@contextmanager
def _collector_off() -> Iterator[None]:
    # Thousands of small objects are made and all of them kept: the collector would walk them again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Loading:
    """One load: what was found so far, and what is wrong so far."""

    def __init__(self, root: Path, kinds: Kinds) -> None:
        self.root = root
        self.kinds = kinds
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.resources: dict[Address, Loaded] = {}
        self.uncertain: set[str] = set()
        self.complete = True

    def project(self, environment: str | None, given: Mapping[str, str]) -> Project:
        """Return the project; raises ConfigError."""
        file, documents = self._read(PROJECT_FILE)
        spec, document = self._project_spec(file, documents)
        settings = self._settings(file, document, spec, environment, given) if spec is not None else None
        rest = [each for each in documents if not _is_project(each)]
        read = map(self._read, self._spec_files(file, document, spec))  # one after the other: data are large
        for source, found in chain([(file, rest)], read):
            if settings is not None:
                self._declare(source, found, settings)
        if settings is not None:
            names = Names(self.resources, self.kinds, self.uncertain, self.complete)
            self._check_defaults(names, file, document, settings)
            self.diagnostics += check_references(names)
        locks = self._locks()
        if self.diagnostics or spec is None or settings is None:
            raise ConfigError(sorted_diagnostics(self.diagnostics))
        return Project(
            spec.name,
            settings.environment,
            settings.state,
            {address: each.declared for address, each in self.resources.items()},
            self.kinds,
            locks,
            {address: (each.source.name, each.document) for address, each in self.resources.items()},
            sorted_diagnostics(self.warnings),
        )

    def _read(self, name: str) -> tuple[SourceFile, list[Document]]:
        text = read_text(self.root / name, name)
        if isinstance(text, Diagnostic):
            self.diagnostics.append(text)
            self.complete = False
            return SourceFile(name, ""), []
        result = read(text, name)
        self.diagnostics += result.diagnostics
        self.complete = self.complete and not result.broken
        if not result.documents and not result.diagnostics and name != PROJECT_FILE:
            detail, hint = "this file holds no document", "take it away, or write a document into it"
            self.warnings.append(_warning("SF121", "Empty file", detail, hint, Span(name, 1, 1, 1, 1)))
        return SourceFile(name, text), list(result.documents)

    def _project_spec(self, file: SourceFile, documents: list[Document]) -> tuple[ProjectSpec | None, int]:
        """Return the Project document of the project file and its index."""
        found = [each for each in documents if _is_project(each)]
        if not found:
            if self.complete:
                detail = f"`{PROJECT_FILE}` " + ("is empty" if not documents else "has no document of kind Project")
                hint = "it begins with `kind: Project` and `name: …`; `spec init` makes one"
                span = Span(file.name, 1, 1, 1, 1)
                self.diagnostics.append(
                    Diagnostic("SF119", "No Project document", detail, hint=hint, span=span, snippet=file.lines[0])
                )
            return None, -1
        for other in found[1:]:
            detail = f"`{PROJECT_FILE}` has two Project documents"
            self._problem(file, other, Problem(("kind",), "SF119", "Second Project document", detail))
        document = found[0]
        if not document.sound:
            return None, document.index
        data = {key: value for key, value in document.data.items() if key != "kind"}
        spec, problems = validate(ProjectSpec, data)
        for problem in problems:
            self._problem(file, document, problem)
        return spec, document.index

    def _settings(
        self, file: SourceFile, document: int, spec: ProjectSpec, environment: str | None, given: Mapping[str, str]
    ) -> Settings | None:
        known = frozenset(each.default for kind in self.kinds.by_prefix.values() for each in default_fields(kind.spec))
        resolution = Resolution(spec)
        settings = resolution.settings(environment, given, known)
        self.diagnostics += resolution.diagnostics
        self.diagnostics += [file.diagnostic(document, each) for each in resolution.problems]
        return None if resolution.problems or resolution.diagnostics else settings

    def _spec_files(self, file: SourceFile, document: int, spec: ProjectSpec | None) -> list[str]:
        """Return the names of the files that hold documents, sorted, relative to the project."""
        names: set[str] = set()
        for index, pattern in enumerate(spec.specs if spec is not None else DEFAULT_SPECS):
            if os.path.isabs(pattern) or ".." in Path(pattern).parts:
                problem = Problem(("specs", index), "SF110", "Wrong value", "a pattern must stay inside the project")
                self.diagnostics.append(file.diagnostic(document, problem))
                continue
            found, unreadable = matching(self.root, pattern)
            names |= set(found)
            self.diagnostics += unreadable
            self.complete = self.complete and not unreadable
            if not found and spec is not None and "specs" in spec.model_fields_set:
                span = file.span(document, ("specs", index))
                detail, hint = f"no file matches `{pattern}`", "patterns are relative to the project"
                warning = _warning("SF122", "Pattern without files", detail, hint, span)
                self.warnings.append(dataclasses.replace(warning, snippet=file.snippet(span)))
        return sorted(names - {PROJECT_FILE})

    def _declare(self, source: SourceFile, documents: list[Document], settings: Settings) -> None:
        expressions = "${" in source.text
        for document in documents:
            kind = self._kind(source, document)
            name = document.data.get("name") if isinstance(document.data, dict) else None
            loaded = None
            if kind is not None and document.sound:
                loaded = self._loaded(source, document, kind, settings, expressions=expressions)
            if loaded is None:
                self.uncertain.add(name if isinstance(name, str) else "")
                continue
            first = self.resources.setdefault(loaded.declared.address, loaded)
            if first is not loaded:
                self._duplicate(first, loaded)

    def _kind(self, source: SourceFile, document: Document) -> Kind | None:
        data = document.data
        if not isinstance(data, dict):
            detail = f"a document is a mapping that begins with `kind: …`, this is {shown(data)}"
            self._problem(source, document, Problem((), "SF118", "Not a document", detail))
            return None
        if "kind" not in data:
            if document.sound:
                detail = "`kind` must be given"
                self._problem(source, document, Problem((), "SF118", "Missing kind", detail, self._known_kinds()))
            return None
        word = data["kind"]
        kind = self.kinds.by_document.get(word) if isinstance(word, str) else None
        if kind is None:
            hint = (
                did_you_mean(word, self.kinds.by_document) if isinstance(word, str) else None
            ) or self._known_kinds()
            problem = Problem(("kind",), "SF107", "Unknown kind", f"no kind is called {shown(word)}", hint)
            if word == PROJECT_KIND:
                detail = f"only `{PROJECT_FILE}` at the root has a Project document"
                problem = Problem(("kind",), "SF119", "Misplaced Project document", detail)
            self._problem(source, document, problem)
        return kind

    def _loaded(
        self, source: SourceFile, document: Document, kind: Kind, settings: Settings, *, expressions: bool
    ) -> Loaded | None:
        data: dict[str, Any] = document.data
        problems: list[Problem] = []
        if expressions:
            data = substitute(data, settings.variables, problems)
        data = {key: value for key, value in data.items() if key != "kind"}
        filled: list[str] = []
        lacking: list[tuple[str | int, ...]] = []
        for field in default_fields(kind.spec):
            if field.key not in data:
                if field.default in settings.defaults:
                    data[field.key] = settings.defaults[field.default]
                    filled.append(field.key)
                elif field.required:
                    lacking.append((field.key,))
                    detail = f"it needs a {field.default}, and the project has no default for it"
                    hint = f"write `{field.key}: NAME`, or set `defaults.{field.default}` in {PROJECT_FILE}"
                    problems.append(Problem((field.key,), "SF117", f"No {field.default}", detail, hint))
        spec = None
        if not any(each.code in ("SF113", "SF114") for each in problems):
            spec, found = validate(kind.spec, data)
            problems += [each for each in found if not (each.code == "SF109" and each.path in lacking)]
        address = Address(kind.prefix, data["name"]) if isinstance(data.get("name"), str) else None
        for problem in problems:
            self._problem(source, document, _from_expression(problem, document.data), address)
        if problems or spec is None:
            return None
        text = canonical_json(spec.__pydantic_serializer__.to_python(spec, mode="json", by_alias=True))
        declared = Declared(Address(kind.prefix, spec.name), kind, spec, text, references(spec))
        return Loaded(declared, source, document.index, tuple(filled))

    def _duplicate(self, first: Loaded, second: Loaded) -> None:
        address, span = first.declared.address, first.position
        detail = f"`{address}` is declared twice" + (
            f", first in {span.file}:{span.line}:{span.column}" if span else ""
        )
        problem = Problem(("name",), "SF111", "Duplicate resource", detail, "give one of the two another name")
        self.diagnostics.append(second.source.diagnostic(second.document, problem, address))

    def _check_defaults(self, names: Names, file: SourceFile, document: int, settings: Settings) -> None:
        """Say once, in the project file, that a default leads nowhere."""
        from specforge.core.address import Reference
        from specforge.schemas.base import field_rules

        rules = [rule.ref for kind in self.kinds.by_prefix.values() for rule in field_rules(kind.spec)]
        refs: dict[str, Ref] = {ref.default: ref for ref in rules if ref is not None and ref.default is not None}
        for key, value in settings.defaults.items():
            problem = names.problem(settings.default_paths[key], Reference.parse(value), refs[key])
            if problem is not None:
                self.diagnostics.append(file.diagnostic(document, problem))

    def _locks(self) -> Mapping[str, Frozen]:
        try:
            return read_lock(self.root)
        except ConfigError as error:
            self.diagnostics += error.diagnostics
            return {}

    def _known_kinds(self) -> str:
        return "known: " + ", ".join(sorted(self.kinds.by_document))

    def _problem(
        self, source: SourceFile, document: Document, problem: Problem, address: Address | None = None
    ) -> None:
        self.diagnostics.append(source.diagnostic(document.index, problem, address))


def _is_project(document: Document) -> bool:
    return isinstance(document.data, dict) and document.data.get("kind") == PROJECT_KIND


def _from_expression(problem: Problem, written: Any) -> Problem:
    """Return the problem; where its value came from an expression, that is the hint."""
    for step in problem.path:
        if isinstance(written, dict):
            written = written.get(step)
        elif isinstance(written, list) and isinstance(step, int):
            written = written[step]
    if problem.code == "SF110" and isinstance(written, str) and "${" in written:
        return problem._replace(hint=f"the value comes from `{written}`")
    return problem


def _warning(code: str, summary: str, detail: str, hint: str, span: Span | None) -> Diagnostic:
    return Diagnostic(code, summary, detail, Severity.WARNING, hint=hint, span=span)
