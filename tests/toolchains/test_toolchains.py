"""Toolchains are made once, whole, from exactly what was locked."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.values import Frozen, frozen
from specforge.engine.locking import packages_of, resolve, resolve_requirements
from specforge.executors import toolchains
from specforge.executors.toolchains import ensure_toolchain, requirements_text, toolchain_folder, toolchain_python
from specforge.runtimes import ENGINES
from specforge.testing.job_bench import Recorder

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
EMPTY_LOCK = frozen({"python": MINOR, "packages": ()})


def says(python, code):
    return subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


# ---- locking ----


def test_a_lock_has_exact_versions_and_hashes(make_wheel):
    """Requirements and what they need are pinned for one Python version, without the address of any index."""
    make_wheel("alpha", "1.0")
    make_wheel("alpha", "1.2", ["beta>=1", "gamma; sys_platform == 'win32'", "old; python_version >= '3.99'"])
    make_wheel("beta", "2.0")
    make_wheel("gamma", "3.0")
    lock = resolve_requirements(["alpha>=1"], "tests")
    assert lock["python"] == MINOR
    found = [(each["name"], each["version"], each.get("marker")) for each in lock["packages"]]
    assert found == [("alpha", "1.2", None), ("beta", "2.0", None), ("gamma", "3.0", "sys_platform == 'win32'")]
    assert all(each["hashes"][0].startswith("sha256:") for each in lock["packages"])
    assert "file:" not in str(lock)


def test_a_lock_stays_until_it_is_upgraded(make_wheel):
    """An entry that is there is given back as it is."""
    current = Frozen(python="3.2", packages=())
    assert resolve("scikit-learn", False, current) is current


def test_unmet_requirements(make_wheel):
    """A package that no index has is said, with the words of the resolver."""
    make_wheel("alpha", "1.0", ["missing>=2"])
    with pytest.raises(ExecutionError, match="missing") as error:
        resolve_requirements(["alpha"], "tests")
    assert error.value.diagnostics[0].code == "SF463"
    with pytest.raises(ExecutionError, match="`fortran` is no engine"):
        resolve("fortran", False, None)


def test_an_index_that_cannot_be_reached(monkeypatch, wheels):
    """No network is said as such."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(ExecutionError) as error:
        resolve_requirements(["alpha"], "tests")
    assert error.value.diagnostics[0].code == "SF464"


def test_reading_what_the_resolver_wrote():
    """Markers lose the part that holds for every package; everything else is kept."""
    limit = "python_full_version < '3.12'"
    text = (
        "a==1 ; python_full_version < '3.12' \\\n    --hash=sha256:2 \\\n    --hash=sha256:1\n"
        "b==2+cpu ; python_full_version < '3.12' and sys_platform == 'linux' \\\n    --hash=sha256:3\n"
        "# a comment\n"
    )
    assert list(packages_of(text, limit)) == [
        {"name": "a", "version": "1", "hashes": ("sha256:1", "sha256:2")},
        {"name": "b", "version": "2+cpu", "marker": "sys_platform == 'linux'", "hashes": ("sha256:3",)},
    ]


def test_a_lock_becomes_requirements():
    """The installer gets exact versions, markers and every hash."""
    packages = [{"name": "a", "version": "1", "marker": "os_name == 'nt'", "hashes": ["sha256:1", "sha256:2"]}]
    assert requirements_text(packages) == "a==1 ; os_name == 'nt' \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n"


# ---- making ----


def test_a_toolchain_has_what_was_locked(tmp_path, make_wheel, context):
    """The interpreter imports the locked packages, nothing of specforge's environment, and the second time is free."""
    make_wheel("alpha", "1.0", ["beta"])
    make_wheel("beta", "2.0")
    lock = resolve_requirements(["alpha"], "tests")
    python = ensure_toolchain(tmp_path, lock, context)
    assert python == toolchain_python(tmp_path, lock)
    assert says(python, "import alpha, beta; print(alpha.VERSION, beta.VERSION)") == "1.0 2.0"
    assert says(python, "import importlib.util as u; print(u.find_spec('pydantic'))") == "None"
    assert context.emit.texts("state") == [f"making the toolchain: Python {MINOR}, 2 packages"]
    made = python.stat().st_ctime_ns
    assert ensure_toolchain(tmp_path, lock, context) == python
    assert python.stat().st_ctime_ns == made
    assert len(context.emit.events) == 1


def test_a_file_that_was_not_locked_is_refused(tmp_path, make_wheel, context):
    """A package whose content is not what was locked makes no toolchain."""
    make_wheel("alpha", "1.0")
    lock = resolve_requirements(["alpha"], "tests")
    lock = lock.with_(packages=[{**lock["packages"][0], "hashes": ["sha256:" + "0" * 64]}])
    with pytest.raises(ExecutionError) as error:
        ensure_toolchain(tmp_path, lock, context)
    assert error.value.diagnostics[0].code == "SF460"
    assert "spec lock --upgrade" in error.value.diagnostics[0].hint
    assert not error.value.ended
    assert not toolchain_folder(tmp_path, lock).exists()


def test_two_at_once_make_it_once(tmp_path, wheels, context):
    """The second one waits, says so, and finds it ready."""
    contexts = [replace(context, emit=Recorder()) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda each: ensure_toolchain(tmp_path, EMPTY_LOCK, each), contexts))
    assert len(set(found)) == 1
    texts = [text for each in contexts for text in each.emit.texts("state")]
    assert sum(text.startswith("making the toolchain") for text in texts) == 1


def test_one_that_was_interrupted_is_made_anew(tmp_path, wheels, context):
    """A half-made toolchain, left by a kill, is thrown away."""
    folder = toolchain_folder(tmp_path, EMPTY_LOCK)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half")
    (folder / "litter").touch()
    python = ensure_toolchain(tmp_path, EMPTY_LOCK, context)
    assert says(python, "print(1)") == "1"
    assert not (folder / "litter").exists()


def test_a_stop_while_waiting_or_making(tmp_path, wheels, context):
    """A performer that is asked to stop leaves no half-made toolchain."""
    context.cancel.cancel()
    with pytest.raises(Cancelled):
        ensure_toolchain(tmp_path, EMPTY_LOCK, context)
    assert not toolchain_folder(tmp_path, EMPTY_LOCK).exists()


def test_another_python_version(tmp_path, context):
    """A lock for a Python that this machine does not have is said, with what to do."""
    with pytest.raises(ExecutionError, match=r"the lock is for Python 3\.4") as error:
        ensure_toolchain(tmp_path, Frozen(python="3.4", packages=()), context)
    assert error.value.diagnostics[0].code == "SF461"


def test_a_cache_that_cannot_be_written(tmp_path, context):
    """A file where the cache should be is said in words."""
    (tmp_path / "toolchains").touch()
    with pytest.raises(ExecutionError, match="cannot be made"):
        ensure_toolchain(tmp_path, EMPTY_LOCK, context)


def test_no_room(tmp_path, make_wheel):
    """Where files may not grow, the error says that there is no room."""
    make_wheel("alpha", "1.0", body="# " + "x" * 400_000 + "\n")
    script = f"""
import os, resource, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from specforge.core.address import Address
from specforge.core.errors import ExecutionError
from specforge.core.values import Key
from specforge.engine.locking import resolve_requirements
from specforge.executors.base import StepContext
from specforge.executors.toolchains import ensure_toolchain
lock = resolve_requirements(["alpha"], "tests")
os.environ["UV_CACHE_DIR"] = sys.argv[1] + "/fresh"
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    ensure_toolchain(Path(sys.argv[1]), lock, StepContext(Key("l", Address("a", "b"), "i", 1, "s")))
except ExecutionError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "SF462 No room for the toolchain" in done.stdout, done.stderr


def test_the_folder_depends_on_the_lock(tmp_path):
    """Every lock has a folder of its own, the same for the same content in any order of keys."""
    one = {"python": "3.11", "packages": [{"name": "a", "version": "1", "hashes": []}]}
    same = {"packages": [{"hashes": [], "version": "1", "name": "a"}], "python": "3.11"}
    other = {"python": "3.11", "packages": [{"name": "a", "version": "2", "hashes": []}]}
    assert toolchain_folder(tmp_path, one) == toolchain_folder(tmp_path, same)
    assert toolchain_folder(tmp_path, one) != toolchain_folder(tmp_path, other)
    assert not toolchains.is_ready(tmp_path, one)


@pytest.mark.live
def test_a_real_package_from_a_real_index(tmp_path, context):
    """A small package is locked and installed from the index that pip is configured with."""
    try:
        lock = resolve_requirements(["six"], "tests")
    except ExecutionError as error:
        if error.diagnostics[0].code == "SF464":
            pytest.skip(f"no package index: {error}")
        raise
    python = ensure_toolchain(tmp_path, lock, context)
    assert says(python, "import six; print(six.__version__)") == lock["packages"][0]["version"]


@pytest.mark.live
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_engine_can_be_locked(engine):
    """The requirements of each engine have a solution on the index that pip is configured with."""
    try:
        lock = resolve(engine, False, None)
    except ExecutionError as error:
        if error.diagnostics[0].code == "SF464":
            pytest.skip(f"no package index: {error}")
        raise
    locked = {each["name"] for each in lock["packages"]}
    assert locked >= {each.partition("==")[0] for each in ENGINES[engine]}
