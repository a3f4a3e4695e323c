"""A route's folder at a pool: the files that Envoy reads, what we wrote of them, and the fence around changing them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from specforge.executors.base import CancelToken
from specforge.executors.files import write_whole
from specforge.executors.gateway.config import BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, Upstream
from specforge.executors.local.pool import Pool
from specforge.executors.replicas.group import Group
from specforge.runtimes.job.folders import remove
from specforge.runtimes.job.slots import open_lock, try_lock

FILES = (BOOTSTRAP, CLUSTERS, ROUTES, LISTENERS)
"""What we write for Envoy, in the order of writing for one that does not run yet."""
RECORD = "written.json"
LOG = "envoy.log"

_LINKS = "up"
_LOOK_AGAIN = 0.02
_SOCKET = re.compile(r"(\d+)\.sock")


class RouteFolder:
    """The folder of one route; nothing in it is durable beyond what the next SetRoutes can write again."""

    def __init__(self, pool: Pool, route: str) -> None:
        if not route or route.startswith(".") or "/" in route or "\0" in route:
            raise ValueError(f"`{route}` is not the name of a route")
        self.route = route
        self.path = pool.folder / "routes" / route
        self._pool = pool

    @property
    def program(self) -> str:
        """The name under which Envoy is kept up."""
        return f"gateway-{self.route}"

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".{self.route}.lock")

    def leaves_traces(self) -> bool:
        """Return whether anything is left of the route, if only of an attempt to begin."""
        return self.path.exists() or self._lock.exists()

    @contextmanager
    def fence(self, cancel: CancelToken) -> Iterator[bool]:
        """Keep everybody else from changing the route; gives False, without the fence, when a stop was asked for."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = self._lock
        while (file := self._locked(name)) is None:
            if cancel.wait(_LOOK_AGAIN):
                yield False
                return
        try:
            yield True
        finally:
            # Still ours: whoever waits for this file finds another one in its place, or none, and opens it anew.
            if not self.path.exists():
                name.unlink(missing_ok=True)
            os.close(file)

    @staticmethod
    def _locked(name: Path) -> int | None:
        file = open_lock(str(name))
        if try_lock(file):
            try:
                if os.path.samestat(os.stat(name), os.fstat(file)):
                    return file
            except FileNotFoundError:
                pass  # removed by who held it before
        os.close(file)
        return None

    # ---- files ----

    def exists(self) -> bool:
        """Return whether anything is left of the route here."""
        return self.path.is_dir()

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None: it is not there."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Put the file into place at once; what we wrote is recorded before, so that a kill makes nobody an editor."""
        ours = self._record()
        digest = sha256(content).hexdigest()
        if digest not in ours.get(name, ()):
            kept = [each for each in ours.get(name, ()) if each == self._print(name)]
            self._write_record({**ours, name: [*kept, digest]})
        write_whole(self.path / name, content)

    def edited(self) -> tuple[str, ...]:
        """Return the names of the files that somebody else changed or removed."""
        if self.read(RECORD) is None:
            return (RECORD,)
        ours = self._record()
        if not ours:
            return (RECORD,)
        return tuple(name for name in sorted(ours) if self._print(name) not in ours[name])

    def settle(self, contents: Mapping[str, bytes], groups: Collection[str]) -> None:
        """Record that the files have just this content, and these groups links, whatever was written on the way."""
        wanted = {name: [sha256(content).hexdigest()] for name, content in contents.items()}
        for group in groups:
            link = f"{_LINKS}/{_link_name(group)}"
            wanted[link] = [str(self._print(link))]
        if self._record() != wanted:
            self._write_record(wanted)

    def _print(self, name: str) -> str | None:
        """Return what tells this content of a file, or target of a link, from any other; None: it is not there."""
        path = self.path / name
        try:
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None
        return sha256(content).hexdigest()

    def remove(self) -> None:
        """Take the folder away."""
        remove(str(self.path))

    def _record(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self.read(RECORD) or b"{}")
            return {str(name): [str(each) for each in digests] for name, digests in found.items()}
        except (ValueError, AttributeError, TypeError):
            return {}

    def _write_record(self, ours: Mapping[str, list[str]]) -> None:
        write_whole(self.path / RECORD, (json.dumps(ours, indent=1, sort_keys=True) + "\n").encode())

    # ---- groups ----

    def upstream(self, group: str, numbers: Collection[int] | None = None) -> Upstream:
        """Return the group with the sockets that its replicas have now, reached over a link with a short name.

        `numbers`: only those of these replicas.
        """
        folder = Group(self._pool, group).folder
        try:
            found = [int(match[1]) for each in os.listdir(folder) if (match := _SOCKET.fullmatch(each))]
        except FileNotFoundError:
            found = []
        inside = f"{_LINKS}/{_link_name(group)}"
        return Upstream(
            group, tuple(f"{inside}/{each}.sock" for each in sorted(found) if numbers is None or each in numbers)
        )

    def link(self, group: str) -> None:
        """Have the short link to the group's folder."""
        link = self.path / _LINKS / _link_name(group)
        # Relative, so that it holds when the project is moved.
        target = os.path.join("..", "..", "..", Group(self._pool, group).folder.relative_to(self._pool.folder))
        link.parent.mkdir(exist_ok=True)
        if not link.is_symlink() or os.readlink(link) != target:
            made = link.with_name(f".{link.name}.{os.getpid()}")
            made.unlink(missing_ok=True)
            made.symlink_to(target)
            made.replace(link)

    def keep_links(self, groups: Mapping[str, int]) -> None:
        """Remove the links to all other groups."""
        kept = {_link_name(each) for each in groups}
        for name in os.listdir(self.path / _LINKS):
            if name not in kept:
                (self.path / _LINKS / name).unlink(missing_ok=True)


def _link_name(group: str) -> str:
    return sha256(group.encode()).hexdigest()[:12]
