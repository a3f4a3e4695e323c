"""`python -m specforge.cli.reference DIR`."""

import sys

from specforge.cli.reference import main

sys.exit(main(sys.argv[1:]))
