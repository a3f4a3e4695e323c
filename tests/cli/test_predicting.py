"""Asking a service, against a small server that behaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_project import png

from specforge.cli.commands.predicting import _JsonLines, _Table
from specforge.cli.output import Output
from specforge.cli.predicting.client import Answer, Client
from specforge.cli.predicting.inputs import Input, inputs_of
from specforge.core.errors import ConfigError

Reply = Callable[[BaseHTTPRequestHandler, bytes], None]


class Server:
    """Answers every request with `reply`; notes the bodies and from how many connections they came."""

    def __init__(self) -> None:
        self.reply: Reply = answering({})
        self.bodies: list[bytes] = []
        self.clients: set[object] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.bodies.append(self.headers["Content-Type"].encode() + b"\n" + body)
                outer.clients.add(self.client_address)
                outer.reply(self, body)

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def answering(content: object, status: int = 200, *, closes: bool = False) -> Reply:
    """A reply with this JSON, or these bytes."""

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = closes

    return reply


def done(_: object) -> None:
    """Answer nothing."""


@pytest.fixture(name="server")
def _server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def pictures(folder: Path, count: int) -> list[Input]:
    """Return inputs of pictures that differ."""
    for index in range(count):
        (folder / f"{index:03d}.png").write_bytes(png(index % 256))
    return inputs_of([str(folder)])


def test_a_picture_is_a_form(server: Server, tmp_path: Path) -> None:
    """A picture is sent as a file in the field `images`, with its name and type."""
    file = tmp_path / 'a "b".png'
    file.write_bytes(png(7))
    [answer] = Client(server.url, 10).answers([Input("x", file)])
    assert answer == Answer("x", 200, {}, seconds=answer.seconds)
    head, _, rest = server.bodies[0].partition(b"\n")
    boundary = head.removeprefix(b"multipart/form-data; boundary=")
    assert rest.startswith(
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="images"; filename="a %22b%22.png"'
    )
    assert b"Content-Type: image/png\r\n\r\n" + png(7) + b"\r\n--" + boundary + b"--\r\n" in rest


def test_json_is_sent_as_it_is(server: Server, tmp_path: Path) -> None:
    """A .json file is the body; one that is no JSON is told with its line before anything is sent."""
    (tmp_path / "a.json").write_bytes(b'{"data": {"req_data": [ 1.0 ]}}\n')
    (tmp_path / "b.json").write_bytes(b"{\n  oops")
    (tmp_path / "c.json").write_bytes(b"\xff")
    answers = list(Client(server.url, 10).answers(inputs_of([str(tmp_path / f"{each}.json") for each in "abc"])))
    assert server.bodies == [b'application/json\n{"data": {"req_data": [ 1.0 ]}}\n']
    assert [each.error.partition(":")[0] for each in answers] == ["", "it is no JSON", "it is no JSON"]
    assert "line 2" in answers[1].error


def test_many_in_order_over_few_connections(server: Server, tmp_path: Path) -> None:
    """A folder is asked a few at once, over connections that are kept; answers come in the order of the files."""
    server.reply = lambda handler, body: answering({"size": len(body), "sum": sum(body)})(handler, body)
    inputs = pictures(tmp_path, 150)
    answers = list(Client(server.url, 10).answers(inputs))
    assert [each.name for each in answers] == [each.name for each in inputs]
    assert not [each for each in answers if each.error]
    assert len({json.dumps(each.content) for each in answers}) > 50
    assert len(server.bodies) == 150
    assert len(server.clients) <= 4


def test_a_kept_connection_may_have_been_closed(server: Server, tmp_path: Path) -> None:
    """A server that closes each connection silently loses no request."""
    server.reply = answering({}, closes=True)
    assert not [each for each in Client(server.url, 10).answers(pictures(tmp_path, 20)) if each.error]
    assert len(server.bodies) == 20


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (422, {"error": {"code": "invalid", "message": "`images` must be given"}}, "422 `images` must be given"),
        (400, {"detail": "no boundary"}, "400 no boundary"),
        (503, b"no healthy\n upstream", "503 no healthy upstream"),
        (429, b"", "429 Too Many Requests"),
        (500, ["x"], '500 ["x"]'),
        (413, b"x" * 600, "413 " + "x" * 500 + "…"),
        (200, b"<html>", "the answer is no JSON: <html>"),
    ],
)
def test_what_a_server_says_of_an_error(
    server: Server, tmp_path: Path, status: int, content: object, words: str
) -> None:
    """The server's own message is shown, whatever form it has; a success that is no JSON is no success."""
    server.reply = answering(content, status)
    [answer] = Client(server.url, 10).answers(pictures(tmp_path, 1))
    assert (answer.status, answer.error) == (status, words)


def test_broken_connections(server: Server, tmp_path: Path) -> None:
    """An answer that stops in the middle, one that never comes, nobody there: each in words, and no exception."""

    def half(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        handler.close_connection = True

    go = threading.Event()
    server.reply = half
    [answer] = Client(server.url, 10).answers(pictures(tmp_path, 1))
    assert answer.error.startswith("the connection broke: ")
    server.reply = lambda *_: done(go.wait(20))
    [late] = Client(server.url, 0.05).answers(pictures(tmp_path, 1))
    go.set()
    assert late.error == "no answer within 0.05 s"
    [gone] = Client("http://127.0.0.1:1", 10).answers(pictures(tmp_path, 1))
    assert gone.unreachable
    unreadable = Client(server.url, 10).ask(Input("x", tmp_path / "nowhere.png"))
    assert unreadable.error == "it cannot be read: no such file or directory"


def test_nobody_there_stops_at_once(tmp_path: Path) -> None:
    """After the first refused connection nothing more is asked."""
    answers = list(Client("http://127.0.0.1:1", 10).answers(pictures(tmp_path, 200)))
    assert len(answers) == 1


def test_folders(tmp_path: Path) -> None:
    """Of a folder all pictures at any depth, sorted, hidden ones not; every mistake is told at once."""
    for name in ("b/2.PNG", "b/1.jpg", "a.bmp", ".hidden.png", ".git/x.png", "words.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [each.name for each in inputs_of([str(tmp_path), str(tmp_path / "words.txt")])]
    assert found == [str(tmp_path / each) for each in ("a.bmp", "b/1.jpg", "b/2.PNG", "words.txt")]
    with pytest.raises(ConfigError) as caught:
        inputs_of([str(tmp_path / "nowhere"), str(tmp_path / ".git" / "nothing.png")])
    assert [each.code for each in caught.value.diagnostics] == ["SF164", "SF164"]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """File, label and the label's score, aligned; other answers as they are; errors on standard error."""
    table = _Table(Output(), alone=False)
    scores = [["7", "0.98"], ["3", 0.02]]
    table.take(Answer("a.png", 200, {"predicted_label": "7", "scores": scores}))
    table.take(Answer("longer.png", 200, {"predicted_label": "seven", "scores": {"seven": 0.5}}))
    table.take(Answer("x.png", 200, {"predicted_label": 3}))
    table.take(Answer("y.png", 200, {"predicted_label": "3", "scores": [["3", "high"], "odd"]}))
    table.take(Answer("z.json", 200, {"data": {"resp_data": [1]}}))
    table.flush()
    assert capsys.readouterr().out.splitlines() == [
        "a.png       7      0.9800",
        "longer.png  seven  0.5000",
        "x.png       3",
        "y.png       3      high",
        'z.json  {"data": {"resp_data": [1]}}',
    ]
    table.take(Answer("bad.png", 422, None, "422 \x1b[31mno"))
    assert capsys.readouterr().err == "bad.png: 422 no\n"
    alone = _Table(Output(), alone=True)
    alone.take(Answer("a.json", 200, {"label": "é"}))
    alone.flush()
    assert capsys.readouterr().out == '{"label": "é"}\n'


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line: the input, the status, the answer or the error."""
    lines = _JsonLines(Output(True))
    lines.take(Answer("a", 200, {"x": 1}, seconds=0.5))
    lines.take(Answer("b", None, error="no answer within 3 s"))
    lines.take(Answer("c", 422, {"error": 1}, "422 no"))
    lines.flush()
    assert [json.loads(each) for each in capsys.readouterr().out.splitlines()] == [
        {"input": "a", "status": 200, "seconds": 0.5, "answer": {"x": 1}},
        {"input": "b", "status": None, "seconds": 0.0, "error": "no answer within 3 s"},
        {"input": "c", "status": 422, "seconds": 0.0, "error": "422 no", "answer": {"error": 1}},
    ]
