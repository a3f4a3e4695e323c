"""Assemble a model package: the files of a training, inference code beside them, and a config.json that fits both."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from specforge.formats import config_json, folder, layouts
from specforge.formats.config_json import ConfigError, ModelConfig
from specforge.procedures import Failure

DEFAULT_ALGORITHM = "image_classification"
_AGREE = "say it once: in the document, or in the package's own `config.json`"
_ONE_FILE = "take one of them away"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the document says of a package; what it does not say is left to a config.json among the files.

    `apis` and `dependencies` are as in a config.json; `figures` {accuracy, f1, precision, recall, …: number} become
    its metrics.
    """

    engine: str
    mode: str = config_json.UNDEFINED
    algorithm: str | None = None
    runtime: str | None = None
    apis: list[dict[str, Any]] = field(default_factory=list)
    dependencies: list[dict[str, Any]] = field(default_factory=list)
    figures: Mapping[str, Any] = field(default_factory=dict)


def package(source: Path, output: Path, wanted: Wanted, inference: Path | None = None) -> dict[str, Any]:
    """Fill `output/model` with links to the files of `source`, copies of those of `inference` (a folder, or one file)
    and a config.json; return the facts of the version. Raises Failure.
    """
    if wanted.engine not in layouts.LAYOUTS:
        raise Failure(f"there is no layout for packages of the engine `{wanted.engine}`")
    files = _files(source, "the trained model")
    own = {} if inference is None else _inference(inference)
    both = sorted(files.keys() & own.keys())
    if both:
        raise Failure("the trained model and `inference` have files of the same name", _quoted(both), _ONE_FILE)
    problems = layouts.layout_problems(wanted.engine, [*files, *own])
    if problems:
        raise Failure("the files do not make a package", problems)
    given = {**files, **own}.get(config_json.NAME)
    config = config_of(wanted, None if given is None else given.read_bytes())
    try:
        text = config_json.write(config)
    except ConfigError as error:
        raise Failure("the package has no valid `config.json`", list(map(str, error.problems))) from error
    target = output / layouts.MODEL
    _fill(target, {name: path for name, path in files.items() if name != config_json.NAME}, link=True)
    _fill(target, {name: path for name, path in own.items() if name != config_json.NAME}, link=False)
    target.mkdir(parents=True, exist_ok=True)
    (target / config_json.NAME).write_bytes(text)
    return {
        "engine": wanted.engine,
        "mode": wanted.mode,
        "model_type": config.model_type,
        "model_algorithm": config.model_algorithm,
        "files": len({*files, *own, config_json.NAME}),
        "inference": layouts.SERVICE in files or layouts.SERVICE in own,
    }


# ---- the files ----


def _files(root: Path, what: str) -> dict[str, Path]:
    """Return {path in the package: where the file lies}."""
    found = folder.walk(root)
    if found.problems:
        raise Failure(f"{what} cannot be read", [f"`{each.path}` {each.problem}" for each in found.problems])
    return {each[0]: Path(found.source(each[0])) for each in found.files}


def _inference(path: Path) -> dict[str, Path]:
    own = {path.name: path} if path.is_file() else _files(path, "`inference`")
    if layouts.SERVICE not in own:
        raise Failure(f"there is no `{layouts.SERVICE}` in `inference`")
    return own


def _fill(target: Path, files: Mapping[str, Path], *, link: bool) -> None:
    """Bring the files to their places; a link, where the file stays as it is until the package is collected."""
    for name, path in files.items():
        place = target / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if link:
                place.symlink_to(os.path.realpath(path))
            else:
                shutil.copyfile(path, place)
                place.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Failure(f"`{name}` is both a file and a folder in the package", hint=_ONE_FILE) from None


def _quoted(names: list[str]) -> list[str]:
    return [f"`{each}`" for each in names]


# ---- config.json ----


def config_of(wanted: Wanted, given: bytes | None) -> ModelConfig:
    """Return the config.json of a package: what the document says, on top of what its own file says, if it has one.

    Raises Failure where one contradicts the other.
    """
    model_type = config_json.MODEL_TYPES[wanted.engine]
    if given is None:
        modes = config_json.MODES[wanted.mode]
        config = ModelConfig(wanted.algorithm or DEFAULT_ALGORITHM, model_type, _apis(wanted) or modes, wanted.runtime)
        return replace(config, metrics=_metrics(wanted), dependencies=_dependencies(wanted))
    try:
        config = config_json.read(given)
    except ConfigError as error:
        raise Failure("the package's own `config.json` is not one", list(map(str, error.problems))) from error
    _check_agreement(wanted, config, model_type)
    return replace(
        config,
        model_algorithm=wanted.algorithm or config.model_algorithm,
        runtime=wanted.runtime or config.runtime,
        metrics={**config.metrics, **_metrics(wanted)},
        dependencies=_dependencies(wanted) or config.dependencies,
    )


def _check_agreement(wanted: Wanted, config: ModelConfig, model_type: str) -> None:
    pairs = {
        "model_type": (model_type, config.model_type),
        "model_algorithm": (wanted.algorithm, config.model_algorithm),
        "runtime": (wanted.runtime, config.runtime),
        "apis": (_apis(wanted), config.apis),
        "dependencies": (_dependencies(wanted), config.dependencies),
    }
    problems = []
    for key, (ours, theirs) in pairs.items():
        if ours and theirs and ours != theirs:
            words = f": `{ours}` and `{theirs}`" if isinstance(ours, str) else ""
            problems.append(f"`{key}` differs{words}")
    if wanted.mode != config_json.UNDEFINED and not _is_of_mode(wanted.mode, config.apis):
        problems.append(f"`apis` does not take what the mode `{wanted.mode}` takes")
    if problems:
        raise Failure("the document and the package's own `config.json` contradict each other", problems, _AGREE)


def _is_of_mode(mode: str, apis: Sequence[config_json.Api]) -> bool:
    """Return whether apis are those of a mode; they may say more of requests and responses than the mode does."""
    asked = config_json.MODES[mode]
    if [each.request.media_type for each in apis] != [each.request.media_type for each in asked]:
        return False
    names = [set(each.request.data.get("properties", {})) for each in apis]
    wanted = [set(each.request.data.get("required", ())) for each in asked]
    return all(not known or needed <= known for known, needed in zip(names, wanted, strict=True))


def _apis(wanted: Wanted) -> tuple[config_json.Api, ...]:
    return config_json.apis_of(wanted.apis)


def _dependencies(wanted: Wanted) -> tuple[config_json.Dependency, ...]:
    return config_json.dependencies_of(wanted.dependencies)


def _metrics(wanted: Wanted) -> dict[str, Any]:
    return {key: config_json.metric(wanted.figures[key]) for key in config_json.METRICS if key in wanted.figures}


def main(argv: Sequence[str]) -> None:
    """Assemble --source and --inference into the package --output; --options and --figures are JSON objects."""
    import argparse  # only a job needs it; the module is also read for its revision

    parser = argparse.ArgumentParser(prog="package", allow_abbrev=False)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--inference", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--facts", type=Path)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--options", type=json.loads, default={})
    parser.add_argument("--figures", type=json.loads, default={})
    asked = parser.parse_args(argv)
    wanted = Wanted(asked.engine, figures=asked.figures, **asked.options)
    facts = package(asked.source, asked.output, wanted, asked.inference)
    if asked.facts is not None:
        asked.facts.write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{facts['files']:,} files, {facts['model_type']}, mode {facts['mode']}")
