"""Dependencies of a Model through the real command: refused while they are not locked, then locked and there."""

from __future__ import annotations

import pytest
from shopfront import INFERENCE, ask

from specforge.formats import config_json
from specforge.loading.lockfile import read_lock

MODEL = "training: digits, mode: image_processing, inference: inference"
ASKED = MODEL + ', dependencies: [{packages: [{package_name: six, package_version: "1.10", restraint: ATLEAST}]}]'
USES = INFERENCE.replace("import os,", "import six, os,").replace(
    "return self.label", "return six.ensure_text(self.label)"
)


def test_a_plan_refuses_what_is_not_locked(declared):
    """Once, at the line of the package, with what to do; nothing was begun."""
    declared.edit("specs/serve.yaml", MODEL, ASKED)
    failed = declared.spec("plan", code=1).stderr
    assert failed.count("error[") == 1
    assert "error[SF228]: Dependency not locked" in failed
    assert "specs/serve.yaml:1:" in failed
    assert "`specforge.lock` has no `six` for `scikit-learn-server`; needed is `six>=1.10`" in failed
    assert "hint: run `spec lock`" in failed
    assert not (declared.root / ".specforge").exists()


def test_without_its_entry_the_service_tells(declared):
    """A lock without the server's toolchain is one error, of the Service."""
    declared.edit("specs/serve.yaml", MODEL, ASKED)
    head, _, _ = (declared.root / "specforge.lock").read_text().partition('  "scikit-learn-server":')
    declared.write("specforge.lock", head)
    failed = declared.spec("plan", code=1).stderr
    assert failed.count("error[") == 1
    assert "error[SF217]" in failed


def test_a_replica_without_what_its_package_needs_is_not_started(served):
    """A plan does not know the package's own config.json; the apply shows what the replica says, the old one stays."""
    needed = config_json.Dependency((config_json.Package("no-such-package", "2.0", "ATLEAST"),))
    apis = config_json.MODES["image_processing"]
    config = config_json.ModelConfig("image_classification", "Scikit_Learn", apis, dependencies=(needed,))
    served.write("inference/config.json", config_json.write(config))
    failed = served.spec("apply", "--yes", code=1)
    said = " ".join((failed.stdout + failed.stderr).replace("│", " ").split())
    assert "the package needs `no-such-package>=2.0`, which is not in its toolchain" in said
    assert ask(served.port) == "10.0"


@pytest.mark.live
def test_a_service_uses_what_was_locked(declared):
    """`spec lock` adds the package and keeps the rest; the replicas import it; nothing is planned afterwards."""
    declared.edit("specs/serve.yaml", MODEL, ASKED)
    declared.write("inference/customize_service.py", USES)
    before = read_lock(declared.root)
    done = declared.spec("lock", code=None)
    if "SF464" in done.stderr:
        pytest.skip(f"no package index: {done.stderr}")
    assert done.returncode == 0, done.stderr
    after = read_lock(declared.root)
    assert after["scikit-learn"] == before["scikit-learn"]
    old, new = before["scikit-learn-server"]["packages"], after["scikit-learn-server"]["packages"]
    assert [each for each in new if each["name"] != "six"] == list(old)
    declared.spec("apply", "--yes")
    assert ask(declared.port) == "10.0"
    assert declared.is_clean()
