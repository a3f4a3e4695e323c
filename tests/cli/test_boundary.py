"""Exit codes and streams: usage errors, bugs, closed pipes, start-up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from small_project import Spec

from specforge.cli import boundary
from specforge.cli.output import Output
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ExecutionError


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--nothing"),
        ("nothing",),
        ("apply", "--parallelism", "many"),
        ("apply", "--parallelism", "0"),
        ("show",),
    ],
)
def test_usage_errors_exit_1(spec: Spec, arguments: tuple[str, ...]) -> None:
    """A typo in an option is exit 1, not 2, which means that there are changes."""
    done = spec(*arguments)
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "--help` shows how it is used" in done.err


def test_help(spec: Spec) -> None:
    """Help is on standard output and exits 0; no command at all shows it on standard error and exits 1."""
    assert spec("--help").code == 0
    assert "Commands:" in spec("-h").out
    assert "--detailed-exitcode" in spec("plan", "--help").out
    nothing = spec()
    assert nothing.code == 1
    assert "Commands:" in nothing.err
    assert spec("state").code == 1


def test_version(spec: Spec) -> None:
    """The version is printed."""
    assert spec("--version").out.startswith("specforge ")


def app_that(raises: BaseException) -> typer.Typer:
    """Return an application with two commands, one of which raises."""
    app = typer.Typer()

    @app.command()
    def fail(json: bool = False) -> None:
        raise raises

    @app.command()
    def other() -> None: ...

    return app


def test_a_bug_is_reported_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything unexpected exits 70, says so shortly, and keeps the traceback in a file, without values of variables."""
    code = boundary.run(app_that(RuntimeError("boom")), ["fail"], "spec")
    err = capsys.readouterr().err
    assert code == 70
    assert "this is a bug in specforge (RuntimeError: boom)" in err
    assert "Traceback" not in err
    [report] = (Path(os.environ["SPECFORGE_CACHE"]) / "bugs").iterdir()
    assert "Traceback" in report.read_text(encoding="utf-8")


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C exits 130."""
    assert boundary.run(app_that(KeyboardInterrupt()), ["fail"], "spec") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_expected_errors_show_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """An expected error is shown as a diagnostic, with the end of the job's log if it has one."""
    error = ExecutionError(Diagnostic("SF440", "The job failed", "`train` exited with 3"), log="one\ntwo")
    assert boundary.run(app_that(error), ["fail"], "spec") == 1
    err = capsys.readouterr().err
    assert "error[SF440]: The job failed" in err
    assert "the end of its log:\n  one\n  two\n" in err


def test_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and FORCE_COLOR decide; a pipe has none."""
    monkeypatch.delenv("NO_COLOR")
    assert not Output().color
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert Output().color
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Output().color


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS sets the width; without a terminal it is fixed."""
    assert Output().width == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert Output().width == 72


def test_closed_pipe(project: Path) -> None:
    """A reader that leaves early is no traceback."""
    command = f"{sys.executable} -m specforge schema | head -c 10 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_the_real_command(process: Spec) -> None:
    """In a process of its own: text in UTF-8 even in the C locale, JSON without colour, exit codes as documented."""
    done = process("plan", "--detailed-exitcode", LC_ALL="C", FORCE_COLOR="", COLUMNS="60")
    assert done.code == 2
    assert done.err == ""
    assert "Plan: 3 to create." in done.out
    assert process("plan", "--json", NO_COLOR="", FORCE_COLOR="1").out.startswith("{")


def test_help_imports_nothing_heavy(process: Spec) -> None:
    """`--help` is answered without rich, pydantic, yaml or sqlite; planning without rich."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "specforge", "--help"], capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"rich", "pydantic", "yaml", "sqlite3", "specforge.loading", "specforge.planner.plan"}
    assert process("validate").code == 0
