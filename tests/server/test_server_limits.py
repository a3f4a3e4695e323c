"""A model that misbehaves, and more requests than it can take."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="module")
def moody(shared_bench):
    return shared_bench.serve(estimator="Moody")


def mood(served, number):
    return served.picture(number, 0, 0, 0)


def test_a_model_that_raises(moody):
    """500 without what it said; the log has all of it."""
    answer = mood(moody, 1)
    assert (answer.status, answer.json["error"]["code"]) == (500, "model_failed")
    assert answer.error == "the model failed with a RuntimeError; its log says more"
    assert "RuntimeError: the secret path is /etc/passwd" in moody.log
    assert "Traceback" in moody.log


def test_a_model_that_exits(moody):
    """500, and the server stays."""
    answer = mood(moody, 2)
    assert (answer.status, answer.error) == (500, "the model ended its work with an exit")
    assert moody.ask().status == 200


def test_a_model_that_prints(moody):
    """What it prints is in the log, not in the answer."""
    assert mood(moody, 3).json == {"predicted_label": "0"}
    assert "the model says hello\n" in moody.log


def test_a_model_that_hangs(bench):
    """504 for its caller, 503 for those who come, and all is well once it is through."""
    served = bench.serve("--time=0.3", estimator="Moody")
    answer = mood(served, 4)
    assert (answer.status, answer.error) == (504, "the model did not answer within 0.3 s")
    answer = mood(served, 0)
    assert (answer.status, answer.error) == (503, "the model is still at work on an earlier request")
    assert int(answer.headers["retry-after"]) >= 1
    assert served.ask().json == {"health": "false"}
    (served.folder / "free").touch()
    served.until(served.healthy)
    assert mood(served, 0).status == 200


def test_a_model_that_hangs_for_good(bench):
    """The process ends, so that it is started anew."""
    served = bench.serve("--time=0.2", "--grace=0.2", estimator="Moody")
    assert mood(served, 4).status == 504
    assert served.process.wait(60) == 75
    assert "the model has been at work for" in served.log


def test_a_model_that_eats_memory(bench):
    """The process ends with a line that says why."""
    served = bench.serve("--memory=350000000", estimator="Moody")
    with pytest.raises(OSError, match=r"."):
        mood(served, 5)
    assert served.process.wait(60) == 70
    assert "more than the 350,000,000 that it may; ending" in served.log


def test_a_model_that_kills_its_process(bench):
    """The connection breaks; there is nobody left to answer."""
    served = bench.serve(estimator="Moody")
    with pytest.raises(OSError, match=r"."):
        mood(served, 6)
    assert served.process.wait(60) == 9


def test_a_full_queue(bench):
    """429 with a time to come back for those that find no place; those that have one are answered."""
    served = bench.serve("--queue=2", "--time=30", estimator="Moody")
    with ThreadPoolExecutor(12) as threads:
        first = threads.submit(mood, served, 4)
        later = [threads.submit(mood, served, 4) for _ in range(10)]
        served.until(lambda: any(each.done() for each in later))
        served.until(lambda: sum(each.done() for each in [first, *later]) >= 7)
        (served.folder / "free").touch()
        answers = [each.result() for each in [first, *later]]
    refused = [each for each in answers if each.status == 429]
    assert sorted({each.status for each in answers}) == [200, 429]
    assert refused[0].error == "2 requests wait already"
    assert refused[0].headers["retry-after"] == "1"
    assert served.ask().status == 200


def test_more_bodies_than_fit(bench):
    """What arrives at the same time is bounded as a whole."""
    served = bench.serve("--body=100000")
    head = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
    )
    clients = []
    try:
        for _ in range(8):
            clients.append(served.connect())
            clients[-1].sendall(head + bytes(99_999))
        served.until(lambda: served.raw(head + bytes(99_999)).startswith(b"HTTP/1.1 503 "))
    finally:
        for each in clients:
            each.close()
    served.until(lambda: served.picture(1, 0, 0, 0).status == 200)
