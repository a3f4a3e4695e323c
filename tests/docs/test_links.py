"""What the documents name exists: linked pages and headings, files, commands and their options, error codes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from docs_pages import ROOT, Document, documents

DOCUMENTS = documents()
OUR_FOLDERS = ("specforge/", "specs/", "docs/", "tests/", "benchmarks/", ".ci/")
# Options in the documents that are not ours: of pip and pytest, and those that a boot file gets.
FOREIGN = re.compile(r"--(NAME\S*|name|\w+_url\S*|seed\S*|C\S*|hypothesis\S*|no-deps|require-hashes)")


@pytest.fixture(name="document", params=DOCUMENTS, ids=[each.name for each in DOCUMENTS])
def _document(request: pytest.FixtureRequest) -> Document:
    return request.param


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings get."""
    headings = re.findall(r"^#+ +(.+?) *$", Document("", text).prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_relative_links_lead_somewhere(document):
    """Every relative link of a page leads to a file that exists, and to a heading that is there."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        page = (document.path.parent / path) if path else document.path
        if not page.exists() or (anchor and anchor not in anchors(page.read_text(encoding="utf-8"))):
            broken.append(target)
    assert not broken


def test_files_that_are_named_exist(document):
    """Every path of this repository in `backticks` exists; a path below specs/ may be one of a worked project."""
    missing = []
    for span in document.code_spans:
        path = span.partition(":")[0]
        if not path.startswith(OUR_FOLDERS) or re.search(r"[\s*…<>{}]|[A-Z]{3,}", path):
            continue
        if not any((root / path).exists() for root in (ROOT, *ROOT.glob("specs/*"))) and path not in scaffold():
            missing.append(path)
    assert not missing


@cache
def scaffold() -> frozenset[str]:
    """Return the files that `spec init` writes, which the tutorial names."""
    from specforge.cli.scaffold import files

    return frozenset(files("project"))


@cache
def command_line() -> dict[str, frozenset[str]]:
    """Return {command: its options}; the options of `spec` itself are under the empty text."""
    import typer

    from specforge.cli.app import app

    found: dict[str, frozenset[str]] = {}

    def visit(command: Any, words: tuple[str, ...]) -> None:
        options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        found[" ".join(words)] = frozenset({*options, "--help", "-h"})
        for name, each in getattr(command, "commands", {}).items():
            visit(each, (*words, name))

    visit(typer.main.get_command(app), ())
    return found


def problem_of(line: str) -> str | None:
    """Return what is wrong with a `spec …` command line: an unknown command, or an option that it does not have."""
    words = line.partition(" # ")[0].split()
    words = words[words.index("spec") + 1 :]
    stops = [at for at, word in enumerate(words) if word in ("|", ">", "&&", ";", "&", "||", "2>&1")]
    words = words[: stops[0]] if stops else words
    known, command = command_line(), ""
    while words and f"{command} {words[0]}".strip() in known:
        command = f"{command} {words.pop(0)}".strip()
    if words and re.fullmatch(r"[a-z]+", words[0]) and (not command or command == "state"):
        return f"`{line}`: there is no command `{words[0]}`"
    for word in words:
        if re.match(r"--?[a-z]", word, re.IGNORECASE) and word.partition("=")[0] not in known[command]:
            return f"`{line}`: `spec {command}` has no option `{word}`"
    return None


def test_commands_that_are_named_exist(document):
    """Every `spec COMMAND --option` in text or console blocks is one that the command line has."""
    lines = [each for each in document.code_spans if re.match(r"spec [a-z-]", each)]
    lines += [each for each in document.commands if re.search(r"(^|/| )spec ", each)]
    lines = [re.sub(r"^.*?(\S*/)?spec ", "spec ", each, count=1) for each in lines]
    assert [found for each in lines if (found := problem_of(each)) is not None] == []


def test_commands_that_messages_name_exist():
    """A hint never names a command or an option that the command line does not have."""
    found = []
    for each in sorted((ROOT / "specforge").rglob("*.py")):
        lines = re.findall(r"`(spec [a-z][^`]*)`", each.read_text(encoding="utf-8"))
        found += [f"{each.relative_to(ROOT)}: {problem}" for line in lines if (problem := problem_of(line)) is not None]
    assert found == []


def test_options_that_are_named_exist(document):
    """Every option that stands alone in `backticks` belongs to some command."""
    known = frozenset().union(*command_line().values())
    spans = [each.split()[0].partition("=")[0] for each in document.code_spans if re.match(r"--\w", each)]
    assert [each for each in spans if each not in known and not FOREIGN.fullmatch(each)] == []


@cache
def codes() -> frozenset[str]:
    """Return every error code that the package can give."""
    texts = (each.read_text(encoding="utf-8") for each in (ROOT / "specforge").rglob("*.py"))
    return frozenset(code for text in texts for code in re.findall(r"\bSF\d{3}\b", text))


def test_codes_that_are_named_exist(document):
    """Every error code that a page names is one that the package can give."""
    assert [each for each in re.findall(r"\bSF\d{3}\b", document.text) if each not in codes()] == []


def test_every_page_can_be_found():
    """Every page below docs/ is linked from another page."""
    linked = set()
    for each in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", each.prose):
            page = (each.path.parent / unquote(target)).resolve()
            if page != each.path:
                linked |= {page, *(page.glob("*.md") if page.is_dir() else ())}
    pages = {each.path for each in DOCUMENTS if each.name.startswith("docs/")}
    assert sorted(str(each.relative_to(ROOT)) for each in pages - linked) == []
