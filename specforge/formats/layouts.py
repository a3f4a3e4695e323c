"""The layout of model packages: which files each engine wants in the folder `model`.

A package is a folder with a folder `model` in it. Paths here are those within `model`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MODEL = "model"
"""The folder of a package that everything is in."""

CONFIG = "config.json"  # the name that specforge.formats.config_json has too; that module is not light
SERVICE = "customize_service.py"
"""The file with a package's own inference code."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a package must have, as `words` say it: exactly one file of the first of these patterns that any fits.

    A pattern that ends with `/` is a folder with anything in it; `*` stays within one name. `neighbours`: others may
    fit the last pattern as well, and only their content says which is the model.
    """

    words: str
    patterns: tuple[str, ...]
    neighbours: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What an engine's packages have. `service`: its own code is needed, because nothing else can load the model.

    `pairs`: names that must begin alike, up to these ends.
    """

    needs: tuple[Need, ...] = ()
    service: bool = False
    pairs: tuple[str, ...] = ()


def _file(path: str) -> Need:
    return Need(f"`{path}`", (path,))


LAYOUTS: Mapping[str, Layout] = {
    "tensorflow": Layout(
        (
            _file("saved_model.pb"),
            _file("variables/variables.index"),
            _file("variables/variables.data-00000-of-00001"),
        )
    ),
    "mxnet": Layout(
        (Need("`NAME-symbol.json`", ("*-symbol.json",)), Need("`NAME-0000.params`", ("*-0000.params",))),
        pairs=("-symbol.json", "-0000.params"),
    ),
    "pyspark": Layout((Need("folder `spark_model`", ("spark_model/",)),)),
    "pytorch": Layout((Need("`NAME.pth`", ("*.pth",)),), service=True),
    "scikit-learn": Layout((Need("`NAME.joblib`", ("*.joblib",)),)),
    "xgboost": Layout((Need("`NAME.ubj` or `NAME.json`", ("*.ubj", "*.json"), neighbours=True),)),
    "caffe": Layout((_file("deploy.prototxt"), Need("`NAME.caffemodel`", ("*.caffemodel",))), service=True),
    "image": Layout(),
}
"""{engine: its layout}; each also has a config.json, and may have its own code and Python packages."""


def layout_problems(engine: str, files: Iterable[str]) -> list[str]:
    """Return what is wrong with the files of a `model` folder, config.json apart; raises KeyError for no engine."""
    layout, names = LAYOUTS[engine], sorted(files)
    problems = [*_one_at_most(names, SERVICE), *_one_at_most(names, CONFIG)]
    chosen = []
    for need in layout.needs:
        found = _fitting(need, names)
        if len(found) == 1 or (found and need.neighbours and _fits(found[0], need.patterns[-1])):
            chosen.append(found[0])
        else:
            problems.append(f"a {engine} package has one {need.words} in `{MODEL}`; found: {_shown(found)}")
    if layout.pairs and len(chosen) == len(layout.pairs):
        heads = {name.removesuffix(end) for name, end in zip(chosen, layout.pairs, strict=True)}
        if len(heads) > 1:
            problems.append(f"{' and '.join(f'`{name}`' for name in chosen)} do not begin with the same name")
    if layout.service and SERVICE not in names:
        problems.append(f"a {engine} package needs `{SERVICE}`, which loads the model")
    return problems


def _one_at_most(names: Sequence[str], name: str) -> Iterator[str]:
    found = [each for each in names if each.rpartition("/")[2] == name]
    if len(found) > 1:
        yield f"a package has at most one `{name}`; found: {_shown(found)}"
    elif found and found != [name]:
        yield f"`{name}` must lie in `{MODEL}` itself, not in a folder of it; found: {_shown(found)}"


def _fitting(need: Need, names: Sequence[str]) -> list[str]:
    for pattern in need.patterns:
        if pattern.endswith("/"):
            found = [pattern[:-1]] if any(each.startswith(pattern) for each in names) else []
        else:
            found = [each for each in names if _fits(each, pattern)]
        if found:
            return found
    return []


def _fits(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and name != CONFIG and fnmatch.fnmatchcase(name, pattern)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in names) or "none"
