"""What a package says that it needs is held against what is there before the model is loaded."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from specforge.formats.config_json import Dependency, Package
from specforge.runtimes import PackageError
from specforge.runtimes.dependencies import check_dependencies

JOBLIB = importlib.metadata.version("joblib")


def depend(folder, *packages):
    """Write dependencies into the config.json of a package: (name, version, restraint)."""
    path = folder / "model" / "config.json"
    keys = ("package_name", "package_version", "restraint")
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dependencies"] = [
        {"installer": "pip", "packages": [dict(zip(keys, each, strict=False))]} for each in packages
    ]
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_a_package_whose_dependencies_are_there_is_served(bench):
    """In the version that it asks for."""
    folder = depend(bench.package(), ("joblib", "1.0", "ATLEAST"), ("JobLib", JOBLIB, "EXACT"), ("numpy",))
    assert bench.start(folder).ready().stop() == 0


def test_a_package_whose_dependencies_are_not_there_is_not_served(bench):
    """The process ends; its last line names each package, what is wanted and what was found."""
    folder = depend(bench.package(), ("numpy",), ("no-such-package", "2.0", "ATLEAST"), ("joblib", "1.0", "ATMOST"))
    served = bench.start(folder)
    assert served.process.wait(60) == 1
    assert (
        "the package needs `no-such-package>=2.0`, which is not in its toolchain, and "
        f"`joblib<=1.0`, but its toolchain has {JOBLIB}; "
        "`spec lock` locks the `dependencies` of declared Models"
    ) in served.log
    assert "ready" not in served.log


def test_names_are_found_in_any_spelling():
    """As pip finds them."""
    check_dependencies([Dependency((Package("Scikit_Learn"), Package("scikit.learn")))])
    with pytest.raises(PackageError, match=r"`scikit_learn==0\.1`, but its toolchain has 1"):
        check_dependencies([Dependency((Package("scikit_learn", "0.1", "EXACT"),))])
