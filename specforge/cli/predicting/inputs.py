"""What the user gives `spec predict`: pictures, folders of pictures, JSON; as bodies of requests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.making import dataclass
from specforge.formats.pictures import SUFFIXES

KEY = "images"
"""The field of the form that a picture is sent in."""
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One request to make: what it is called, and the file that it is made from (None: `content` is the JSON)."""

    name: str
    file: Path | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request and its content type."""

    content: bytes
    kind: str


def inputs_of(given: Sequence[str]) -> list[Input]:
    """Return the inputs in the order given, of folders all pictures in them, sorted.

    Raises ConfigError for what is not there or holds no picture, everything at once, before anything is asked.
    """
    found: list[Input] = []
    problems: list[Diagnostic] = []
    for each in given:
        path = Path(each)
        if each == STDIN:
            found.append(Input(STDIN, content=sys.stdin.buffer.read()))
        elif path.is_dir():
            pictures = sorted(_pictures(path))
            found += [Input(str(picture), picture) for picture in pictures]
            if not pictures:
                known = ", ".join(f"`{suffix}`" for suffix in SUFFIXES)
                hint = f"pictures end in {known}"
                problems.append(Diagnostic("SF164", "Nothing to ask", f"no picture is in `{each}`", hint=hint))
        elif path.exists():
            found.append(Input(each, path))
        else:
            problems.append(Diagnostic("SF164", "Nothing to ask", f"`{each}` is not there"))
    if problems:
        raise ConfigError(problems)
    return found


def _pictures(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(root, name)


def body_of(one: Input) -> Body:
    """Return what is sent: JSON as it is, anything else as a form with the file; raises OSError, ValueError."""
    if one.file is None or one.file.suffix.lower() == ".json":
        content = one.content if one.file is None else one.file.read_bytes()
        _check_json(content)
        return Body(content, "application/json")
    return _form(one.file.name, one.file.read_bytes())


def _check_json(content: bytes) -> None:
    try:
        json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("it is no JSON: it is not a text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg.lower()} in line {error.lineno}, column {error.colno}") from None


def _form(name: str, content: bytes) -> Body:
    from mimetypes import guess_type
    from uuid import uuid4

    boundary = uuid4().hex
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{KEY}"; filename="{quoted}"\r\n'
        f"Content-Type: {guess_type(name)[0] or 'application/octet-stream'}\r\n\r\n"
    )
    whole = head.encode(errors="surrogateescape") + content + f"\r\n--{boundary}--\r\n".encode()
    return Body(whole, f"multipart/form-data; boundary={boundary}")
