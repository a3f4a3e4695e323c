"""What a user reads, compared with a file: `UPDATE_GOLDEN=1` writes the files anew, to be read by eye."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from pathlib import Path

from workshop import Workshop

GOLDEN = Path(__file__).parent / "golden"

_PROGRESS = re.compile(r"(run of )?[a-z]+\.[\w-]+(:| \||  ).*")
_PASSING = (
    (re.compile(r" {2,}\d+(\.\d+)? (s|min \d\d s)$", re.MULTILINE), ""),
    (re.compile(r"\b(\d+ min )?\d+(\.\d+)? s\b"), "N s"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "TIME"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"(labels?), [\d.,]+ (B|kB|MB)\b"), r"\1, N B"),
    (re.compile(r"\bused \d+ MiB"), "used N MiB"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "LINEAGE"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "DIGEST"),
)
"""What differs from run to run, and what stands for it."""


def _unwrapped(text: str) -> str:
    """Put the cause of an error that has no place in a file on one line: paths of this machine are long and short."""
    lines: list[str] = []
    in_cause = False
    for line in text.splitlines():
        if in_cause and line.startswith("  ") and lines[-1].startswith("  "):
            lines[-1] += " " + line.strip()
        else:
            in_cause = line.startswith("error[") or (in_cause and line.startswith("  ") and line[2] not in "┌│")
            lines.append(line)
    return "\n".join(lines)


class Transcript:
    """Commands and what they said. Progress is left out: which of its lines are met is a matter of timing."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._parts: list[str] = []

    def run(self, *words: str, code: int, title: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command, check its exit code, and keep what it said under the title."""
        done = self._shop.spec(*words, code=code)
        self.add(title or f"spec {' '.join(words)}", done.stdout, done.stderr, code)
        return done

    def add(self, title: str, stdout: str, stderr: str, code: int) -> None:
        """Keep what a command said."""
        said = "\n".join(line for line in stderr.splitlines() if not _PROGRESS.fullmatch(line))
        streams = [each.strip("\n") for each in (stdout, said) if each.strip("\n")]
        self._parts.append("\n".join([f"==== {title}", *streams, f"(exit {code})"]))

    def check(self, name: str) -> None:
        """Compare everything with the golden file of this name."""
        text = _unwrapped("\n\n".join(self._parts)) + "\n"
        for path, word in ((self._shop.root, "PROJECT"), (self._shop.root.parent, "HOME")):
            text = text.replace(str(path), word)
        for pattern, word in _PASSING:
            text = pattern.sub(word, text)
        text = "".join(line.rstrip() + "\n" for line in text.splitlines())
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        before = file.read_text()
        difference = "\n".join(
            difflib.unified_diff(before.splitlines(), text.splitlines(), file.name, "now", lineterm="")
        )
        assert text == before, difference
