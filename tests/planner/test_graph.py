"""The graph: edges from reference fields, an order, cycles; and what differs between two specs."""

from __future__ import annotations

import json

import pytest
from paper import KINDS, Paper, project_of
from pydantic import BaseModel

from specforge.core.address import Address
from specforge.core.errors import ConfigError
from specforge.core.values import Frozen, OutputRef, StepRef
from specforge.planner.diff import field_changes, recipe_differences
from specforge.planner.graph import build_graph
from specforge.planner.outputs import fill_recorded, identity_if_known
from specforge.planner.plan import FieldChange
from specforge.schemas.kind import Part, Subject


def training(name: str, **more: object) -> dict[str, object]:
    """Return the document of a training."""
    return {"kind": "TrainingJob", "name": name, "algorithm": "svc", "inputs": {"data": "digits"}, **more}


def test_edges_come_from_the_reference_fields_in_their_order(paper: Paper) -> None:
    """Each edge says which field names whom."""
    graph = build_graph(paper.project)
    edges = graph.edges[Address("training", "digits")]
    assert [(each.path, str(each.target)) for each in edges] == [
        ("algorithm", "algorithm.svc"),
        ("inputs.data.dataset", "dataset.digits"),
        ("evaluate.data", "dataset.digits"),
        ("store", "store.artifacts"),
        ("pool", "pool.here"),
    ]
    assert graph.levels == 3


def test_the_order_is_by_depth_and_then_by_name(paper: Paper) -> None:
    """The same project gives the same order, however its files are read."""
    paper.add(**training("a", from_model="digits"))
    paper.add(**training("b"))
    expected = [
        "algorithm.svc",
        "pool.here",
        "store.artifacts",
        "dataset.digits",
        "training.b",
        "training.digits",
        "training.a",
    ]
    assert [str(each) for each in build_graph(paper.project).order] == expected
    paper.documents.reverse()
    assert [str(each) for each in build_graph(paper.project).order] == expected


def test_a_cycle_is_told_as_it_is_read(paper: Paper) -> None:
    """The text follows the references and ends where it began; the diagnostic stands at the first field."""
    paper.add(**training("a", from_model="c"))
    paper.add(**training("b", from_model="a"))
    paper.add(**training("c", from_model="b"))
    with pytest.raises(ConfigError) as caught:
        build_graph(paper.project)
    (found,) = caught.value.diagnostics
    assert (found.code, found.address, found.path) == ("SF220", Address("training", "a"), ("from_model",))
    assert found.detail == "these wait for each other: training.a → training.c → training.b → training.a"
    assert found.hint == "take one of the references out, or pin it to a published version with `@VERSION`"


def test_a_reference_to_itself_is_a_cycle_unless_pinned(paper: Paper) -> None:
    """`digits@V0001` reads a published version and closes no cycle."""
    paper.edit("training.digits", "from_model", "digits")
    with pytest.raises(ConfigError, match=r"training\.digits → training\.digits"):
        build_graph(paper.project)
    paper.edit("training.digits", "from_model", "digits@V0001")
    assert Address("training", "digits") in build_graph(paper.project).order


def test_a_cycle_through_a_list_has_the_index_in_its_path(paper: Paper) -> None:
    """Numbers in a field's path are indices."""
    from specforge.planner.graph import Edge

    edge = Edge(Address("training", "a"), Address("dataset", "b"), "inputs.0.dataset")
    assert edge.field == ("inputs", 0, "dataset")


def test_needs_follows_references_to_their_end(paper: Paper) -> None:
    """Undeclared addresses are left out."""
    graph = build_graph(paper.project)
    needed = {str(each) for each in graph.needs([Address("dataset", "digits"), Address("dataset", "none")])}
    assert needed == {"dataset.digits", "store.artifacts", "pool.here"}
    assert graph.levels == 3


def test_an_empty_project_has_an_empty_graph() -> None:
    """No resources, no levels."""
    graph = build_graph(project_of([]))
    assert (graph.order, graph.levels) == ((), 0)


# ---- what differs ----


def test_field_changes_go_down_to_the_value_that_differs() -> None:
    """Mappings are compared key by key, lists as a whole; the nearest rule counts."""
    kind = KINDS.by_prefix["training"]
    base = {"name": "a", "inputs": {"data": {"dataset": "d"}}, "algorithm": "x", "store": "s", "pool": "p"}
    before = json.dumps({**base, "parameters": {"C": 1, "gamma": 2}, "variables": {"A": "1"}})
    after = json.dumps({**base, "parameters": {"C": 1.0, "kernel": "rbf"}, "pool": "q", "variables": {"A": "1"}})
    complete = json.dumps(kind.spec.model_validate(json.loads(after)).model_dump(mode="json", by_alias=True))
    changes = {each.path: each for each in field_changes(kind, before, complete)}
    assert changes["parameters.C"] == FieldChange("parameters.C", 1, 1.0, "new version")
    assert changes["parameters.gamma"] == FieldChange("parameters.gamma", 2, None, "new version")
    assert changes["parameters.kernel"] == FieldChange("parameters.kernel", None, "rbf", "new version")
    assert changes["pool"].rule == "update"
    assert set(changes) == {"parameters.C", "parameters.gamma", "parameters.kernel", "pool"}


def test_a_field_without_any_rule_is_an_update() -> None:
    """What declares nothing is changed in place."""
    from dataclasses import replace

    class Plain(BaseModel):
        label: str = ""

    kind = replace(KINDS.by_prefix["algorithm"], spec=Plain)
    assert field_changes(kind, '{"label":"a"}', '{"label":"b"}') == (FieldChange("label", "a", "b", "update"),)


def test_recipes_differ_where_values_are_known() -> None:
    """Holes are not known to differ; lists and tuples are the same."""
    hole = OutputRef(Address("dataset", "d"), "digest")
    before = '{"usages":["EVAL"],"data":"x","parameters":{"C":1.0},"samples":2}'
    after = Frozen(usages=("EVAL",), data=hole, parameters=Frozen(C=2.0))
    assert recipe_differences(before, after) == (("parameters.C", 1.0, 2.0), ("samples", 2, None))
    assert recipe_differences(before, Frozen(after, usages=("TEST",)))[0] == ("usages", ["EVAL"], ("TEST",))


def test_only_outputs_of_resources_are_filled_from_the_record(applied: Paper) -> None:
    """What a step of the same part will give stays open, and so does what was never recorded."""
    known, step = OutputRef(Address("dataset", "digits"), "version"), StepRef("train", "tree.model")
    unknown = OutputRef(Address("dataset", "none"), "version")
    value = Frozen(a=known, b=step, c=unknown)
    assert fill_recorded(value, applied.state) == {"a": "V001", "b": step, "c": unknown}


def test_a_kind_that_is_only_recorded_has_no_steps() -> None:
    """The default of a kind: nothing is performed for it."""
    kind = KINDS.by_prefix["algorithm"]
    part = Part("output", "algorithm", 1, Frozen(), "nothing")
    assert kind.steps(Subject(Address("algorithm", "a"), None, "digits"), part) == ()


def test_a_recipe_that_json_cannot_say_is_a_bug_of_its_kind() -> None:
    """It is not taken for one with holes."""
    hole = OutputRef(Address("dataset", "d"), "digest")
    assert identity_if_known(Part("output", "model", 1, Frozen(a=hole), "make")) is None
    with pytest.raises(TypeError, match="not JSON serializable"):
        identity_if_known(Part("output", "model", 1, Frozen(a=object()), "make"))
