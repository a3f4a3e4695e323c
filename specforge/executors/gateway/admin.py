"""Asking a running Envoy, over the Unix socket in its folder. A small client of our own: importing one takes longer."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote

from specforge.core.making import dataclass
from specforge.core.serving import Listen
from specforge.executors.gateway.config import ADMIN, PROBE

_PATIENCE = 2.0
_MANAGERS = ("listener_manager.lds", "cluster_manager.cds")
_VERSIONS = r"^(cluster_manager\.warming_clusters|(cluster_manager\.cds|listener_manager\.lds)\.version_text)$"
_ACTIVE = r"^cluster\.group-[0-9a-f]+\.upstream_rq_(active|pending_active)$"


class SilentError(Exception):
    """Envoy gives no answer, or one that is none; perhaps nobody is there."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address in use, or one that Envoy could not take: then `error` says why."""

    address: Listen
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """Which content of its files Envoy's main thread uses.

    `warming`: groups that it knows, but does not use yet, because their first health check goes on.
    """

    listeners: str | None
    clusters: str | None
    warming: int


class Admin:
    """The Envoy that runs in `folder`. Its methods raise SilentError when it gives no answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pid(self) -> int | None:
        """Return the process that listens on the admin socket; None: there is none."""
        try:
            with self._connect(ADMIN) as connection:
                size = struct.calcsize("3i")
                return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])
        except OSError:
            return None

    def versions(self) -> Versions:
        """Return the versions of listeners and groups."""
        text = self._get(f"/stats?filter={quote(_VERSIONS, safe='')}").decode()
        found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        listeners, clusters = (found.get(f"{name}.version_text", "").strip('"') or None for name in _MANAGERS)
        return Versions(listeners, clusters, int(found.get("cluster_manager.warming_clusters", 0)))

    def route_version(self) -> str | None:
        """Return the version of the routes that Envoy's worker uses for requests from now on; None: none yet."""
        status, body = self._ask(PROBE, "GET", "/")
        return body.decode() if status == 200 else None

    def listeners(self) -> list[Listener]:
        """Return the addresses that Envoy listens on, or failed to."""
        found = []
        for each in self._dump("dynamic_listeners"):
            for state in ("active_state", "error_state"):
                if state in each:
                    inside = each[state]
                    inside = inside.get("listener") or inside.get("failed_configuration", {})
                    where = inside.get("address", {}).get("socket_address")
                    error = each[state].get("details", "it was refused") if state == "error_state" else None
                    if where:
                        found.append(Listener(Listen(where["address"], where.get("port_value", 0)), error))
        return found

    def weights(self) -> dict[str, int]:
        """Return the shares of the groups that the routes give."""
        found: dict[str, int] = {}
        for table in self._dump("dynamic_route_configs"):
            for host in table["route_config"].get("virtual_hosts", ()):
                for route in host.get("routes", ()):
                    target = route.get("route", {})
                    if "cluster" in target:
                        found[target["cluster"]] = 100
                    for share in target.get("weighted_clusters", {}).get("clusters", ()):
                        found[share["name"]] = share.get("weight", 0)
        return found

    def health(self) -> dict[str, dict[str, bool]]:
        """Return for each group that can get requests whether its replicas, named by their sockets, are healthy."""
        answer = self._json("/clusters?format=json")
        found = {}
        for cluster in answer.get("cluster_statuses", ()):
            # A replica that failed a check, or was not checked yet, has a key more.
            found[cluster["name"]] = {
                _socket_of(host["address"]): host.get("health_status") == {"eds_health_status": "HEALTHY"}
                for host in cluster.get("host_statuses", ())
            }
        return found

    def in_flight(self) -> dict[str, int]:
        """Return the number of requests that groups have now, by the groups' names in statistics."""
        answer = self._json(f"/stats?format=json&filter={quote(_ACTIVE, safe='')}")
        found: dict[str, int] = {}
        for each in answer["stats"]:
            group = each["name"].split(".")[1]
            found[group] = found.get(group, 0) + each["value"]
        return found

    def requests(self) -> int:
        """Return the number of requests that users wait for now."""
        answer = self._json(f"/stats?format=json&filter={quote(r'^http.in.downstream_rq_active$', safe='')}")
        return sum(each["value"] for each in answer["stats"])

    def quit(self) -> None:
        """Ask Envoy to end at once."""
        self._ask(ADMIN, "POST", "/quitquitquit")

    # ---- talking ----

    def _dump(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json(f"/config_dump?resource={kind}").get("configs", [])
        return found

    def _json(self, path: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._get(path))
        except ValueError as error:
            raise SilentError(f"`{path}` is answered by what is no JSON") from error
        return answer

    def _get(self, path: str) -> bytes:
        status, body = self._ask(ADMIN, "GET", path)
        if status != 200:
            raise SilentError(f"`{path}` is answered with {status}")
        return body

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_PATIENCE)
        folder = -1
        try:
            # The name of a socket may have 107 bytes; the folder's may be longer.
            folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            connection.connect(f"/proc/self/fd/{folder}/{name}")
        except BaseException:
            connection.close()
            raise
        finally:
            if folder >= 0:
                os.close(folder)
        return connection

    def _ask(self, name: str, method: str, path: str) -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: 0\r\n\r\n"
        try:
            with self._connect(name) as connection:
                connection.sendall(head.encode())
                return _answer(connection)
        except TimeoutError as error:
            raise SilentError(f"no answer within {_PATIENCE:g} s") from error
        except OSError as error:
            raise SilentError((error.strerror or str(error)).lower()) from error
        except (ValueError, IndexError) as error:
            raise SilentError("the answer is none") from error


def _socket_of(address: dict[str, Any]) -> str:
    path = address.get("pipe", {}).get("path")
    return str(path or json.dumps(address))  # an address that is no Unix socket was put there by hand


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Return the status and the body. The end of the connection is not waited for: Envoy takes a second for it."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split(b" ", 2)[1])
        headers = {}
        while (line := file.readline()) != b"\r\n":
            name, _, value = (line or _cut_off()).partition(b":")
            headers[name.strip().lower()] = value.strip()
        if headers.get(b"transfer-encoding") != b"chunked":
            return status, _exactly(file, int(headers.get(b"content-length", b"0")))
        parts = []
        while size := int(file.readline(), 16):
            parts.append(_exactly(file, size))
            file.readline()
        return status, b"".join(parts)


def _exactly(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        _cut_off()
    return found


def _cut_off() -> NoReturn:
    raise ConnectionError("the answer is cut off")
