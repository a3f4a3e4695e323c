"""Whether the toolchain has what a package says that it needs: the dependencies of its config.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from specforge.formats.config_json import Dependency
from specforge.formats.config_json.versions import meets, requirement_of
from specforge.runtimes import PackageError


def check_dependencies(dependencies: Iterable[Dependency]) -> None:
    """Raise PackageError, naming all of them, if Python packages are missing or have another version than asked."""
    problems = list(_problems(dependencies))
    if problems:
        raise PackageError(
            f"the package needs {', and '.join(problems)}; `spec lock` locks the `dependencies` of declared Models"
        )


def _problems(dependencies: Iterable[Dependency]) -> Iterator[str]:
    for dependency in dependencies:
        for each in dependency.packages:
            try:
                found = version(each.name)
            except PackageNotFoundError:
                yield f"`{requirement_of(each)}`, which is not in its toolchain"
                continue
            if not meets(found, each):
                yield f"`{requirement_of(each)}`, but its toolchain has {found}"
