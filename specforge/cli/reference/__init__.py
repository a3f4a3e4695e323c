"""Writes the generated reference: `python -m specforge.cli.reference DIR`; with `--check` compares instead.

A page per kind from its spec class, the commands from typer, the table of codes. Same sources, same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MARK = "<!-- made by `python -m specforge.cli.reference`; not edited by hand -->\n\n"


def main(arguments: list[str]) -> int:
    """Write or check the pages; returns an exit code."""
    check = "--check" in arguments
    folders = [each for each in arguments if each != "--check"]
    if len(folders) != 1:
        sys.stderr.write("usage: python -m specforge.cli.reference [--check] DIR\n")
        return 1
    folder, wanted = Path(folders[0]), pages()
    if check:
        return _compare(folder, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in wanted.items():
        (folder / name).write_text(content, encoding="utf-8")
    return 0


def _compare(folder: Path, wanted: Mapping[str, str]) -> int:
    wrong = []
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            wrong.append(name)
    wrong += sorted(path.name for path in folder.glob("*.md") if path.name not in wanted)
    for name in wrong:
        sys.stderr.write(f"{folder / name} is out of date\n")
    return 1 if wrong else 0


def pages() -> dict[str, str]:
    """Return {file name: content} of every generated page, kinds of other distributions left out."""
    import os

    os.environ["SPECFORGE_PLUGINS"] = "none"
    from specforge.cli.reference.kinds import kind_page, project_page
    from specforge.loading.plugins import installed_kinds

    kinds = installed_kinds()
    by_name = {kind.prefix: kind_page(kind) for _, kind in sorted(kinds.by_document.items())}
    made = {f"{prefix}.md": MARK + page for prefix, page in by_name.items()}
    made["project.md"] = MARK + project_page()
    made["cli.md"] = MARK + "\n".join(_commands())
    made["errors.md"] = MARK + "\n".join(_errors())
    made["README.md"] = MARK + _index(made)
    return made


def _index(made: Mapping[str, str]) -> str:
    lines = ["# Reference", ""]
    for name, content in sorted(made.items()):
        title = content.removeprefix(MARK).splitlines()[0].removeprefix("# ")
        lines.append(f"* [{title}]({name})")
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    import typer

    from specforge.cli.app import app

    yield "# Commands"
    yield ""
    yield "`spec` and `specforge` are the same command. Exit codes: 0 nothing to do, or done; 1 an error, usage errors"
    yield "too; 2 changes found (`spec plan --detailed-exitcode`) or drift (`spec drift`); 70 a bug of specforge; 130"
    yield "interrupted."
    yield ""
    yield from _help(typer.main.get_command(app), "spec", None)


def _help(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = command.context_class(
        command,
        info_name=name,
        parent=parent,
        terminal_width=96,
        max_content_width=96,
        help_option_names=["-h", "--help"],
    )
    yield f"## {context.command_path}"
    yield ""
    yield "```text"
    yield command.get_help(context).rstrip()
    yield "```"
    yield ""
    for child, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _help(inner, child, context)


def _errors() -> Iterator[str]:
    from specforge.core.codes import CODES

    areas = {"1": "Files and the command line", "2": "Planning", "3": "State", "4": "Execution", "5": "Plugins"}
    yield "# Codes of errors and warnings"
    for digit, area in areas.items():
        yield ""
        yield f"## SF{digit}xx {area}"
        yield ""
        yield "| code | title | what it means |"
        yield "|---|---|---|"
        for code, (title, explanation) in CODES.items():
            if code[2] == digit:
                yield f"| {code} | {_cell(title)} | {_cell(explanation)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
