"""Whatever stands in a file, loading ends with a project or with diagnostics that can be shown."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from specforge.core.errors import ConfigError
from specforge.loading import load
from specforge.loading.plugins import installed_kinds
from specforge.render.diagnostics import diagnostics_json, render_diagnostics

QUICKSTART = Path(__file__).parent.parent.parent / "specs" / "quickstart"
KINDS = installed_kinds()
GOOD = "---\n".join(each.read_text("utf-8") for each in sorted(QUICKSTART.rglob("*.yaml")))
PIECES = [
    *(
        "[",
        "]",
        "{",
        "}",
        "- ",
        ": ",
        "\n",
        "\n  ",
        "\t",
        "'",
        '"',
        "|",
        ">",
        "#",
        "&a",
        "*a",
        "!",
        "%",
        "@",
        "`",
        "---\n",
    ),
    *("? ", "<<", "${", "}", "${var.pictures}", "$${", "${var.}", "\0", "\x07", "\x85", "\u2028", "\ufeff", "名", "🌷"),
    *("kind", "name", "null", "1e999", ".nan", "digits", "@", "\r\n", "\\", "\ud7ff", "=", "~", "0x", "...\n"),
]


@st.composite
def damaged(draw):
    """The documents of the quickstart, with pieces put in, taken out and doubled."""
    text = GOOD
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 40))
        piece = draw(st.sampled_from(PIECES)) * draw(st.sampled_from([1, 1, 2, 50]))
        text = text[:begin] + piece + text[begin + length :]
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=150, deadline=None)
@given(damaged() | st.binary(max_size=200), st.booleans())
def test_any_file_gives_a_project_or_diagnostics(content, as_project_file):
    """No other exception, and every diagnostic can be rendered, in a narrow terminal too."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "specs").mkdir()
        (root / "specforge.yaml").write_text("kind: Project\nname: demo\ndefaults: {store: s, pool: p}\n", "utf-8")
        (root / ("specforge.yaml" if as_project_file else "specs/a.yaml")).write_bytes(content)
        try:
            found = load(root, kinds=KINDS).warnings
        except ConfigError as error:
            found = error.diagnostics
    for width in (20, 100):
        text = render_diagnostics(found, width=width)
        assert (text.encode("utf-8") == b"") == (found == ())
    assert len(diagnostics_json(found)) == len(found)


def test_importing_loading_imports_no_yaml():
    """PyYAML is imported when a file is read: commands that read none start faster."""
    modules = "specforge.loading, specforge.loading.locate, specforge.loading.plugins"
    script = f"import {modules}, sys; print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
