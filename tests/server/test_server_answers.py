"""What a caller gets who does everything right."""

from __future__ import annotations

import http.client
import json

import pytest


@pytest.fixture(scope="module")
def pictures(shared_bench):
    return shared_bench.serve("--name=stars")


@pytest.fixture(scope="module")
def table(shared_bench):
    return shared_bench.serve(estimator="Sum", mode="predictive_analysis")


def test_health(pictures):
    """A loaded model is healthy; the answer is the one that platforms look for."""
    answer = pictures.ask()
    assert (answer.status, answer.json) == (200, {"health": "true"})
    assert answer.headers["content-type"] == "application/json"


def test_one_picture(pictures):
    """One picture gives its label and its scores, best first."""
    answer = pictures.picture(0, 200, 0, 0)
    assert answer.status == 200
    assert answer.json["predicted_label"] == "1"
    assert [label for label, _ in answer.json["scores"]] == ["1", "0", "2", "3"]
    assert answer.json["scores"][0][1] == pytest.approx(201 / 204)


def test_several_pictures(shared_bench, pictures):
    """Several give a list with their file names, in order; equal names are told apart."""
    png = shared_bench.png
    answer = pictures.form(*(("images", "a.png", png(*row)) for row in ((9, 0, 0, 0), (0, 0, 0, 9))))
    said = [(each["file"], each["predicted_label"]) for each in answer.json["predictions"]]
    assert said == [("a.png", "0"), ("a (2).png", "3")]


def test_rows(table):
    """Each row comes back with its prediction, and the request's number with the answer."""
    answer = table.rows({"right": 2, "left": "1", "also": "x"}, {"left": 0.5, "right": True}, meta={"uuid": "u-1"})
    assert answer.json == {
        "meta": {"uuid": "u-1"},
        "data": {
            "resp_data": [
                {"right": 2, "left": "1", "also": "x", "predictresult": 3.0},
                {"left": 0.5, "right": True, "predictresult": 1.5},
            ]
        },
    }
    assert "meta" not in table.rows({"left": 1, "right": 1}).json


def test_many_on_one_connection(shared_bench, pictures):
    """A connection is kept, also behind a request that was refused."""
    connection = http.client.HTTPConnection("server", timeout=60)
    connection.sock = pictures.connect()
    for path, status in (("/health", 200), ("/nowhere", 404), ("/health", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_what_waits_is_answered_at_once(bench):
    """Requests that came while the model was at work are given to it together."""
    from concurrent.futures import ThreadPoolExecutor

    served = bench.serve(estimator="Counting")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: served.picture(1, 2, 3, 4).json["predicted_label"], range(8)))
    assert max(map(int, answers)) > 1
    assert sum(1 / int(each) for each in answers) == pytest.approx(round(sum(1 / int(each) for each in answers)))


def test_log(pictures):
    """Every request has a line in the log, with what is needed to find it again; health checks have none."""
    pictures.ask("POST", "/", b"{}", content_type="application/json", x_request_id="find-me")
    pictures.until(lambda: "find-me" in pictures.log)
    line = json.loads(next(each for each in pictures.log.splitlines() if "find-me" in each))
    assert {**line, "time": "", "ms": 0} == {
        "time": "",
        "method": "POST",
        "path": "/",
        "status": 415,
        "ms": 0,
        "received": 0,
        "bytes": line["bytes"],
        "uuid": "find-me",
    }
    assert "/health" not in pictures.log


def test_openapi_says_what_is_taken(pictures, table):
    """The document has the package's name, its forms as files, and its ways to fail."""
    document = pictures.ask(path="/openapi.json").json
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "stars")
    form = document["paths"]["/"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["images"] == {"type": "string", "format": "binary"}
    assert {"400", "413", "415", "422", "429", "503", "504"} <= set(document["paths"]["/"]["post"]["responses"])
    assert "application/json" in table.ask(path="/openapi.json").json["paths"]["/"]["post"]["requestBody"]["content"]


def test_head(pictures):
    """HEAD is GET without its body."""
    answer = pictures.ask("HEAD")
    assert (answer.status, answer.text) == (200, "")


def test_a_caller_that_asks_first(shared_bench, pictures):
    """Who waits for `100 Continue` gets it, before the body is sent and not with the answer."""
    body = shared_bench.form(("images", "p.png", shared_bench.png(0, 0, 9, 0)))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={shared_bench.boundary}\r\n"
    head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with pictures.connect() as client:
        client.sendall(head.encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        answer = b""
        while part := client.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"predicted_label":"2"' in answer
