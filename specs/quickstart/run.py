"""The quickstart, from nothing to a model that answers: toolchain, pictures, `spec apply --yes`, and what came of it.

Everything but the pictures is done by `spec`; run it again and there is nothing left to do.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def toolchain():
    """Return the interpreter with the locked software; made once, kept in the user's cache."""
    from specforge.cli.session import cache_folder
    from specforge.core.address import Address
    from specforge.core.values import Key
    from specforge.executors.base import StepContext
    from specforge.executors.toolchains import ensure_toolchain
    from specforge.loading.lockfile import read_lock

    key = Key("quickstart", Address("quickstart", "pictures"), "", 1, "toolchain")
    context = StepContext(key, emit=lambda event: print(event.text, flush=True))
    return ensure_toolchain(cache_folder(), read_lock(HERE)["scikit-learn"], context)


def spec(*words, capture=False):
    """Run `spec` in this project; end with its exit code if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "specforge", *words],
        cwd=HERE,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout


def current(address):
    """Return what is recorded of the current version."""
    recorded = json.loads(spec("show", address, "--json", capture=True))["recorded"]
    return next(each for each in recorded["versions"] if each["version"] == recorded["current"])


def main():
    from specforge.core.errors import SpecforgeError

    folders = [HERE / "data" / name for name in ("digits", "held-out")]
    complete = HERE / "data" / "complete"  # once all were there, what the user adds and takes away is the user's
    if not complete.exists():
        try:
            python = toolchain()
        except SpecforgeError as error:
            sys.exit(f"error: {error}")
        subprocess.run([python, HERE / "make_pictures.py", *folders], check=True)
        complete.touch()
    spec("apply", "--yes")
    data, model = current("dataset.digits"), current("training.digits")
    print(f"dataset.digits {data['version']}")
    print(f"training.digits {model['version']}")
    print(f"accuracy {model['evidence']['figures']['accuracy']:.2f}")
    print(f"model.digits {current('model.digits')['version']}")
    recorded = json.loads(spec("show", "service.digits", "--json", capture=True))["recorded"]
    print(f"service.digits {recorded['outputs']['address']}")
    picture = min((HERE / "data" / "held-out" / "7").iterdir())
    spec("predict", "digits", picture.relative_to(HERE))


if __name__ == "__main__":
    main()
