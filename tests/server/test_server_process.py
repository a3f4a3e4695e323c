"""How the process starts, stops and fails to start."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from specforge.executors.payload import procedures_zip


def test_stop_lets_requests_end(bench):
    """At SIGTERM what was accepted is answered, what comes then is refused, and the process ends with 0."""
    from concurrent.futures import ThreadPoolExecutor

    served = bench.serve(estimator="Moody")
    idle = http.client.HTTPConnection("server", timeout=60)
    idle.sock = served.connect()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(served.picture, 4, 0, 0, 0)
        served.until(lambda: "at work" in served.log)
        served.process.send_signal(signal.SIGTERM)
        served.until(lambda: served.ask().status == 503)
        idle.request("POST", "/", b"x", {"Content-Type": "multipart/form-data; boundary=x"})
        refused = idle.getresponse()
        assert (refused.status, refused.getheader("connection")) == (503, "close")
        assert b"the server is stopping" in refused.read()
        (served.folder / "free").touch()
        assert running.result().json == {"predicted_label": "0"}
    assert served.process.wait(60) == 0
    assert "stopping: 1 requests in flight" in served.log
    assert not (served.folder / "s").exists()


def test_stop_waits_only_so_long(bench):
    """A request that does not end is given up after the drain."""
    served = bench.serve("--drain=0.2", estimator="Moody")
    client = served.connect()
    png = bench.png(4, 0, 0, 0)
    body = bench.form(("images", "p.png", png))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={bench.boundary}\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    served.until(lambda: "at work" in served.log)
    assert served.stop() == 0
    assert "1 requests were not answered within 0.2 s" in served.log
    client.close()


def test_stop_at_once(bench):
    """An idle server ends with 0, at SIGINT too."""
    assert bench.serve().stop() == 0
    assert bench.serve().stop(signal.SIGINT) == 0


def test_the_socket_is_for_its_owner_and_replaces_a_dead_one(bench):
    """What a killed server left is replaced; one that is served is not taken away."""
    served = bench.serve()
    assert (served.folder / "s").stat().st_mode & 0o777 == 0o600
    second = bench.start(served.folder)
    assert second.process.wait(60) == 1
    assert "another process listens there" in second.log
    served.stop(signal.SIGKILL)
    assert (served.folder / "s").exists()
    assert bench.start(served.folder).ready().stop() == 0


def test_a_socket_that_cannot_be(bench):
    """A path that is too long, and one where a file is, are told."""
    folder = bench.package()
    (folder / "f").write_text("", encoding="utf-8")
    for option, said in (
        (f"--socket={'x' * 108}", "the socket's path is longer than 107 bytes"),
        ("--socket=no/such/folder", "cannot listen on `no/such/folder`"),
    ):
        command = [sys.executable, "-m", "specforge.procedures", "serve", f"--package={folder}", option]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert said in done.stderr


def test_ports(bench):
    """A port serves like a socket; one that is taken is an error that says so."""
    folder = bench.package()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = bench.start(folder, f"--port={taken.getsockname()[1]}")
        assert served.process.wait(60) == 1
        assert "of 127.0.0.1: it is taken" in served.log
    served = bench.start(bench.package(), "--port=0")
    served.until(lambda: "ready: " in served.log)
    address = next(line for line in served.log.splitlines() if line.startswith("listening on http://"))
    connection = http.client.HTTPConnection(address.rpartition("/")[2], timeout=60)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_port_that_needs_rights(bench):
    """A port below 1024 is an error that says so."""
    served = bench.start(bench.package(), "--port=81")
    assert served.process.wait(60) == 1
    assert "ports below 1024 need rights" in served.log


def broken_config(folder):
    (folder / "model" / "config.json").write_text("{}", encoding="utf-8")


def no_config(folder):
    (folder / "model" / "config.json").unlink()


def no_model(folder):
    (folder / "model" / "m.joblib").unlink()


def broken_model(folder):
    (folder / "model" / "m.joblib").write_bytes(b"no pickle")


def exiting(folder):
    (folder / "model" / "customize_service.py").write_text("raise SystemExit(4)", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (broken_config, "has no `model_algorithm`"),
        (no_config, "`model/config.json` of the package cannot be read"),
        (no_model, "a scikit-learn package has one `NAME.joblib` in its folder `model`; found: none"),
        (broken_model, "`m.joblib` cannot be loaded"),
        (exiting, "`customize_service.py` ended the process while it was loaded (exit 4)"),
    ],
)
def test_packages_that_cannot_be_served(bench, harm, said):
    """The process ends with 1 and the reason, and leaves no socket."""
    folder = bench.package()
    harm(folder)
    served = bench.start(folder)
    assert served.process.wait(60) == 1
    assert said in served.log.splitlines()[-1] or said in served.log
    assert not (folder / "s").exists()


PARENT = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "specforge.procedures", "serve", *sys.argv[1:]])
print("child", child.pid, flush=True)
child.wait()
"""


def test_it_ends_with_whoever_started_it(bench):
    """A server whose supervisor was killed stops by itself."""
    served = bench.start(bench.package(), program=("-c", PARENT)).ready()
    child = next(int(line.split()[1]) for line in served.log.splitlines() if line.startswith("child "))
    served.stop(signal.SIGKILL)
    end = time.monotonic() + 60
    while alive(child):
        assert time.monotonic() < end, served.log
        time.sleep(0.01)
    assert "stopping: " in served.log


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_from_the_zip(bench):
    """What travels to a place serves there as it does here, and writes nothing into the package."""
    archive = procedures_zip(bench.folder / "cache")
    assert "specforge/runtimes/server/process.py" in zipfile.ZipFile(archive).namelist()
    served = bench.start(bench.package(), program=(str(archive), "serve")).ready()
    assert served.picture(0, 0, 1, 0).json["predicted_label"] == "2"
    assert not list((served.folder / "model").rglob("__pycache__"))
