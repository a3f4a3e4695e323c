"""What the tests of replicas do to real processes."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

PATIENCE = 30.0


def call(folder, number, path):
    """Send one request to a replica of the group in this folder; return status and body."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(f"/proc/self/fd/{descriptor}/{number}.sock")
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            while block := connection.recv(4096):
                data += block
    finally:
        os.close(descriptor)
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def supervisor_pid(pool):
    """Return the pid of the pool's supervisord."""
    return json.loads((Path(pool) / "supervisor" / "card.json").read_bytes())["pid"]


def left(folder):
    """Return the pids of living processes, but supervisord, that work in this folder or have their home there."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            where = os.readlink(f"/proc/{name}/cwd")
            variables = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
            words = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        ours = where.startswith(f"{folder}/") or any(each.startswith(f"HOME={folder}/".encode()) for each in variables)
        if ours and state != "Z" and b"supervisor" not in words:
            found.append(int(name))
    return found


def until(condition, what):
    """Wait until the condition holds and return what it gives."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return found
