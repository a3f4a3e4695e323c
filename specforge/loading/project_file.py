"""The project file: what a Project document says, and what follows from it for one environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.loading import scalars
from specforge.loading.positions import Path, Problem
from specforge.loading.variables import did_you_mean, expressions_in, substitute
from specforge.schemas.base import Description, Name, Spec

PROJECT_FILE = "specforge.yaml"
DEFAULT_STATE = ".specforge/state.db"
DEFAULT_ENVIRONMENT = "default"
DEFAULT_SPECS = ("specs/**/*.yaml", "specs/**/*.yml")

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_\-]*$", max_length=64)]


class Variable(Spec):
    """A value that documents use as `${var.NAME}`."""

    default: Any = None
    """The value unless `--var` or the environment gives one; without a default one of them must."""

    description: Description = ""
    """What it is for, for people."""


class Environment(Spec):
    """What `--env NAME` changes. An environment has its own state."""

    variables: dict[VariableName, Any] = Field(default_factory=dict)
    """Values of variables in this environment."""

    defaults: dict[str, str] = Field(default_factory=dict)
    """Defaults in this environment, over the project's."""


class ProjectSpec(Spec):
    """The project: its name, where its state lies, and what its documents share."""

    name: Name
    """Name of the project; version names in a store are per project."""

    description: Description = ""
    """Free text for people."""

    state: Annotated[str, StringConstraints(min_length=1)] = DEFAULT_STATE
    """Where the state lies: a file relative to the project."""

    variables: dict[VariableName, Variable] = Field(default_factory=dict)
    """The variables that documents may use as `${var.NAME}`."""

    defaults: dict[str, str] = Field(default_factory=dict)
    """What fields such as `store` and `pool` are where a document leaves them out."""

    environments: dict[Name, Environment] = Field(default_factory=dict)
    """What differs by environment; `--env NAME` chooses one."""

    specs: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default_factory=lambda: list(DEFAULT_SPECS))
    """Which files hold documents: patterns relative to the project; `**` stands for any folders."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the project file says for one environment. `default_paths`: where each default is written in it."""

    environment: str
    state: str
    variables: Mapping[str, Any]
    defaults: Mapping[str, str]
    default_paths: Mapping[str, Path]


class Resolution:
    """Works out the settings of one environment, and collects what is wrong on the way.

    `problems` have positions in the project file; `diagnostics` are about the command's arguments.
    """

    def __init__(self, project: ProjectSpec) -> None:
        self.project = project
        self.problems: list[Problem] = []
        self.diagnostics: list[Diagnostic] = []

    def settings(self, environment: str | None, given: Mapping[str, str], known_defaults: frozenset[str]) -> Settings:
        """Return the settings; they are of use only if `problems` and `diagnostics` stay empty."""
        chosen = environment or DEFAULT_ENVIRONMENT
        self._check_environments(chosen)
        self._refuse_expressions()
        variables = self._variables(chosen, given)
        defaults, paths = self._defaults(chosen, known_defaults)
        state: Any = self.project.state
        filled: Mapping[str, Any] = defaults
        if not self.problems and not self.diagnostics:
            found: list[Problem] = []
            state = substitute({"state": state}, variables, found)["state"]
            self.problems += found
            filled = substitute(defaults, variables, found := [])
            self.problems += [each._replace(path=paths[str(each.path[0])]) for each in found]
        for key, value in (("state", state), *filled.items()):
            if not isinstance(value, str):
                detail = f"`{key}` is a text, it cannot be `{value}`"
                self.problems.append(Problem(paths.get(key, ("state",)), "SF110", "Wrong value", detail))
        return Settings(chosen, state_of(str(state), chosen), variables, filled, paths)

    def _check_environments(self, chosen: str) -> None:
        declared = self.project.environments
        if chosen != DEFAULT_ENVIRONMENT and chosen not in declared:
            known = ", ".join(f"`{each}`" for each in declared) or "none are"
            hint = did_you_mean(chosen, declared) or f"declare it in {PROJECT_FILE} under `environments`"
            detail = (
                f"no environment is named `{chosen}` (declared: {known})"
                if declared
                else f"no environment is named `{chosen}`"
            )
            self.diagnostics.append(Diagnostic("SF115", "Unknown environment", detail, hint=hint))
        for name, environment in declared.items():
            for variable in environment.variables:
                if variable not in self.project.variables:
                    hint = did_you_mean(variable, self.project.variables) or "declare it under `variables`"
                    path = ("environments", name, "variables", variable)
                    detail = f"no variable is named `{variable}`"
                    self.problems.append(Problem(path, "SF113", "Unknown variable", detail, hint, at_key=True))

    def _refuse_expressions(self) -> None:
        written = self.project.model_dump(mode="json", exclude={"state", "defaults"}, exclude_unset=True)
        for path in expressions_in(written):
            if path[0] == "environments" and path[2] == "defaults":
                continue
            detail = "an expression cannot stand here"
            hint = "in this document only `state` and `defaults` may hold `${var.NAME}`"
            self.problems.append(Problem(path, "SF114", "Bad expression", detail, hint))

    def _variables(self, chosen: str, given: Mapping[str, str]) -> dict[str, Any]:
        declared = self.project.variables
        values = {name: each.default for name, each in declared.items() if "default" in each.model_fields_set}
        if chosen in self.project.environments:
            values |= self.project.environments[chosen].variables
        for name, text in given.items():
            if name not in declared:
                hint = did_you_mean(name, declared) or f"declare it in {PROJECT_FILE} under `variables`"
                detail = f"no variable is named `{name}`, but `--var {name}=…` is given"
                self.diagnostics.append(Diagnostic("SF113", "Unknown variable", detail, hint=hint))
                continue
            try:
                values[name] = scalars.parse(text)
            except ValueError as error:
                detail = f"`--var {name}={text}`: {error}"
                self.diagnostics.append(Diagnostic("SF113", "Bad variable", detail, hint="quote a text"))
                values[name] = None
        for name in declared:
            if name not in values:
                detail = f"the variable `{name}` has no default, and no value is given"
                hint = f"pass `--var {name}=…`, or write a `default`"
                path = ("variables", name)
                self.problems.append(Problem(path, "SF113", "Variable without a value", detail, hint, at_key=True))
        return values

    def _defaults(self, chosen: str, known: frozenset[str]) -> tuple[dict[str, str], dict[str, Path]]:
        defaults = dict(self.project.defaults)
        paths: dict[str, Path] = {key: ("defaults", key) for key in defaults}
        for name, environment in self.project.environments.items():
            for key, value in environment.defaults.items():
                path = ("environments", name, "defaults", key)
                if key not in known:
                    self._unknown_default(path, key, known)
                if name == chosen:
                    defaults[key], paths[key] = value, path
        for key in self.project.defaults:
            if key not in known:
                self._unknown_default(("defaults", key), key, known)
        return defaults, paths

    def _unknown_default(self, path: Path, key: str, known: frozenset[str]) -> None:
        hint = did_you_mean(key, known) or "known: " + ", ".join(f"`{each}`" for each in sorted(known))
        detail = f"no field takes a default named `{key}`"
        self.problems.append(Problem(path, "SF108", "Unknown field", detail, hint, at_key=True))


def state_of(state: str, environment: str) -> str:
    """Return where the state of an environment lies: `state.db` becomes `state.dev.db` for `dev`."""
    if environment == DEFAULT_ENVIRONMENT:
        return state
    folder, slash, name = state.rpartition("/")
    path = PurePosixPath(name)
    return f"{folder}{slash}{path.stem}.{environment}{path.suffix}"
