"""Real server processes, and a client that speaks HTTP to their Unix sockets."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the server's packages are not installed")

from specforge.formats import config_json

ROOT = Path(__file__).parents[2]
BOUNDARY = "----of-a-form"
ESTIMATORS = '''\
"""Estimators that load at once; their module is found as any library is."""

import os
import sys
import time

import numpy as np


class Brightest:
    """Gives the number of the brightest of four pixels, with scores."""

    n_features_in_ = 4
    classes_ = np.arange(4)

    def predict(self, table):
        return np.asarray(table).argmax(axis=1)

    def predict_proba(self, table):
        table = np.asarray(table) + 1.0
        return table / table.sum(axis=1, keepdims=True)


class Sum:
    """Adds up two columns with names; no scores."""

    n_features_in_ = 2
    feature_names_in_ = np.array(["left", "right"])

    def predict(self, table):
        if np.asarray(table).dtype == object:
            raise ValueError("could not convert string to float")
        return np.asarray(table).sum(axis=1)


class Counting:
    """Gives the number of rows that it was asked for at once, and takes a moment for them."""

    n_features_in_ = 4

    def predict(self, table):
        time.sleep(0.2)
        return np.full(len(table), len(table))


class Moody:
    """Does what the first pixel says."""

    n_features_in_ = 4

    def predict(self, table):
        mood = int(table[0][0])
        if mood == 1:
            raise RuntimeError("the secret path is /etc/passwd")
        if mood == 2:
            sys.exit(3)
        if mood == 3:
            print("the model says hello")
        if mood == 4:
            print("at work")
            while not os.path.exists("free"):
                time.sleep(0.01)
        if mood == 5:
            self.eaten = np.ones(400_000_000 // 8)
            time.sleep(60)
        if mood == 6:
            os._exit(9)
        return np.zeros(len(table), dtype=int)
'''


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error(self):
        return self.json["error"]["message"]


class Served:
    """A server of the package in `folder`, on a Unix socket there."""

    def __init__(self, folder, options, program=("-m", "specforge.procedures", "serve")):
        self.folder = folder
        self.log_path = folder / "log.txt"
        command = [sys.executable, *program, f"--package={folder}", *options]
        if not any(each.startswith("--port") for each in options):
            command.append("--socket=s")
        path = os.pathsep.join(filter(None, [str(ROOT), str(folder / "library"), os.environ.get("PYTHONPATH")]))
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path}
            )

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        try:
            client.connect(str(self.folder / "s"))
        except OSError:
            client.close()
            raise
        return client

    def ask(self, method="GET", path="/health", body=None, **headers):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("server", timeout=60)
        connection.sock = self.connect()
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=names)
            return read(connection.getresponse())
        finally:
            connection.close()

    def form(self, *parts, path="/"):
        return self.ask("POST", path, form(*parts), content_type=f"multipart/form-data; boundary={BOUNDARY}")

    def picture(self, *values, name="p.png", key="images"):
        return self.form((key, name, png(*values)))

    def rows(self, *rows, **more):
        body = json.dumps({"data": {"req_data": list(rows)}, **more})
        return self.ask("POST", "/", body, content_type="application/json")

    def raw(self, data, *, shut=False):
        """Send bytes as they are; return all that comes back until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            if shut:
                client.shutdown(socket.SHUT_WR)
            got = b""
            while part := client.recv(65536):
                got += part
            return got

    def ready(self):
        """Wait until it is healthy."""
        self.until(lambda: (self.folder / "s").exists() and self.healthy())
        return self

    def healthy(self):
        try:
            return self.ask().status == 200
        except OSError:
            return False

    def until(self, fact, seconds=60):
        end = time.monotonic() + seconds
        while not fact():
            assert self.process.poll() is None or fact(), self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def read(response):
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read().decode())


def form(*parts):
    """A form of (key, file name or None, content)."""
    lines = b""
    for key, name, content in parts:
        file = f'; filename="{name}"' if name is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"{file}\r\n\r\n'
        lines += head.encode() + content + b"\r\n"
    return lines + f"--{BOUNDARY}--\r\n".encode()


def png(*values, size=None):
    import io

    from PIL import Image

    image = Image.new("L", size or (len(values), 1))
    image.putdata(values or [0] * (image.width * image.height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def package(folder, estimator="Brightest", mode="image_processing", service="", apis=None, files=()):
    """Write a package into `folder`: its config.json, its estimator, its customize_service.py."""
    import joblib

    (folder / "model").mkdir(parents=True)
    (folder / "library").mkdir()
    (folder / "library" / "estimators.py").write_text(ESTIMATORS, encoding="utf-8")
    config = config_json.ModelConfig("for_tests", "Scikit_Learn", apis or config_json.MODES[mode])
    (folder / "model" / "config.json").write_bytes(config_json.write(config))
    if service:
        (folder / "model" / "customize_service.py").write_text(service, encoding="utf-8")
    for name, text in files:
        (folder / "model" / name).write_text(text, encoding="utf-8")
    names = {"__name__": "estimators"}
    exec(compile(ESTIMATORS, "estimators.py", "exec"), names)
    made = names[estimator]
    sys.modules["estimators"] = type(sys)("estimators")
    sys.modules["estimators"].__dict__.update(names)
    try:
        joblib.dump(made(), folder / "model" / "m.joblib")
    finally:
        del sys.modules["estimators"]
    return folder


class Bench:
    """Makes packages and servers, and ends what is left of them."""

    form = staticmethod(form)
    png = staticmethod(png)
    boundary = BOUNDARY

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sf"))
        self.made = []

    def package(self, *arguments, **more):
        return package(self.folder / f"p{len(list(self.folder.iterdir()))}", *arguments, **more)

    def start(self, folder, *options, **more):
        self.made.append(Served(folder, options, **more))
        return self.made[-1]

    def serve(self, *options, **more):
        return self.start(self.package(**more), *options).ready()

    def end(self):
        for each in self.made:
            if each.process.poll() is None:
                each.process.kill()
            each.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def bench():
    """Servers of this test."""
    made = Bench()
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_bench():
    """Servers that the tests of a module share."""
    made = Bench()
    yield made
    made.end()
