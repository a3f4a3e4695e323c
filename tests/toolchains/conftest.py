"""A folder of wheels that stands for a package index: nothing here needs a network."""

from __future__ import annotations

import base64
import hashlib
import zipfile

import pytest

from specforge.core.address import Address
from specforge.core.values import Key
from specforge.executors.base import CancelToken, StepContext
from specforge.testing.job_bench import Recorder


def wheel(folder, name, version, requires=(), body="", sealed=True):
    """Write a small pure wheel by hand, with a module of its name; not `sealed`: its record is broken."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": body or f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(
            [
                "Metadata-Version: 2.1",
                f"Name: {name}",
                f"Version: {version}",
                *(f"Requires-Dist: {r}" for r in requires),
                "",
            ]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text if sealed else "")
    return path


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The folder that pip is told of, instead of any index."""
    folder = tmp_path / "wheels of 团队"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "UV_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.fixture
def context():
    """What a performer gets; its events are in `context.emit.events`."""
    key = Key("lineage", Address("training", "digits"), "a" * 64, 1, "toolchain")
    return StepContext(key, Recorder(), CancelToken())


@pytest.fixture
def make_wheel(wheels):
    """Put a wheel into the folder."""

    def make(*words, **options):
        return wheel(wheels, *words, **options)

    return make
