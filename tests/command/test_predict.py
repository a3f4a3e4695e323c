"""`spec predict`, `spec stop` and `spec start` on a running service."""

from __future__ import annotations

import json
import subprocess
import sys

from shopfront import Served, ask


def test_pictures_folders_and_json(served: Served) -> None:
    """One picture, several, a folder, JSON from a file and from standard input: a line for each answer, in order."""
    assert served.spec("predict", "digits", "data/digits/0/1.png").stdout == "data/digits/0/1.png  10.0\n"
    several = served.spec("predict", "service.digits", "data/digits/1/2.png", "data/digits/0/0.png").stdout
    assert several == "data/digits/1/2.png  10.0\ndata/digits/0/0.png  10.0\n"
    lines = served.spec("predict", "digits", "data/digits").stdout.splitlines()
    assert lines == [f"data/digits/{label}/{number}.png  10.0" for label in "01" for number in range(3)]
    body = [json.loads(line) for line in served.spec("predict", "digits", "data", "--json").stdout.splitlines()]
    assert [each["answer"] for each in body] == [{"predicted_label": "10.0"}] * 6
    assert {each["status"] for each in body} == {200}


def test_what_fails_is_told(served: Served) -> None:
    """A refused input has the server's words on standard error; the others are answered; exit 1."""
    served.write("words.png", "no picture")
    served.write("broken.json", '{"data": \n[}')
    served.write("other.json", '{"nothing": 1}')
    done = served.spec("predict", "digits", "words.png", "broken.json", "other.json", "data/digits/0/0.png", code=1)
    assert done.stdout.splitlines()[-1] == "data/digits/0/0.png  10.0"
    assert "broken.json: it is no JSON: " in done.stderr
    assert "line 2" in done.stderr
    assert "other.json: 4" in done.stderr
    lines = [
        json.loads(each)
        for each in served.spec("predict", "digits", "other.json", "--json", code=1).stdout.splitlines()
    ]
    assert lines[0]["status"] in range(400, 500)
    assert lines[0]["error"].startswith("4")
    command = [sys.executable, "-m", "specforge", "predict", "digits", "-"]
    piped = subprocess.run(command, cwd=served.root, env=served.environment, input="{", capture_output=True, text=True)
    assert piped.returncode == 1
    assert piped.stderr.startswith("-: it is no JSON")
    missing = served.spec("predict", "digits", "nowhere.png", "specs", code=1)
    assert "`nowhere.png` is not there" in missing.stderr
    assert "no picture is in `specs`" in missing.stderr


def test_services_that_cannot_be_asked(served: Served) -> None:
    """Not declared, no service, not reachable: each is told, with what to do."""
    assert "did you mean `service.digits`?" in served.spec("predict", "digit", "data", code=1).stderr
    wrong = served.spec("predict", "model.digits", "data", code=1).stderr
    assert "SF160" in wrong
    assert "`service.digits`" in wrong
    served.end_all()
    gone = served.spec("predict", "digits", "data", code=1)
    assert "SF163" in gone.stderr
    assert f"nobody listens at http://127.0.0.1:{served.port}" in gone.stderr


def test_declared_but_not_applied(declared: Served) -> None:
    """A service that was never applied is told as such."""
    assert "SF161" in declared.spec("predict", "digits", "data", code=1).stderr


def test_stop_and_start(served: Served) -> None:
    """A stopped service has no process, is no drift, is started by no apply; `spec start` lets it serve again."""
    assert "SF257" in served.spec("stop", "service.digits", code=1).stderr
    assert ask(served.port) == "10.0"
    done = served.spec("stop", "service.digits", "--yes")
    assert "service.digits is stopped" in done.stdout
    assert served.processes() == {}
    held = served.spec("predict", "digits", "data", code=1).stderr
    assert "SF162" in held
    assert "`spec start service.digits` starts it" in held
    shown = served.spec("drift")
    assert "= service.digits  for" in shown.stdout
    assert "1 service is on hold." in shown.stdout
    served.spec("apply", "--yes")
    assert served.processes() == {}
    assert "has been stopped since" in served.spec("stop", "service.digits", "--yes").stdout
    started = served.spec("start", "service.digits")  # nothing else would change: no question
    assert "service.digits" in started.stdout
    assert ask(served.port) == "10.0"
    assert served.is_clean()
    assert "is not on hold" in served.spec("start", "service.digits").stderr


def test_start_asks_when_more_would_change(served: Served) -> None:
    """If the service needs more than being started, the plan is shown and approval is asked for."""
    served.spec("stop", "service.digits", "--yes", "--json")
    served.train("10.0", "5.0")
    refused = served.spec("start", "service.digits", code=1)
    assert "training.digits" in refused.stdout
    assert "SF257" in refused.stderr
    served.spec("start", "service.digits", "--yes")
    assert ask(served.port) == "5.0"


def test_stop_without_files(served: Served) -> None:
    """Only services can be stopped, also while the files are broken; starting needs them."""
    assert "SF204" in served.spec("stop", "dataset.digits", "--yes", code=1).stderr
    assert "SF151" in served.spec("stop", "service.nothing", "--yes", code=1).stderr
    served.write("specs/data.yaml", "kind: [")
    done = served.spec("stop", "service.digits", "--yes")
    assert "cannot be loaded" in done.stderr
    assert served.processes() == {}
    assert "SF103" in served.spec("start", "service.digits", code=1).stderr
