"""What must be true after everything that can go wrong."""

from __future__ import annotations

import subprocess
import sys

from workshop import Workshop


def alive(marker: str) -> list[str]:
    """Return the command lines of the processes that have this text in them."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if marker in line]


def published_data_are_whole(shop: Workshop) -> bool:
    """Hash every current version where it lies, as the executor does."""
    script = """if True:
        import sys
        from pathlib import Path
        from specforge.cli.session import Session, Where
        from specforge.core.queries import LookAtArtifact
        session = Session(Where(Path(sys.argv[1])))
        looks = []
        for each in session.state().resources.values():
            if (version := each.current_version) is not None:
                looks.append(LookAtArtifact(each.place, version.identity, version.build, "hashed"))
        seen = session.executors.of(looks[0].store).observe(looks[0].store, looks, None)
        print(*(each.presence.value for each in seen.values()))
        """
    done = subprocess.run(
        [sys.executable, "-c", script, str(shop.root)], capture_output=True, text=True, env=shop.environment
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) == {"present"}
