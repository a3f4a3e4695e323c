"""From files to a Project: what is found, filled in, refused, and in which environment."""

from __future__ import annotations

import gc
import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

from specforge.core.address import Address
from specforge.core.errors import ConfigError
from specforge.loading import find_root, load
from specforge.loading.project_file import state_of
from specforge.schemas.base import Change, Declared, Ref, Spec
from specforge.schemas.kind import Desire, Kind, Kinds, Lifecycle


class Shelf(Declared):
    """Where things lie."""

    level: int = 0


class Part(Spec):
    """A part of a thing."""

    of: Annotated[str, Ref(("thing",), versioned=True)]
    times: Annotated[float, Field(gt=0)] = 1.0


class Thing(Declared):
    """Something that refers to others."""

    shelf: Annotated[str, Ref(("shelf",), default="shelf")]
    size: float | None = None
    color: Literal["red", "blue"] = "red"
    tags: tuple[str, ...] = ()
    next: Annotated[str, Ref(("thing",), versioned=True), Change.UPDATE] | None = None
    origin: Annotated[str, Ref(("thing",))] | None = Field(default=None, alias="from")
    parts: dict[str, Annotated[str, Ref(("thing",))] | Part] = Field(default_factory=dict)


def toy_kinds():
    """Two kinds of our own: nothing in loading knows a kind."""
    kinds = [
        Kind("Shelf", "shelf", Shelf, Lifecycle.PLACE, lambda _: Desire()),
        Kind("Thing", "thing", Thing, Lifecycle.DEFINITION, lambda _: Desire()),
    ]
    return Kinds({each.prefix: each for each in kinds}, {each.document: each for each in kinds})


PROJECT = "kind: Project\nname: demo\ndefaults: {shelf: top}\n"
SHELF = "kind: Shelf\nname: top\n"


@pytest.fixture
def loaded(write):
    """Load a project given as files; the project file and a shelf are there unless given."""

    def load_files(files, **arguments):
        root = write({"specforge.yaml": PROJECT, "specs/shelf.yaml": SHELF, **files})
        return load(root, kinds=toy_kinds(), **arguments)

    return load_files


def problems(call, *arguments, **more):
    """Return what a load complains of: code, file:line:column, detail."""
    with pytest.raises(ConfigError) as raised:
        call(*arguments, **more)
    return [f"{each.code} {each.span or '-'} {each.detail}" for each in raised.value.diagnostics]


def thing(project, name="a"):
    """Return the spec of a thing."""
    return project.resources[Address("thing", name)].spec


def test_documents_become_resources(loaded):
    """Several files, several documents in one, also in the project file; each knows where it came from."""
    project = loaded(
        {
            "specforge.yaml": PROJECT + "---\nkind: Thing\nname: here\n",
            "specs/a.yaml": "---\n---\nkind: Thing\nname: one\n---\nkind: Thing\nname: two\nfrom: one\n",
            "specs/deep/er/b.yml": "kind: Thing\nname: three\ntags: [x, y]\n",
        }
    )
    assert project.name == "demo"
    assert project.sources == {
        Address("thing", "here"): ("specforge.yaml", 1),
        Address("thing", "one"): ("specs/a.yaml", 1),
        Address("thing", "two"): ("specs/a.yaml", 2),
        Address("thing", "three"): ("specs/deep/er/b.yml", 0),
        Address("shelf", "top"): ("specs/shelf.yaml", 0),
    }
    assert list(project.resources) == list(project.sources)
    assert thing(project, "three").tags == ("x", "y")


def test_spec_json_is_canonical_with_defaults(loaded):
    """It says what holds, not how it was written: sorted, defaults and aliases included."""
    project = loaded(
        {"specs/a.yaml": "size: 2\nname: a\nkind: Thing\n", "specs/b.yaml": "kind: Thing\nname: b\nfrom: a\n"}
    )
    text = project.resources[Address("thing", "a")].spec_json
    assert json.loads(text) == {
        "name": "a",
        "description": "",
        "shelf": "top",
        "size": 2.0,
        "color": "red",
        "tags": [],
        "next": None,
        "from": None,
        "parts": {},
    }
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert json.loads(project.resources[Address("thing", "b")].spec_json)["from"] == "a"


def test_order_comments_and_file_names_do_not_count(loaded, write):
    """The same documents elsewhere give the same specs."""
    first = loaded({"specs/a.yaml": "kind: Thing\nname: a\nsize: 1\n"})
    (write({}) / "specs/a.yaml").unlink()
    second = loaded({"specs/z/q.yaml": "# moved\n{size: 1.0, name: a, kind: Thing}\n"})
    address = Address("thing", "a")
    assert first.resources[address].spec_json == second.resources[address].spec_json


def test_variables_keep_their_type_as_whole_value(loaded):
    """A number stays a number; inside a text it is put in as text; `$${` is a plain `${`."""
    project = loaded(
        {
            "specforge.yaml": PROJECT + "variables: {n: {default: 2.5}, t: {default: [x, y]}, w: {default: blue}}\n",
            "specs/a.yaml": 'kind: Thing\nname: "a-${var.w}"\nsize: ${var.n}\ntags: ${ var.t }\ncolor: ${var.w}\n'
            "description: n is ${var.n}, not $${var.n}, ${var.w}${var.w}\n",
        }
    )
    spec = thing(project, "a-blue")
    assert (spec.size, spec.tags, spec.color) == (2.5, ("x", "y"), "blue")
    assert spec.description == "n is 2.5, not ${var.n}, blueblue"


def test_variables_come_from_default_environment_and_command_line(loaded):
    """The command line wins over the environment, the environment over the default."""
    files = {
        "specforge.yaml": PROJECT
        + "variables: {n: {default: 1}, m: {}}\n"
        + "environments: {dev: {variables: {n: 2, m: 5}}, prod: {variables: {m: 6}}}\n",
        "specs/a.yaml": "kind: Thing\nname: a\nsize: ${var.n}\nparts: {x: {of: b@V1, times: '${var.m}'}}\n",
    }
    assert thing(loaded(files, variables={"m": "4"})).size == 1
    dev = loaded(files, environment="dev")
    assert (thing(dev).size, thing(dev).parts["x"].times) == (2, 5)
    assert thing(loaded(files, environment="dev", variables={"n": "3e0"})).size == 3
    assert problems(loaded, files) == [
        "SF113 specforge.yaml:4:30 the variable `m` has no default, and no value is given"
    ]


def test_a_value_of_the_command_line_is_typed(loaded):
    """`--var n=5` is a number, quoted it is a text, and a text where a number is needed says where it came from."""
    files = {
        "specforge.yaml": PROJECT + "variables: {n: {}}\n",
        "specs/a.yaml": "kind: Thing\nname: a\nsize: ${var.n}\n",
    }
    assert thing(loaded(files, variables={"n": "5"})).size == 5
    assert problems(loaded, files, variables={"n": '"5"'}) == ["SF110 specs/a.yaml:3:7 expected a number, got `5`"]


def test_environments_have_their_own_state_and_defaults(loaded):
    """`--env dev` changes state and defaults; no environment, or `default`, changes nothing."""
    files = {
        "specforge.yaml": PROJECT + "environments: {dev: {defaults: {shelf: low}}}\n",
        "specs/a.yaml": "kind: Thing\nname: a\n---\nkind: Shelf\nname: low\n",
    }
    plain, dev = loaded(files), loaded(files, environment="dev")
    assert (plain.environment, plain.state, thing(plain).shelf) == ("default", ".specforge/state.db", "top")
    assert (dev.environment, dev.state, thing(dev).shelf) == ("dev", ".specforge/state.dev.db", "low")
    assert loaded(files, environment="default").state == plain.state
    assert problems(loaded, files, environment="deV") == [
        "SF115 - no environment is named `deV` (declared: `dev`)",
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (".specforge/state.db", ".specforge/state.dev.db"),
        ("state", "state.dev"),
        ("a.b/state.x.db", "a.b/state.x.dev.db"),
    ],
)
def test_the_state_of_an_environment_is_beside_the_default_one(state, expected):
    """Its name goes before the ending."""
    assert state_of(state, "dev") == expected


def test_defaults_may_hold_variables(loaded):
    """So a variable can choose the store of everything."""
    files = {
        "specforge.yaml": "kind: Project\nname: demo\nstate: ${var.s}.db\n"
        "defaults: {shelf: '${var.s}'}\nvariables: {s: {default: top}}\n",
        "specs/a.yaml": "kind: Thing\nname: a\n",
    }
    project = loaded(files)
    assert (project.state, thing(project).shelf) == ("top.db", "top")
    assert problems(loaded, files, variables={"s": "5"}) == [
        "SF110 specforge.yaml:4:19 `shelf` is a text, it cannot be `5`",
    ]


def test_a_missing_default_says_what_to_write(loaded):
    """Neither named nor a default: one error, at the document."""
    files = {"specforge.yaml": "kind: Project\nname: demo\n", "specs/a.yaml": "kind: Thing\nname: a\nsise: 1\n"}
    assert problems(loaded, files) == [
        "SF117 specs/a.yaml:2:7 it needs a shelf, and the project has no default for it",
        "SF108 specs/a.yaml:3:1 `sise` is not a field here",
    ]


def test_a_choice_of_types_tells_only_what_was_meant(loaded):
    """A mapping that is nearly right is explained as the mapping, anything else by what would be right."""
    files = {
        "specs/a.yaml": "kind: Thing\nname: a\nparts:\n  x: {of: a, time: 2}\n"
        "  y: 5\n  z: {of: a, times: 0}\n  u: {}\n",
    }
    assert problems(loaded, files) == [
        "SF108 specs/a.yaml:4:14 `time` is not a field here",
        "SF110 specs/a.yaml:5:6 expected a text or a mapping, got `5`",
        "SF110 specs/a.yaml:6:21 must be more than 0, is `0`",
        "SF109 specs/a.yaml:7:6 `of` must be given",
    ]


def test_references_are_checked_everywhere(loaded):
    """In lists, mappings, nested models and under aliases; a kept version of something undeclared is no error."""
    files = {
        "specs/a.yaml": "kind: Thing\nname: a\nfrom: b\nnext: gone@V001\nshelf: topp\nparts: {x: c, y: {of: top}}\n",
    }
    assert problems(loaded, files) == [
        "SF104 specs/a.yaml:3:7 no thing is named `b`",
        "SF104 specs/a.yaml:5:8 no shelf is named `topp`",
        "SF104 specs/a.yaml:6:12 no thing is named `c`",
        "SF112 specs/a.yaml:6:23 `top` is of kind shelf; one of kind thing is needed here",
    ]


def test_consequences_are_not_reported(loaded):
    """What refers to a wrong document, or may stand in a file that cannot be read, is not called unknown."""
    refers = "kind: Thing\nname: a\nfrom: b\n"
    assert problems(loaded, {"specs/a.yaml": refers, "specs/b.yaml": "kind: Thing\nname: b\nsize: big\n"}) == [
        "SF110 specs/b.yaml:3:7 expected a number, got `big`"
    ]
    assert problems(loaded, {"specs/a.yaml": refers, "specs/b.yaml": "kind: Think\nname: b\n"}) == [
        "SF107 specs/b.yaml:1:7 no kind is called `Think`"
    ]
    assert problems(loaded, {"specs/a.yaml": refers, "specs/b.yaml": "kind: 'Thing\n"}) == [
        "SF103 specs/b.yaml:1:7 the file ends inside this quoted text"
    ]


def test_a_wrong_project_file_leaves_only_what_is_certain(loaded):
    """Without its variables and defaults nothing can be said of documents, but their YAML can be read."""
    files = {
        "specforge.yaml": "kind: Project\n",
        "specs/a.yaml": "kind: Thing\nname: ${var.x}\n",
        "specs/b.yaml": "- 'x\n",
    }
    assert problems(loaded, files) == [
        "SF109 specforge.yaml:1:7 `name` must be given",
        "SF103 specs/b.yaml:1:3 the file ends inside this quoted text",
    ]


def test_empty_files_and_patterns_are_warned_of(loaded):
    """They are no error, but hardly meant."""
    project = loaded({"specforge.yaml": PROJECT + "specs: [specs/*.yaml, more/*.yaml]\n", "specs/a.yaml": ""})
    assert [(each.code, str(each.span)) for each in project.warnings] == [
        ("SF122", "specforge.yaml:4:23"),
        ("SF121", "specs/a.yaml:1:1"),
    ]


def test_specs_says_where_documents_are(loaded):
    """Only files that match are read; hidden ones and folders are not."""
    project = loaded(
        {
            "specforge.yaml": PROJECT + "specs: ['conf/**/*.yaml', specs/shelf.yaml]\n",
            "specs/a.yaml": "wrong",
            "conf/x/b.yaml": "kind: Thing\nname: b\n",
            "conf/.hidden.yaml": "wrong",
            "conf/folder.yaml/readme.txt": "wrong",
        }
    )
    assert {each.name for each in project.resources} == {"top", "b"}


def test_nul_cannot_be_smuggled_in(loaded):
    """A text with NUL would break whatever it is handed to."""
    found = problems(loaded, {"specs/a.yaml": 'kind: Thing\nname: a\ndescription: "a\\0b"\ntags: ["\\\\u0000"]\n'})
    assert found == ["SF110 specs/a.yaml:3:14 a text cannot hold a NUL character"]


def test_find_root_goes_upwards(write):
    """From a folder below the project, as from its root."""
    root = write({"specforge.yaml": PROJECT, "specs/deep/a.yaml": SHELF})
    assert find_root(root) == find_root(root / "specs/deep") == root


def test_no_project_above_is_an_error_with_a_hint(tmp_path):
    """The hint names the command that makes one."""
    with pytest.raises(ConfigError) as raised:
        find_root(tmp_path)
    (found,) = raised.value.diagnostics
    assert (found.code, found.hint) == ("SF101", "make one with `spec init`")


def test_the_collector_is_as_before(loaded):
    """Loading turns Python's collector off, and on again only if it was on."""
    loaded({})
    assert gc.isenabled()
    problems(loaded, {"specs/a.yaml": "wrong"})
    assert gc.isenabled()
    gc.disable()
    try:
        loaded({"specs/a.yaml": "kind: Thing\nname: a\n"})
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_thousands_of_wrong_references_take_no_minutes(loaded):
    """Only the first ones get a hint: a search among all names for each would take too long."""
    documents = "---\n".join(f"kind: Thing\nname: t{i}\nfrom: u{i}\n" for i in range(3000))
    with pytest.raises(ConfigError) as raised:
        loaded({"specs/a.yaml": documents})
    assert len(raised.value.diagnostics) == 3000
    assert raised.value.diagnostics[0].hint is not None
    assert raised.value.diagnostics[-1].hint is None


def test_bytes_that_are_no_text_are_refused_where_they_would_stand(loaded):
    """A variable on the command line may hold bytes that are not UTF-8, which no document can say."""
    files = {
        "specforge.yaml": PROJECT + "variables: {v: {default: x}}\n",
        "specs/a.yaml": "kind: Thing\nname: a\ntags: ['${var.v}']\n",
    }
    found = problems(loaded, files, variables={"v": "caf\udce9"})
    assert found == ["SF110 specs/a.yaml:3:8 a text must be valid Unicode"]
