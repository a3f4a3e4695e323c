"""The whole of a change under load, with model servers: another version, fewer and more replicas, no request lost."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("uvicorn", reason="the server's packages are not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from gateway_bench import PATIENCE, Client, until

from specforge.core.steps import EnsureReplicas
from specforge.core.values import Frozen, Run
from specforge.formats import config_json

A, B = "service.digits-a", "service.digits-b"


def package(folder, label):
    """Make a model package that answers every picture of 2 × 2 pixels with this label; return its folder."""
    import joblib
    from sklearn.dummy import DummyClassifier

    (folder / "model").mkdir(parents=True)
    model = DummyClassifier(strategy="constant", constant=label).fit([[0] * 4, [1] * 4], [label, "other"])
    joblib.dump(model, folder / "model" / "model.joblib")
    config = config_json.ModelConfig("for_tests", "Scikit_Learn", config_json.MODES["image_processing"])
    (folder / "model" / "config.json").write_bytes(config_json.write(config))
    return folder


def picture():
    """Return a form with a picture, and its content type."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "PNG")
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="p.png"\r\n\r\n'
    return part + file.getvalue() + b"\r\n--b--\r\n", "content-type: multipart/form-data; boundary=b"


def test_a_change_of_version_under_load(service, tmp_path):
    """Of 2,000 requests from 4 clients none is lost while one version follows the other and replicas come and go."""
    # The server's packages are where this process has them.
    variables = Frozen(PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    runs = {
        group: Run(
            ("@python", "@procedures", "serve", f"--package={package(tmp_path / group, group)}", "--socket=@socket"),
            variables=variables,
        )
        for group in (A, B)
    }

    def ensure(group, count):
        run = runs[group] if count else None
        service.executor.perform(EnsureReplicas(service.place, group, run, count), service.context())

    body, kind = picture()
    answers, stop, lock = [], threading.Event(), threading.Lock()

    def client():
        mine = Client(service.listen)
        while not stop.is_set():
            status, _, text = mine.ask("/", method="POST", body=body, headers=[kind])
            with lock:
                answers.append((status, json.loads(text).get("predicted_label")))
        mine.close()

    def more(count=100):
        enough = len(answers) + count
        until(lambda: len(answers) > enough, "requests")

    try:
        ensure(A, 2)
        service.set({A: 100})
        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(client) for _ in range(4)]
            try:
                more()
                ensure(B, 1)
                service.set({A: 90, B: 10})
                more()
                service.set({B: 100})
                ensure(A, 0)
                assert {label for _, label in answers[-20:]} == {B}
                ensure(B, 2)
                service.set({B: 100})
                more()
                ensure(B, 1)
                service.set({B: 100})
                more()
                until(lambda: len(answers) > 2000, "2,000 requests")
            finally:
                stop.set()
            for each in clients:
                each.result(PATIENCE)
        assert [each for each in answers if each not in ((200, A), (200, B))] == []
    finally:
        service.set({}, drain=0.0)
        for group in (A, B):
            ensure(group, 0)
