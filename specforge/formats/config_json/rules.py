"""The rules of a config.json: every field, every limit. Each rule gives problems with their paths; nothing is read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from specforge.formats.config_json.schema import schema_problems
from specforge.formats.config_json.text import Path, Problem
from specforge.formats.config_json.values import JSON, METRICS, MODEL_TYPES, MULTIPART, RESTRAINTS, media_type

MISSPELT = "procotol"
"""How examples of the source write `protocol`; taken for it."""

REQUIRED = ("model_algorithm", "model_type", "apis")
KEYS = (*REQUIRED, "runtime", "swr_location", "metrics", "dependencies")
_API_KEYS = ("protocol", "url", "method", "request", "response")
_MESSAGE_KEYS = ("Content-type", "data")
_DEPENDENCY_KEYS = ("installer", "packages")
_PACKAGE_KEYS = ("package_name", "package_version", "restraint")
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_FORBIDDEN = re.compile(r"[\s(&!'\"<>=)]")
_RUNTIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?")
_LARGEST = 10**15


def check(value: Any) -> list[Problem]:
    """Return everything that is wrong with a parsed config.json."""
    if not isinstance(value, dict):
        return [Problem((), "must be a JSON object")]
    return list(_config(value))


def _config(value: dict[str, Any]) -> Iterator[Problem]:
    for key in REQUIRED:
        if key not in value:
            yield Problem((), f"has no `{key}`")
    for key in value:
        near = difflib.get_close_matches(key, [each for each in KEYS if each not in value], n=1, cutoff=0.8)
        if key not in KEYS and near:
            yield Problem((key,), f"is not a key of config.json; did you mean `{near[0]}`?")
    yield from _texts(value, (), ("model_algorithm", "model_type", "runtime", "swr_location"))
    kind, runtime = value.get("model_type"), value.get("runtime")
    if isinstance(kind, str) and kind and kind not in MODEL_TYPES.values():
        yield Problem(("model_type",), f"is `{kind}`, not one of {', '.join(sorted(MODEL_TYPES.values()))}")
    if isinstance(runtime, str) and runtime and not _RUNTIME.fullmatch(runtime):
        yield Problem(("runtime",), f"is `{runtime}`, not like `python3.6`")
    if kind == "Image" and "swr_location" not in value:
        yield Problem((), "has no `swr_location`, which a package of type Image needs")
    if kind != "Image" and "swr_location" in value:
        yield Problem(("swr_location",), "is for packages of type Image")
    yield from _metrics(value.get("metrics", {}))
    if "apis" in value:
        yield from api_problems(value["apis"], ("apis",), image=kind == "Image")
    yield from dependency_problems(value.get("dependencies", []), ("dependencies",))


def _metrics(value: Any) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(("metrics",), "must be an object")
        return
    yield from _unknown(value, METRICS, ("metrics",))
    for key in METRICS:
        number: Any = value.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
            yield Problem(("metrics", key), "must be a number")
        elif not -_LARGEST <= number <= _LARGEST:
            yield Problem(("metrics", key), "is no figure that can be meant")


# ---- apis ----


def api_problems(value: Any, path: Path, *, image: bool = False) -> list[Problem]:
    """Return what is wrong with a list of apis. `image`: they are those of a container, which may be any."""
    if not isinstance(value, list) or not value:
        return [Problem(path, "must be a list that is not empty")]
    found: list[Problem] = []
    asked: set[tuple[Any, ...]] = set()
    for number, each in enumerate(value):
        found += _api(each, (*path, number), image)
        if not found:
            key = (each.get("url", "/"), each.get("method", "POST").upper(), _type_of(each.get("request", {})))
            if key in asked:
                found.append(Problem((*path, number), "asks for the same as one before it"))
            asked.add(key)
    return found


def _type_of(message: dict[str, Any]) -> str:
    return media_type(str(message.get("Content-type", JSON)))


def _api(value: Any, path: Path, image: bool) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "must be an object")
        return
    yield from _unknown(value, _API_KEYS, path, also=(MISSPELT,))
    if MISSPELT in value and "protocol" in value:
        yield Problem((*path, MISSPELT), "is `protocol` misspelt, which is there as well")
    yield from _texts(value, path, ("protocol", MISSPELT, "url", "method"))
    for key in ("protocol", MISSPELT):
        if str(value.get(key, "http")).lower() not in ("http", "https"):
            yield Problem((*path, key), "is neither `http` nor `https`")
    url, method = str(value.get("url", "/")), str(value.get("method", "POST"))
    if not url.startswith("/"):
        yield Problem((*path, "url"), "must begin with `/`")
    elif url != "/" and not image:
        yield Problem((*path, "url"), f"is `{url}`; what is no container answers `/` only")
    if method.upper() not in _METHODS:
        yield Problem((*path, "method"), f"is `{method}`, not one of {', '.join(_METHODS)}")
    elif method.upper() != "POST" and not image:
        yield Problem((*path, "method"), f"is `{method}`; what is no container answers POST only")
    for key in ("request", "response"):
        yield from _message(value.get(key, {}), (*path, key), any_type=image or key == "response")


def _message(value: Any, path: Path, *, any_type: bool) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "must be an object")
        return
    yield from _unknown(value, _MESSAGE_KEYS, path)
    yield from _texts(value, path, ("Content-type",))
    kind = _type_of(value)
    if not _CONTENT_TYPE.fullmatch(kind):
        yield Problem((*path, "Content-type"), "is not a content type such as `application/json`")
    elif not any_type and kind not in (JSON, MULTIPART):
        yield Problem((*path, "Content-type"), f"is `{kind}`, neither `{JSON}` nor `{MULTIPART}`")
    files = path[-1] == "request" and kind == MULTIPART
    yield from schema_problems(value.get("data", {}), (*path, "data"), files=files)
    if isinstance(value.get("data"), bool):
        yield Problem((*path, "data"), "must be a schema: an object")


# ---- dependencies ----


def dependency_problems(value: Any, path: Path) -> list[Problem]:
    """Return what is wrong with a list of dependencies."""
    if not isinstance(value, list):
        return [Problem(path, "must be a list")]
    return [problem for number, each in enumerate(value) for problem in _dependency(each, (*path, number))]


def _dependency(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "must be an object")
        return
    yield from _unknown(value, _DEPENDENCY_KEYS, path)
    if value.get("installer") != "pip":
        yield Problem((*path, "installer"), "must be `pip`, the only installer there is")
    packages = value.get("packages")
    if not isinstance(packages, list) or not packages:
        yield Problem((*path, "packages"), "must be a list of packages that is not empty")
        return
    for number, each in enumerate(packages):
        yield from _package(each, (*path, "packages", number))


def _package(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "must be an object")
        return
    yield from _unknown(value, _PACKAGE_KEYS, path)
    for key in _PACKAGE_KEYS:
        text = value.get(key, "")
        if not isinstance(text, str):
            yield Problem((*path, key), "must be a text")
        elif _FORBIDDEN.search(text):
            yield Problem((*path, key), "must have no spaces and none of ( & ! ' \" < > = )")
    if not value.get("package_name"):
        yield Problem(path, "has no `package_name`")
    # Examples of the source write an empty text for what is not given.
    version, restraint = value.get("package_version") or None, value.get("restraint") or None
    if restraint is not None and restraint not in RESTRAINTS:
        yield Problem((*path, "restraint"), f"is `{restraint}`, not one of {', '.join(RESTRAINTS)}")
    if restraint is not None and version is None:
        yield Problem((*path, "restraint"), "restrains a version, but there is no `package_version`")
    if restraint is None and version is not None:
        yield Problem(path, f"has a version but no `restraint`, which is one of {', '.join(RESTRAINTS)}")


# ---- what all of them share ----


def _unknown(value: dict[str, Any], known: Sequence[str], path: Path, also: Sequence[str] = ()) -> Iterator[Problem]:
    for key in value:
        if key not in known and key not in also:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
            yield Problem((*path, key), f"is not a key here; {hint}")


def _texts(value: dict[str, Any], path: Path, keys: Sequence[str]) -> Iterator[Problem]:
    for key in keys:
        if key in value and (not isinstance(value[key], str) or not value[key].strip()):
            yield Problem((*path, key), "must be a text that is not empty")
