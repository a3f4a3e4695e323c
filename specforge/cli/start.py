"""Where `spec` begins: an interrupt while the rest is still being imported ends quietly, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit."""
    try:
        from specforge.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
