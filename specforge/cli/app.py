"""The commands: what they are called and which options they have. Each body only calls; the work is in `commands`.

Nothing heavy is imported here, so that `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specforge.cli import boundary
from specforge.cli.options import (
    AnAddress,
    AService,
    AServiceName,
    AsJson,
    Directory,
    DriftForm,
    Environment,
    FailFast,
    FinishRunning,
    LockTimeout,
    MaybeAnAddress,
    Parallelism,
    Replace,
    Targets,
    Variables,
    Yes,
)
from specforge.cli.output import Output

if TYPE_CHECKING:
    from specforge.cli.session import Session

app = typer.Typer(
    name="spec",
    help="Terraform for machine learning: say in YAML what should exist; `spec plan` shows what differs, "
    "`spec apply` makes it so.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
state_app = typer.Typer(
    help="Look at what was recorded.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(state_app, name="state")


def main() -> None:
    """Run the command line and exit."""
    sys.exit(boundary.run(app, sys.argv[1:], "spec"))


def _session(project: Path | None, env: str | None = None, var: list[str] | None = None) -> Session:
    from specforge.cli.session import Session, Where

    return Session(Where(project, env, tuple(var or ())))


def _version(*, value: bool) -> None:
    if value:
        from specforge import __version__

        Output().text(f"specforge {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda value: _version(value=value), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Hold the options of `spec` itself."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; made if it is not there.")] = Path(),
    no_lock: Annotated[bool, typer.Option("--no-lock", help="Do not look up software for specforge.lock.")] = False,
) -> int:
    """Write a small commented project to start from."""
    from specforge.cli.commands import beginning

    return beginning.init(directory, Output(), lock=not no_lock)


@app.command()
def validate(project: Directory = None, env: Environment = None, var: Variables = None, json: AsJson = False) -> int:
    """Check the files; shows every mistake at once."""
    from specforge.cli.commands import declared

    return declared.validate(_session(project, env, var), Output(json))


@app.command()
def fmt(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATHS]...", help="Files and folders; default: the project's. `-`: a filter."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 and list what would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show the lines that change.")] = False,
    project: Directory = None,
    json: AsJson = False,
) -> int:
    """Lay the YAML files out one way; comments stay.

    Indentation, spaces, blank lines and the order of keys become the same everywhere; no value changes.
    """
    from specforge.cli.commands import formatting

    return formatting.fmt(_session(project), Output(json), paths or (), formatting.How(check, diff))


@app.command()
def schema() -> int:
    """Print the JSON Schema of the documents, for editors."""
    from specforge.cli.commands import declared

    return declared.schema(_session(None), Output(True))


@app.command()
def lock(
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Look for newer software; without it only missing entries are made.")
    ] = False,
    engine: Annotated[str | None, typer.Argument(metavar="ENGINE", help="Only this engine.")] = None,
    project: Directory = None,
    json: AsJson = False,
) -> int:
    """Pin the software that jobs run with, in specforge.lock."""
    from specforge.cli.commands import locking

    return locking.lock(_session(project), Output(json), engine, upgrade=upgrade)


@app.command()
def plan(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Save the plan to apply it later.")
    ] = None,
    target: Targets = None,
    replace: Replace = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 if there are changes, 0 if there are none.")
    ] = False,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Show what differs; writes no state.

    Two questions, answered apart: what the files ask for that is not recorded yet, and what is recorded but no longer
    there (drift).
    """
    from specforge.cli.commands import planning

    wishes = planning.Wishes(tuple(target or ()), tuple(replace or ()))
    session = _session(project, env, var)
    return planning.plan(session, Output(json), wishes, out, detailed_exitcode=detailed_exitcode)


@app.command()
def apply(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="PLANFILE", help="A plan saved by `spec plan -o`.")
    ] = None,
    yes: Yes = False,
    parallelism: Parallelism = 8,
    fail_fast: FailFast = False,
    lock_timeout: LockTimeout = 0.0,
    finish_running: FinishRunning = False,
    target: Targets = None,
    replace: Replace = None,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> int:
    """Make it so: show the plan, ask, do it."""
    from specforge.cli.commands import applying, planning

    wishes = planning.Wishes(tuple(target or ()), tuple(replace or ()))
    how = applying.How(yes, parallelism, fail_fast, finish_running, lock_timeout)
    return applying.apply(_session(project, env, var), Output(json), wishes, how, plan_file)


@app.command()
def destroy(
    yes: Yes = False,
    delete_artifacts: Annotated[
        bool, typer.Option("--delete-artifacts", help="Delete published data too, unless somebody else uses them.")
    ] = False,
    parallelism: Parallelism = 8,
    lock_timeout: LockTimeout = 0.0,
    target: Targets = None,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> int:
    """Take away what was made.

    Published artifacts stay in their stores unless `--delete-artifacts` is given.
    """
    from specforge.cli.commands import applying, planning

    wishes = planning.Wishes(tuple(target or ()), destroy=True, delete_artifacts=delete_artifacts)
    how = applying.How(yes, parallelism, lock_timeout=lock_timeout)
    return applying.apply(_session(project, env, var), Output(json), wishes, how, None)


@app.command()
def drift(
    form: Annotated[
        DriftForm, typer.Option("--format", help="How to print it; `github` gives annotations of GitHub Actions.")
    ] = DriftForm.TEXT,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it to a file.")] = None,
    listed: Annotated[
        bool, typer.Option("--listed", help="Only list published data, do not read them: quicker, finds less.")
    ] = False,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Tell how the world differs from the record.

    Compares with what was recorded only; the files may be broken. Exits 2 on drift, else 1 if something could not be
    reached, else 0.
    """
    from specforge.cli.commands import drifting

    chosen = "json" if json else form.value
    return drifting.drift(_session(project, env, var), Output(json), chosen, out, listed=listed)


@app.command()
def predict(
    service: AServiceName,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, folders of them, .json files; `-`: JSON from standard input."
        ),
    ],
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object per input.")] = False,
) -> int:
    """Ask a running service.

    Prints file, label and score of each picture, or what the service answers as it is. Exits 1 if any failed.
    """
    from specforge.cli.commands import predicting

    return predicting.predict(_session(project, env, var), Output(json), service, inputs)


@app.command()
def stop(
    address: AService,
    yes: Yes = False,
    lock_timeout: LockTimeout = 0.0,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Stop a service until it is started again.

    Its replicas end and its address is given up. While it is on hold this is no drift, and no apply starts it.
    """
    from specforge.cli.commands import applying, holding

    how = applying.How(yes, lock_timeout=lock_timeout)
    return holding.stop(_session(project, env, var), Output(json), address, how)


@app.command()
def start(
    address: AService,
    yes: Yes = False,
    lock_timeout: LockTimeout = 0.0,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> int:
    """Let a stopped service serve again.

    Takes the hold away and applies what the service needs; asks only if that is more than starting it.
    """
    from specforge.cli.commands import applying, holding

    how = applying.How(yes, lock_timeout=lock_timeout)
    return holding.start(_session(project, env, var), Output(json), address, how)


@app.command()
def show(
    address: AnAddress,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Show one resource, its versions and figures."""
    from specforge.cli.commands import looking

    return looking.show(_session(project, env, var), Output(json), address)


@app.command()
def graph(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Show what is made from what."""
    from specforge.cli.commands import declared

    return declared.graph(_session(project, env, var), Output(json), mermaid=mermaid)


@app.command()
def logs(
    address: AnAddress,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only newer lines: `5m`, `2h`, or an ISO time.")
    ] = None,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Print the log of a resource's latest job."""
    from specforge.cli.commands import logs as implementation

    return implementation.logs(_session(project, env, var), Output(json), address, since, follow=follow)


@app.command()
def doctor(project: Directory = None, env: Environment = None, var: Variables = None, json: AsJson = False) -> int:
    """Check what specforge needs.

    Python, uv, the state and its lock, every declared place, the locked software.
    """
    from specforge.cli.commands import doctor as implementation

    return implementation.doctor(_session(project, env, var), Output(json))


@state_app.command("list")
def state_list(project: Directory = None, env: Environment = None, var: Variables = None, json: AsJson = False) -> int:
    """List what is recorded."""
    from specforge.cli.commands import looking

    return looking.state_list(_session(project, env, var), Output(json))


@state_app.command("show")
def state_show(
    address: AnAddress,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Show everything that is recorded of one resource."""
    from specforge.cli.commands import looking

    return looking.state_show(_session(project, env, var), Output(json), address)


@state_app.command("history")
def state_history(
    address: MaybeAnAddress = None,
    project: Directory = None,
    env: Environment = None,
    var: Variables = None,
    json: AsJson = False,
) -> int:
    """Show what happened, oldest first."""
    from specforge.cli.commands import looking

    return looking.state_history(_session(project, env, var), Output(json), address)
