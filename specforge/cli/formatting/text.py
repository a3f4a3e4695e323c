"""From the text of a file to its formatted text; what is not certain to mean the same is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from specforge.cli.formatting.layout import laid_out
from specforge.cli.formatting.order import OrderOf, ordered
from specforge.cli.formatting.tokens import comments_of
from specforge.core.diagnostics import Diagnostic
from specforge.core.errors import ConfigError
from specforge.core.source import Span
from specforge.loading.yaml_reader import Read, read

if TYPE_CHECKING:
    from specforge.schemas.kind import Kinds


def key_order(kinds: Kinds) -> OrderOf:
    """Return the order of keys: `kind`, `name`, `description`, then as the kind's spec class declares them."""

    @cache
    def order(kind: str) -> Sequence[str]:
        from specforge.loading.project_file import ProjectSpec

        found = kinds.by_document.get(kind)
        spec = ProjectSpec if kind == "Project" else found.spec if found is not None else None
        if spec is None:
            return ()
        declared = (info.alias or name for name, info in spec.model_fields.items())
        return tuple(dict.fromkeys(("kind", "name", "description", *declared)))

    return order


def formatted(text: str, file: str, order_of: OrderOf) -> str:
    """Return the text of a file as `spec fmt` writes it; raises ConfigError for YAML that the reader refuses.

    Line ends stay those of the first line. `file` is the file's name in messages.
    """
    if text.startswith(MARK):
        return MARK + formatted(text.removeprefix(MARK), file, order_of)
    end = "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    before = read(plain, file)
    if before.diagnostics:
        raise ConfigError(before.diagnostics)
    if not plain.endswith("\n") and _same(before, plain + "\n", file):
        plain += "\n"
    made = laid_out(ordered(plain, order_of))
    if made != plain and not (_same(before, made, file) and sorted(comments_of(plain)) == sorted(comments_of(made))):
        detail = f"`{file}` could not be laid out without a change of what it says; it is left alone"
        raise ConfigError(Diagnostic("SF157", "Not formatted", detail, hint=HINT, span=Span(file, 1, 1, 1, 1)))
    return made.replace("\n", end)


MARK = "\ufeff"
"""What editors of Windows write before a text in UTF-8."""
HINT = "this is a bug in specforge: please report it with the file"


def _same(before: Read, text: str, file: str) -> bool:
    """Return whether the text holds the same documents; `1`, `1.0`, `true` and `"1"` are four things."""
    after = read(text, file)
    return not after.diagnostics and _documents(before) == _documents(after)


def _documents(found: Read) -> str:
    return json.dumps([(each.index, each.data) for each in found.documents], sort_keys=True)
