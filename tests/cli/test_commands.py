"""The commands, from the command line to its exit code, on a real project."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from small_project import Spec, png

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text(encoding="utf-8"))


def test_validate(spec: Spec) -> None:
    """A sound project is said to be so, in text and JSON."""
    done = spec("validate")
    assert (done.code, done.out) == (0, "Valid: project small, 3 resources.\n")
    assert json.loads(spec("validate", "--json").out) == {"valid": True, "diagnostics": []}


def test_validate_shows_every_error(spec: Spec, project: Path) -> None:
    """All mistakes are shown at once, with their lines, on standard error."""
    (project / "specs" / "data.yaml").write_text("kind: Dataset\nname: a b\nsouce: x\n", encoding="utf-8")
    done = spec("validate")
    assert done.code == 1
    assert done.out == ""
    assert "specs/data.yaml:2:7" in done.err
    assert "did you mean `source`?" in done.err
    body = json.loads(spec("validate", "--json").out)
    assert body["valid"] is False
    assert {each["code"] for each in body["diagnostics"]} >= {"SF108", "SF120"}


def test_a_cycle_is_found_by_validate(spec: Spec, project: Path) -> None:
    """`validate` orders the graph, and so finds a cycle, with a place in the files."""
    text = """\
kind: Algorithm
name: a
framework: scikit-learn
code: code
boot: train.py
---
{kind: TrainingJob, name: one, algorithm: a, inputs: {data: shapes}, from_model: two}
---
{kind: TrainingJob, name: two, algorithm: a, inputs: {data: shapes}, from_model: one}
"""
    (project / "specs" / "training.yaml").write_text(text, encoding="utf-8")
    done = spec("validate")
    assert done.code == 1
    assert "Cycle of references" in done.err
    assert "specs/training.yaml:" in done.err


def test_schema(spec: Spec) -> None:
    """The JSON Schema is one, and admits a document."""
    schema = json.loads(spec("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)


def test_graph(spec: Spec) -> None:
    """The graph is printed as a tree, as Mermaid, as JSON."""
    assert "dataset.shapes\n├─ store: store.artifacts\n└─ pool: pool.here\n" in spec("graph").out
    assert spec("graph", "--mermaid").out.startswith("flowchart LR\n")
    assert "dataset.shapes" in json.loads(spec("graph", "--json").out)["nodes"]


def test_plan_apply_and_nothing_left(spec: Spec, project: Path) -> None:
    """Plan, apply, plan again: nothing is left to do; a new picture is a wish again."""
    planned = spec("plan", "--detailed-exitcode")
    assert planned.code == 2
    assert "+ dataset.shapes   create  V001  publish" in planned.out
    assert planned.out.endswith("Plan: 3 to create.\n")
    assert spec("plan").code == 0
    applied = spec("apply", "--yes")
    assert applied.code == 0
    assert "✓ dataset.shapes" in applied.out
    assert "Done in " in applied.out
    again = spec("plan", "--detailed-exitcode")
    assert (again.code, again.out) == (0, "No changes. 3 resources are as declared.\n")
    assert spec("apply").code == 0  # nothing to approve
    (project / "data" / "dark" / "new.png").write_bytes(png(7))
    changed = spec("plan", "--json")
    change = json.loads(changed.out)["changes"][0]
    assert change["version"] == {"from": "V001", "to": "V002"}
    assert change["reasons"][0]["text"] == "source: +1 file"
    assert changed.code == 0


def test_without_approval(spec: Spec, project: Path) -> None:
    """Without a terminal and without `--yes` the plan is shown, nothing is done, exit 1."""
    done = spec("apply")
    assert done.code == 1
    assert "Plan: 3 to create." in done.out
    assert "--yes" in done.err
    assert not (project / ".specforge" / "artifacts").exists()


def test_apply_prints_events(spec: Spec) -> None:
    """`--json` prints events as JSON lines that follow the documented schema, and nothing else."""
    done = spec("apply", "--yes", "--json")
    assert done.code == 0
    lines = [json.loads(line) for line in done.out.splitlines()]
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for line in lines:
        validator.validate(line)
    assert lines[0]["event"] == "start"
    assert lines[0]["format"] == 1
    assert lines[-1] == {**lines[-1], "event": "end", "outcome": "done", "counts": {"done": 3}}
    error = spec("apply", "--json", "--target", "dataset.nothing")
    assert error.code == 1
    validator.validate(json.loads(error.out))


def test_a_saved_plan(spec: Spec, project: Path) -> None:
    """A saved plan is applied once; after that its base has moved and it is refused."""
    assert spec("plan", "-o", "first.plan").code == 0
    assert (project / "first.plan").stat().st_mode & 0o777 == 0o600
    assert spec("apply", "--yes", "first.plan").code == 0
    stale = spec("apply", "--yes", "first.plan")
    assert stale.code == 1
    assert "stale" in stale.err
    other = spec("apply", "--yes", "--env", "dev", "first.plan")
    assert "another project or environment" in other.err
    with_options = spec("apply", "--yes", "--target", "dataset.shapes", "first.plan")
    assert with_options.code == 1


def test_what_is_not_a_plan(spec: Spec, project: Path) -> None:
    """A missing, foreign, newer or damaged plan file is one clear error."""
    cases = {"missing": None, "text": "hello", "json": "{}", "future": '{"specforge_plan": 99}'}
    cases["damaged"] = '{"specforge_plan": 1, "plan": {"$": "Plan"}}'
    for name, text in cases.items():
        if text is not None:
            (project / name).write_text(text, encoding="utf-8")
        done = spec("apply", "--yes", name)
        assert done.code == 1, name
        assert "error[SF25" in done.err, name


def test_target(spec: Spec) -> None:
    """`--target` plans only what is named and what it needs; an unknown address is an error with a suggestion."""
    body = json.loads(spec("plan", "--json", "--target", "store.artifacts").out)
    assert [each["address"] for each in body["changes"]] == ["store.artifacts"]
    done = spec("plan", "--target", "dataset.shape")
    assert done.code == 1
    assert "did you mean `dataset.shapes`?" in done.err
    assert "is not an address" in spec("plan", "--target", "shapes").err


def test_variables(spec: Spec) -> None:
    """`--var` gives a variable a value; what is not of that form is an error."""
    done = spec("plan", "--var", "pictures=nowhere")
    assert done.code == 1
    assert "nowhere" in done.err
    assert "SF152" in spec("plan", "--var", "pictures").err


def test_environments_have_their_own_state(spec: Spec, project: Path) -> None:
    """`--env` keeps another state; an environment that is not declared is an error."""
    assert spec("apply", "--yes", "--env", "dev").code == 0
    assert (project / ".specforge" / "state.dev.db").exists()
    assert spec("plan", "--env", "dev").out == "Environment dev\n\nNo changes. 3 resources are as declared.\n"
    reused = spec("plan")
    assert "< dataset.shapes" in reused.out or "+ dataset.shapes" in reused.out
    assert spec("plan", "--env", "nowhere").code == 1


def test_looking(spec: Spec) -> None:
    """What is recorded is shown by list, show, state show and history, as text and JSON."""
    assert spec("state", "list").out == "Nothing is recorded.\n"
    assert "declared, not made yet" in spec("show", "dataset.shapes").out
    assert "SF351" in spec("state", "show", "dataset.shapes").err
    spec("apply", "--yes")
    assert "dataset.shapes   V001     ready" in spec("state", "list").out
    assert "V001  ready, current" in spec("show", "dataset.shapes").out
    assert "V001  ready, current" in spec("state", "show", "dataset.shapes").out
    assert "recorded" in spec("state", "history", "dataset.shapes").out
    shown = json.loads(spec("show", "dataset.shapes", "--json").out)
    assert shown["recorded"]["current"] == "V001"
    assert shown["declared"]["name"] == "shapes"
    assert json.loads(spec("state", "show", "dataset.shapes", "--json").out)["versions"][0]["version"] == "V001"
    listed = json.loads(spec("state", "list", "--json").out)
    assert [each["address"] for each in listed["resources"]] == ["dataset.shapes", "pool.here", "store.artifacts"]
    history = json.loads(spec("state", "history", "--json").out)
    assert history[0]["serial"] == 1
    assert spec("show", "dataset.none").code == 1


def test_logs(spec: Spec) -> None:
    """The log of the job that published is there; since when and how is the user's choice."""
    assert spec("logs", "dataset.shapes").code == 1
    spec("apply", "--yes")
    assert "8 pictures" in spec("logs", "dataset.shapes").out
    assert "8 pictures" in spec("logs", "-f", "dataset.shapes", "--since", "1h").out
    assert spec("logs", "dataset.shapes", "--since", "2099-01-01").out == ""
    assert json.loads(spec("logs", "dataset.shapes", "--json").out.splitlines()[0])["step"]
    assert "SF153" in spec("logs", "dataset.shapes", "--since", "yesterday").err


def test_destroy(spec: Spec, project: Path) -> None:
    """Destroy takes everything off the record and keeps the published data; the next apply finds them again."""
    spec("apply", "--yes")
    assert spec("destroy").code == 1
    done = spec("destroy", "--yes")
    assert done.code == 0, done.err
    assert "published data stay in their stores" in done.out
    assert spec("state", "list").out == "Nothing is recorded.\n"
    assert list((project / ".specforge" / "artifacts" / "objects").rglob("*"))
    again = spec("apply", "--yes")
    assert again.code == 0
    assert "reused" in again.out


def test_doctor(spec: Spec, project: Path) -> None:
    """Doctor looks at everything that is needed, and exits 1 on a problem with a hint."""
    done = spec("doctor")
    assert done.code == 0, done.out
    assert done.out.endswith("All is well.\n")
    body = json.loads(spec("doctor", "--json").out)
    assert {"Python", "uv", "git", "cache", "project", "state", "lock", "pool.here", "store.artifacts"} <= {
        each["check"] for each in body["checks"]
    }
    (project / "specs" / "data.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    broken = spec("doctor")
    assert broken.code == 1
    assert "SF107" in broken.out
    assert "1 problem." in broken.out


def test_init(spec: Spec, project: Path) -> None:
    """Init writes a project that validates, and overwrites nothing."""
    new = project.parent / "new one"
    done = spec("init", str(new), "--no-lock")
    assert done.code == 0
    assert spec("validate", "-C", str(new)).out == "Valid: project new-one, 5 resources.\n"
    again = spec("init", str(new), "--no-lock")
    assert again.code == 1
    assert "`specforge.yaml`" in again.err


def test_no_project(spec: Spec, tmp_path: Path) -> None:
    """Outside of a project the error says how to make one."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = spec("plan", "-C", str(empty))
    assert done.code == 1
    assert "spec init" in done.err


def test_lock_knows_its_engines(spec: Spec) -> None:
    """An engine that does not exist is an error; without any engine there is nothing to lock."""
    assert "SF463" in spec("lock", "numpyflow").err
    assert spec("lock").out == "Nothing to lock: every engine that is used has its entry.\n"
