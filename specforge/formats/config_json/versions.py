"""Python packages as dependencies name them: their names, their versions, and whether a version is what was asked for.

Versions are compared as PEP 440 orders them: by their numbers; pre-releases come before the release, later ones after.
"""

from __future__ import annotations

import re

from specforge.formats.config_json.values import Package

Order = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, int], tuple[int, int]]

_VERSION = re.compile(
    r"v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]*))?"
    r"(?:-(?P<plain_post>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>[0-9]*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1}
_CANDIDATE = 2
_SIGNS = {"EXACT": "==", "ATLEAST": ">=", "ATMOST": "<="}


def normal_name(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_version(text: str) -> bool:
    """Return whether this is a version of a Python package."""
    return _VERSION.fullmatch(text) is not None


def requirement_of(package: Package) -> str:
    """Return what a package asks for, as pip has it: `six`, `six==1.17`, `six>=1.17`, `six<=1.17`."""
    if package.version is None or package.restraint is None:
        return package.name
    exact = package.restraint == "EXACT"
    # What stands after `+` has no order.
    version = package.version if exact else package.version.partition("+")[0]
    return f"{package.name}{_SIGNS[package.restraint]}{version}"


def meets(version: str, package: Package) -> bool:
    """Return whether this version is what the package asks for. What only one of the two names after `+` is ignored."""
    if package.version is None or package.restraint is None:
        return True
    found, asked = _VERSION.fullmatch(version), _VERSION.fullmatch(package.version)
    if found is None or asked is None:
        return version == package.version
    if package.restraint == "ATLEAST":
        return _order(found) >= _order(asked)
    if package.restraint == "ATMOST":
        return _order(found) <= _order(asked)
    return _order(found) == _order(asked) and asked["local"] in (None, found["local"])


def _order(match: re.Match[str]) -> Order:
    """Return what versions are sorted by: epoch, numbers, pre-release, post-release, development release."""
    release = tuple(map(int, match["release"].split(".")))
    while release and release[-1] == 0:
        release = release[:-1]
    later = match["plain_post"] or match["post"]
    post = (1, int(match["plain_post"] or match["post_number"] or 0)) if later else (0, 0)
    dev = (0, int(match["dev_number"] or 0)) if match["dev"] else (1, 0)
    if match["pre"]:
        pre: tuple[int, ...] = (1, _PRE.get(match["pre"].lower(), _CANDIDATE), int(match["pre_number"] or 0))
    else:
        # `1.0.dev1` comes before `1.0a1`, and both come before `1.0`.
        pre = (0,) if match["dev"] and not later else (2,)
    return int(match["epoch"] or 0), release, pre, post, dev
