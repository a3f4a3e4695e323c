"""What a caller gets who does something wrong: an answer that says what, and the server stays up."""

from __future__ import annotations

import socket

import pytest

MIB = 1024 * 1024
FORM = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def pictures(shared_bench):
    return shared_bench.serve(f"--body={MIB}", "--patience=2")


@pytest.fixture(scope="module")
def table(shared_bench):
    return shared_bench.serve(estimator="Sum", mode="predictive_analysis")


@pytest.fixture(autouse=True)
def _still_up(pictures, table):
    yield
    assert pictures.ask().status == 200
    assert table.ask().status == 200


def test_unknown_path(pictures):
    """404, which says where the model is."""
    answer = pictures.form(path="/v1/predict")
    assert answer.status == 404
    assert answer.json["error"]["code"] == "not_found"
    assert answer.error == "there is nothing at `/v1/predict`; the model is at `POST /`"


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", "/", "POST"), ("POST", "/health", "GET, HEAD")])
def test_wrong_method(pictures, method, path, allowed):
    """405, with the methods that are allowed."""
    answer = pictures.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_wrong_content_type(pictures, table):
    """415, which says what was sent and what is taken."""
    answer = pictures.ask("POST", "/", b"x", content_type="text/plain; charset=utf-8")
    assert answer.status == 415
    assert answer.error == "the content type is `text/plain`; this model takes `multipart/form-data`"
    assert table.ask("POST", "/", b"{}").error == "the content type is nothing; this model takes `application/json`"


@pytest.mark.parametrize("cut", [0, 10, 60, -4])
def test_broken_form(shared_bench, pictures, cut):
    """A form that ends too early is 400."""
    body = shared_bench.form(("images", "a.png", shared_bench.png(1, 2, 3, 4)))[:cut]
    answer = pictures.ask("POST", "/", body, content_type=f"multipart/form-data; boundary={shared_bench.boundary}")
    assert answer.status == 400
    assert "form" in answer.error


def test_form_without_boundary(pictures):
    """400, which names the boundary."""
    answer = pictures.ask("POST", "/", b"x", content_type="multipart/form-data")
    assert (answer.status, "boundary" in answer.error) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b'{"data": NaN}', b"\xff", b'"\\ud800"', b"[" * 100_000])
def test_broken_json(table, body):
    """400."""
    answer = table.ask("POST", "/", body, content_type="application/json")
    assert answer.status == 400
    assert answer.error.startswith("the body is no JSON")


def test_wrong_key(pictures):
    """422, with the key that is missing and those that were sent."""
    answer = pictures.picture(1, 2, 3, 4, key="picture")
    assert (answer.status, answer.error) == (422, "`images` is missing; the form has `picture`")


def test_a_key_too_many(shared_bench, pictures):
    """422, with the key and those that are taken."""
    png = shared_bench.png(1, 2, 3, 4)
    answer = pictures.form(("images", "a.png", png), ("more", None, b"x"))
    assert (answer.status, answer.error) == (422, "`more` is not a key of this model; it takes `images`")


def test_a_field_in_place_of_a_file(pictures):
    """422, which says what makes it a file."""
    answer = pictures.form(("images", None, b"text"))
    assert (answer.status, answer.error) == (422, "`images` is no file: give its part a `filename`")


def test_no_picture(pictures):
    """422, with the file's name."""
    answer = pictures.form(("images", "notes.txt", b"no picture at all"))
    assert answer.status == 422
    assert answer.error == "`notes.txt` cannot be read as a picture: its format is not known"
    assert "/" not in answer.error.replace("`notes.txt`", "")


def test_picture_of_another_size(pictures):
    """422, with both sizes."""
    answer = pictures.picture(1, 2)
    assert (answer.status, answer.error) == (422, "`p.png` has 2 values, `m.joblib` wants 4")


def test_a_bad_picture_spoils_no_other(shared_bench, pictures):
    """Requests that are answered together fail alone."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda at: pictures.picture(*([9] * (4 - at % 2))).status, range(16)))
    assert answers == [200, 422] * 8


def test_rows_that_do_not_fit(table):
    """422, with the row and the column."""
    cases = {
        "`data.req_data` is empty; send at least one row": [],
        "`data.req_data[1].right` is missing; a row has the columns left, right": [
            {"left": 1, "right": 1},
            {"left": 1},
        ],
        "`data.req_data[0].left` has to be a number or a text, not null": [{"left": None, "right": 1}],
        "`data.req_data[0].left` has to be a number or a text, not an array": [{"left": [], "right": 1}],
        "`data.req_data` holds a number that is too large": [{"left": "1e999", "right": 1}],
        "`m.joblib` cannot predict: could not convert string to float": [{"left": "x", "right": 1}],
    }
    for said, rows in cases.items():
        answer = table.rows(*rows)
        assert (answer.status, answer.error) == (422, said)


def test_json_that_does_not_fit_the_schema(table):
    """422, with the field."""
    cases = {
        b"[]": "`body` must be object",
        b"{}": "`body` must contain ['data'] properties",
        b'{"data": {"req_data": 1}}': "`body.data.req_data` must be array",
        b'{"data": {"req_data": [1]}}': "`body.data.req_data[0]` must be object",
        b'{"data": {"req_data": [{}]}, "meta": {"uuid": 1}}': "`body.meta.uuid` must be string",
    }
    for body, said in cases.items():
        answer = table.ask("POST", "/", body, content_type="application/json")
        assert (answer.status, answer.error) == (422, said)


def test_a_body_that_says_it_is_too_large(pictures):
    """413 before anything is read, and the caller that goes on sending still gets it."""
    answer = pictures.raw(FORM + b"Content-Length: %d\r\n\r\n" % (200 * MIB) + bytes(MIB), shut=True)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"at most 1,048,576 are taken" in answer


def test_a_body_of_200_megabytes(pictures):
    """A caller that sends all of it has its answer and does not fill the server's memory."""
    head = FORM + b"Transfer-Encoding: chunked\r\n\r\n"
    part = b"100000\r\n" + bytes(MIB) + b"\r\n"
    with pictures.connect() as client:
        client.sendall(head)
        try:
            for _ in range(200):
                client.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has hung up, which is what it should do
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_what_is_no_http(pictures):
    """400."""
    assert pictures.raw(b"\x16\x03\x01\x02\x00\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_an_endless_head(pictures):
    """431, before it fills the memory."""
    with pictures.connect() as client:
        client.sendall(b"GET /health HTTP/1.1\r\n")
        got = b""
        try:
            for number in range(2000):
                client.sendall(b"X-%d: %s\r\n" % (number, b"y" * 100))
            got = client.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            got = client.recv(65536)
    assert got.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", b"POST / HTT"])
def test_a_head_that_does_not_come(pictures, sent):
    """408 after a while."""
    assert pictures.raw(sent).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_come(pictures):
    """408 after a while."""
    head = FORM + b"Content-Length: 100\r\n\r\n"
    answer = pictures.raw(head + b"12345")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the request's body did not come in time" in answer


def test_a_caller_that_leaves(pictures):
    """One that hangs up in the middle of its body is noted and forgotten."""
    with pictures.connect() as client:
        client.sendall(FORM + b"X-Request-Id: left\r\nContent-Length: 100\r\n\r\n")
        client.shutdown(socket.SHUT_RDWR)
    pictures.until(lambda: '"uuid":"left"' in pictures.log)
    assert '"status":499' in next(each for each in pictures.log.splitlines() if '"left"' in each)


def test_a_thousand_slow_callers(pictures):
    """While a thousand connections send nothing, a byte, or half a body, others are answered."""
    half = FORM + b"Content-Length: 9\r\n\r\n1"
    slow = []
    try:
        for number in range(1000):
            client = pictures.connect()
            client.sendall((b"", b"G", half)[number % 3])
            slow.append(client)
        for _ in range(20):
            assert pictures.picture(0, 0, 0, 1).json["predicted_label"] == "3"
    finally:
        for client in slow:
            client.close()
