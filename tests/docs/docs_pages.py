"""The documents under test, and the small part of Markdown that the tests understand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)(```+)([^\n]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its first word (`console`), the words and settings (`file=PATH`) after it, its text."""

    language: str
    words: tuple[str, ...]
    settings: dict[str, str]
    text: str


@dataclass(frozen=True)
class Document:
    """One Markdown file. `prose` is its text without fenced blocks."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @property
    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            language, *words = match[3].split() or [""]
            settings = dict(word.split("=", 1) for word in words if "=" in word)
            found.append(Block(language, tuple(words), settings, match[4]))
        return found

    @property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @property
    def code_spans(self) -> list[str]:
        return [" ".join(each.split()) for each in re.findall(r"(?<!`)`([^`]+)`(?!`)", self.prose)]

    @property
    def commands(self) -> list[str]:
        """Every command line that the document shows: what follows `$ ` in a console block."""
        lines = [line for each in self.blocks if each.language == "console" for line in each.text.splitlines()]
        return [line.strip().removeprefix("$ ") for line in lines if line.strip().startswith("$ ")]


def documents() -> list[Document]:
    """Return every Markdown file of the repository that people read."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "specs").rglob("*.md")]
    return [Document(str(each.relative_to(ROOT)), each.read_text(encoding="utf-8")) for each in sorted(paths)]
