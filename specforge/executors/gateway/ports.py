"""Whether a TCP address can be listened on, and who has it if not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from specforge.core.serving import Listen

_LISTENING = "0A"


def refusal(listen: Listen) -> OSError | None:
    """Return why nobody can begin to listen on this IP address now; None: it is free."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        # As Envoy does: connections of a listener that has just ended are no hindrance, another listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(listen.host != "::"))
        try:
            probe.bind((listen.host, listen.port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def collide(one: Listen, other: Listen) -> bool:
    """Return whether two different IP addresses cannot be listened on at the same time."""
    anywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
    return one.port == other.port and one.host != other.host and bool(anywhere & {one.host, other.host})


def holder(port: int) -> tuple[int, str] | None:
    """Return the process that listens on the port, its pid and its name; None: it cannot be found, or may not be."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{each}") in sockets for each in os.listdir(f"/proc/{pid}/fd")):
                return int(pid), Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue  # it ended, or belongs to somebody else
    return None


def answers(listen: Listen) -> bool:
    """Return whether a connection to the IP address is taken."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
    try:
        socket.create_connection((anywhere.get(listen.host, listen.host), listen.port), timeout=1).close()
    except OSError:
        return False
    return True


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                found.add(words[9])
    return found
