"""An interrupt that comes early."""

from __future__ import annotations

import subprocess
import sys

EARLY = """
import builtins, sys
real = builtins.__import__
def interrupted(name, *rest, **more):
    if name == "typer":
        raise KeyboardInterrupt
    return real(name, *rest, **more)
builtins.__import__ = interrupted
from specforge.cli.start import main
main()
"""


def test_an_interrupt_while_importing_ends_without_a_traceback():
    """Ctrl-C in the first moments: exit 130, and nothing printed."""
    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
