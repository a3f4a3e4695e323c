"""`python -m specforge.procedures NAME --OPTION=VALUE …`: run one procedure as a job."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from specforge.procedures import PROCEDURES, Failure, find


def main(argv: Sequence[str]) -> int:
    """Run the procedure; return its exit status: 0 done, 1 the user's data or code is wrong, 2 called wrongly.

    With `--failure=FILE` the reason of a failure, in one line, is also written there, for whoever started the job; a
    second line may begin with `hint: ` and say what to do.
    """
    if not argv or argv[0] not in PROCEDURES:
        print(f"usage: NAME --OPTION=VALUE …, with NAME one of: {', '.join(PROCEDURES)}", file=sys.stderr)
        return 2
    options = [each for each in argv[1:] if not each.startswith("--failure=")]
    told = [each.partition("=")[2] for each in argv[1:] if each.startswith("--failure=")]
    try:
        find(argv[0])(options)
    except Failure as failure:
        return _fail(failure, told)
    except OSError as error:
        # A full disk or a file that went away: the words of the system say it, a traceback adds nothing.
        return _fail(Failure(f"{error.strerror or error}: {error.filename}" if error.filename else str(error)), told)
    return 0


def _fail(failure: Failure, told: Sequence[str]) -> int:
    print(failure.text, file=sys.stderr)
    for path in told:
        try:
            told_hint = f"hint: {failure.hint}\n" if failure.hint else ""
            Path(path).write_text(f"{failure.line}\n{told_hint}", encoding="utf-8")
        except OSError as error:
            print(f"the reason could not be written: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
