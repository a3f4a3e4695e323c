"""Whatever is sent, as the OpenAPI document allows or against it: no answer says that the server failed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.parametrize(
    ("estimator", "mode"),
    [("Brightest", "image_processing"), ("Sum", "predictive_analysis")],
)
def test_schemathesis_finds_no_failure_of_the_server(bench, estimator, mode):
    """Generated requests get the statuses, types and bodies that the document has, none of them 5xx."""
    served = bench.start(bench.package(estimator=estimator, mode=mode), "--port=0")
    served.until(lambda: "ready: " in served.log)
    address = next(line for line in served.log.splitlines() if line.startswith("listening on ")).split()[2]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", f"--checks={CHECKS}"]
    command += ["--phases=examples,coverage,fuzzing", "--max-examples=15", "--seed=1", "--no-color"]
    done = subprocess.run(
        command, cwd=bench.folder, capture_output=True, text=True, check=False, timeout=200,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert served.process.poll() is None
