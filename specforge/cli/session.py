"""What most commands begin with: find the project, load it, open its state, have its executors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError, SpecforgeError
from specforge.core.making import dataclass

if TYPE_CHECKING:
    from specforge.core.state import State
    from specforge.executors.registry import Executors
    from specforge.planner.project import Project
    from specforge.schemas.kind import Kinds
    from specforge.state.backend import StateBackend


@dataclass(frozen=True, slots=True)
class Where:
    """Which project and environment a command is about, as given on the command line."""

    directory: Path | None = None
    environment: str | None = None
    variables: tuple[str, ...] = ()


@dataclass
class Session:
    """One command's view of a project; each part is made when it is first used."""

    where: Where

    @cached_property
    def root(self) -> Path:
        """The project's folder: the one given, or the nearest above that has a project file."""
        from specforge.loading import find_root

        return find_root(self.where.directory or Path.cwd())

    @cached_property
    def kinds(self) -> Kinds:
        """The installed kinds and places."""
        from specforge.loading.plugins import installed_kinds

        return installed_kinds()

    @cached_property
    def project(self) -> Project:
        """The loaded project; raises ConfigError with every error of the files."""
        from specforge.loading import load

        variables = parse_variables(self.where.variables)
        environment = self.where.environment or "default"
        return load(self.root, environment=environment, variables=variables, kinds=self.kinds)

    @cached_property
    def backend(self) -> StateBackend:
        """The state of the chosen environment."""
        from specforge.state.open import open_backend

        return open_backend(self.project.state, self.root)

    def state(self) -> State:
        """Read what is recorded; raises StateError if it is another project's or environment's."""
        from specforge.state.problems import ensure_project

        state = self.backend.read()
        ensure_project(state, self.project.name, self.project.environment, self.backend.location)
        return state

    def recorded(self, note: Callable[[str], None]) -> State:
        """Read what is recorded, also of a project whose files are broken or gone, which is noted.

        Raises ConfigError, as loading does, if no state is found then.
        """
        try:
            _ = self.project
        except ConfigError as error:
            found = self._recovered()
            if found is None:
                raise
            what = error.diagnostics[0].summary.lower()
            note(f"The files cannot be loaded ({what}; `spec validate` shows all): only what is recorded counts.")
            return found
        return self.state()

    def _recovered(self) -> State | None:
        """Return the state that lies where the project file says, as far as it can be read, else where by default.

        From then on `root` is the folder that it was found in.
        """
        from specforge.loading.project_file import state_of
        from specforge.state.open import open_backend

        environment = self.where.environment or "default"
        start = (self.where.directory or Path.cwd()).absolute()
        for folder in (start, *start.parents):
            backend = open_backend(state_of(_written_state(folder), environment), folder)
            state = backend.read()
            if state.ref.lineage is not None and state.environment == environment:
                self.__dict__["root"], self.__dict__["backend"] = folder, backend
                return state
        return None

    @cached_property
    def executors(self) -> Executors:
        """The executors of the installed places."""
        from specforge.executors.registry import Executors

        return Executors(self.kinds.places, self.root, cache_folder())

    def address(self, text: str) -> Address:
        """Read an address given on the command line; it must be declared or recorded."""
        return self.addresses([text])[0]

    def addresses(self, texts: Sequence[str]) -> tuple[Address, ...]:
        """Read addresses given on the command line; raises ConfigError for all that are unknown at once."""
        if not texts:
            return ()
        return known_addresses(texts, (*self.project.resources, *self.backend.read().resources))

    @contextmanager
    def located(self) -> Iterator[None]:
        """Give diagnostics that leave this block their places in the user's files."""
        try:
            yield
        except SpecforgeError as error:
            error.diagnostics = self.locate(error.diagnostics)
            raise

    def locate(self, diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Return the diagnostics with file, line and column, where the project could be loaded."""
        if "project" not in self.__dict__ or all(each.span is not None for each in diagnostics):
            return tuple(diagnostics)
        from specforge.loading.locate import located

        return tuple(located(diagnostics, self.project, self.root))


def _written_state(folder: Path) -> str:
    """Return where the project file in this folder says that the state lies, or the default."""
    from specforge.loading.project_file import DEFAULT_STATE, PROJECT_FILE
    from specforge.loading.yaml_reader import read, read_text

    text = read_text(folder / PROJECT_FILE, PROJECT_FILE) if (folder / PROJECT_FILE).is_file() else ""
    for each in read(text, PROJECT_FILE).documents if isinstance(text, str) else ():
        state = each.data.get("state") if isinstance(each.data, dict) else None
        if isinstance(state, str) and "${" not in state and "://" not in state:
            return state
    return DEFAULT_STATE


def known_addresses(texts: Sequence[str], known: Iterable[Address]) -> tuple[Address, ...]:
    """Return the addresses of these texts; raises ConfigError for all that are not among the known ones."""
    by_text = {str(each): each for each in known}
    problems = [_unknown_address(each, by_text) for each in texts if each not in by_text]
    if problems:
        raise ConfigError(problems)
    return tuple(by_text[each] for each in texts)


def _unknown_address(text: str, known: Mapping[str, Address]) -> Diagnostic:
    import difflib

    close = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "`spec graph` and `spec state list` show what there is"
    try:
        Address.parse(text)
        detail = f"nothing is declared or recorded as `{text}`"
    except ValueError as error:
        detail = str(error)
    return Diagnostic("SF151", "Unknown address", detail, hint=hint)


def parse_variables(given: Sequence[str]) -> dict[str, str]:
    """Read `NAME=VALUE` pairs; raises ConfigError for those that are not of that form."""
    variables, problems = {}, []
    for each in given:
        name, equals, value = each.partition("=")
        if name and equals:
            variables[name] = value
        else:
            hint = "write `--var NAME=VALUE`"
            problems.append(Diagnostic("SF152", "Not a variable", f"`{each}` has no name and value", hint=hint))
    if problems:
        raise ConfigError(problems)
    return variables


def cache_folder() -> Path:
    """Return the user's cache folder: SPECFORGE_CACHE, or the platform's."""
    given = os.environ.get("SPECFORGE_CACHE")
    if given:
        return Path(given).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("specforge", appauthor=False)


def principal() -> str:
    """Return who acts, for locks and history: SPEC_USER, or the account and machine."""
    import getpass
    import socket

    given = os.environ.get("SPEC_USER")
    if given:
        return given
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = str(os.getuid())
    return f"{account}@{socket.gethostname()}"


@contextmanager
def no_collector() -> Iterator[None]:
    """Switch the garbage collector off: a project and its plan are kept whole, and walking them again costs much."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def command_line() -> str:
    """Return the command as it was typed, without values that may be secret."""
    words = [Path(sys.argv[0]).name if sys.argv else "spec"]
    hidden = False
    for each in sys.argv[1:]:
        if hidden and "=" in each:
            words.append(each.partition("=")[0] + "=…")
        elif each.startswith("--var="):
            words.append("--var=" + each.removeprefix("--var=").partition("=")[0] + "=…")
        else:
            words.append(each)
        hidden = each == "--var"
    return " ".join(words)
