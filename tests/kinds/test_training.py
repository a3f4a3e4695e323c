"""What a TrainingJob wishes and refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from asked import with_steps
from pydantic import ValidationError

from specforge.core.digest import identity_of
from specforge.core.steps import Copy, EnsureToolchain, Publish, RunJob
from specforge.core.values import EMPTY, JobInput, Limits, OutputRef, Place, Tree, holes_in
from specforge.procedures.evaluate import FIGURES
from specforge.schemas.training import KIND
from specforge.schemas.training.spec import Figure

STORE = Place("folder", ".specforge/artifacts")


def output(subject):
    return with_steps(KIND, subject, 0)


def evidence(subject):
    return with_steps(KIND, subject, 1)


def train(subject):
    return next(each for each in output(subject).steps if each.name == "train")


def test_the_identity_is_a_golden_one(world):
    """The identity of a training never changes by itself."""
    part = output(world.training())
    identity = identity_of(part.prefix, part.revision, part.recipe)
    assert identity == "5968499f7a9e95a59e0ed6ee98d2ba18f0b0e9257a9535941a368020537e95c4"


def test_the_recipe_is_what_decides_the_bytes(world):
    """Effective parameters of their declared types, digests, and what was asked for; nothing else has a key."""
    assert set(output(world.training()).recipe) == {"runnable", "parameters", "inputs", "nodes", "layout"}
    assert output(world.training()).recipe["parameters"] == {"C": 10.0, "kernel": "rbf"}
    more = world.training(
        from_model="earlier", seed=7, variables={"MODE": "slow"}, inputs={"data": {"dataset": "d", "usages": ["EVAL"]}}
    )
    recipe = output(more).recipe
    assert recipe["from_model"] == "5" * 64
    assert (recipe["seed"], recipe["variables"]) == (7, {"MODE": "slow"})
    assert (recipe["inputs"], recipe["usages"]) == ({"data": "4" * 64}, {"data": ("EVAL",)})


def test_a_number_is_the_same_however_it_is_written(world):
    """10 and 10.0 of a float parameter, and the default written out, give one identity."""
    recipes = {
        output(world.training(parameters=each)).recipe for each in ({"C": 10}, {"C": 10.0}, {"C": 10, "kernel": "rbf"})
    }
    assert len(recipes) == 1


def test_a_default_that_is_overridden_does_not_count(world):
    """Another default of `C` changes only jobs that do not give their own."""
    parameters = {"C": {"type": "float", "default": 2.0}, "kernel": {"type": "str", "default": "rbf"}}
    other = world.algorithm_input(parameters=parameters)

    def with_other(subject):
        return replace(subject, inputs={**subject.inputs, "algorithm": other})

    given, left = world.training(), world.training(parameters={})
    assert output(given).recipe == output(with_other(given)).recipe
    assert output(left).recipe != output(with_other(left)).recipe


def test_what_is_not_known_yet_is_a_hole(world):
    """A dataset that the same plan makes: its digest, tree and store are filled in later."""
    subject = world.training()
    path = "inputs.data.dataset"
    data = replace(subject.inputs[path], outputs=EMPTY)
    subject = replace(subject, inputs={**subject.inputs, path: data})
    assert holes_in(output(subject).recipe) == (OutputRef(data.address, "digest"),)
    assert train(subject).inputs == (
        JobInput(
            "data", Tree(OutputRef(data.address, "place"), None, OutputRef(data.address, "tree.data")), ("TRAIN",)
        ),
    )


def test_the_steps(world):
    """Toolchain, code, job, publish; what the boot file gets is in the command."""
    toolchain, code, job, publish = output(world.training()).steps
    assert isinstance(toolchain, EnsureToolchain)
    assert isinstance(code, Copy)
    assert code.path == f"code/{'1' * 64}"
    assert isinstance(job, RunJob)
    assert job.run.argv == (
        "@python",
        "@code/train.py",
        "--data_url=@in/data",
        "--train_url=@out",
        "--C=10.0",
        "--kernel=rbf",
    )
    assert job.inputs == (JobInput("data", Tree(STORE, None, "4" * 64), ("TRAIN",)),)
    assert [(each.name, each.path, each.exclude, each.required) for each in job.outputs] == [
        ("model", "model", (), True),
        ("rest", ".", ("model",), False),
        ("log", "@log", (), False),
    ]
    assert isinstance(publish, Publish)
    assert publish.output == "model"
    assert publish.series.version(3) == "V0003"


def test_all_that_a_job_can_be_given(world):
    """An earlier model, a seed, variables, limits, a time limit and retries go where they belong."""
    subject = world.training(
        from_model="earlier",
        seed=0,
        variables={"MODE": "slow"},
        resources={"cpu": 1, "memory": "512MiB"},
        timeout="2m",
        retries=3,
    )
    job = train(subject)
    assert "--from_model_url=@in/from_model" in job.run.argv
    assert "--seed=0" in job.run.argv
    assert job.inputs[1] == JobInput("from_model", Tree(STORE, None, "5" * 64))
    assert job.run.variables == {"MODE": "slow"}
    assert job.run.limits == Limits(1.0, 512 * 2**20)
    assert (job.timeout, job.retry) == (120.0, 3)


def test_several_inputs(world):
    """Each input is an option and a folder of its own."""
    inputs = {"first": "digits", "second": {"dataset": "digits", "usages": ["TRAIN", "EVAL", "TRAIN"]}}
    job = train(world.training(inputs=inputs))
    assert job.run.argv[2:4] == ("--first_url=@in/first", "--second_url=@in/second")
    assert [(each.name, each.usages) for each in job.inputs] == [("first", ("TRAIN",)), ("second", ("EVAL", "TRAIN"))]


def test_evidence_is_about_the_output(world):
    """It is identified by the model's digest, not by how it was made; accept is in no identity."""
    subject = world.training()
    part = evidence(subject)
    own = subject.address
    assert part.recipe["subject"] == OutputRef(own, "digest")
    assert set(part.recipe) == {"subject", "data", "usages", "engine", "toolchain"}
    job = part.steps[1]
    assert job.inputs[0] == JobInput("model", Tree(STORE, None, OutputRef(own, "tree.model")))
    assert job.inputs[1].usages == ("EVAL",)
    assert part.steps[-1].series is None
    lenient = world.training(evaluate={"data": "digits", "accept": {"accuracy": {"min": 0.1}}})
    assert evidence(lenient).recipe == part.recipe
    fewer = world.training(evaluate={"data": "digits", "samples": 10})
    assert evidence(fewer).recipe["samples"] == 10
    assert "--samples=10" in evidence(fewer).steps[1].run.argv


def test_the_gate(world):
    """Conditions become a gate; without any everything is accepted, without an evaluation there is no gate."""
    conditions = {"accuracy": {"min": 0.95}, "f1": {"min": 0.5, "max": 1}}
    gate = KIND.desire(world.training(evaluate={"data": "digits", "accept": conditions})).gate
    assert gate.conditions == conditions
    assert KIND.desire(world.training(evaluate={"data": "digits"})).gate.conditions == {}
    unmeasured = KIND.desire(world.training(evaluate=None))
    assert unmeasured.gate is None
    assert [part.name for part in unmeasured.parts] == ["output"]


def test_the_figures_of_a_gate_are_measured():
    """What `accept` may name is what the procedure gives."""
    assert sorted(get_args(Figure)) == sorted(FIGURES)


def test_parameters_are_checked_against_the_algorithm(world):
    """Every bad value at once, each at its place in the document."""
    desire = KIND.desire(world.training(parameters={"C": "ten", "kernal": "rbf"}))
    assert not desire.parts
    assert [(each.code, each.path, each.hint) for each in desire.diagnostics] == [
        ("SF218", ("parameters", "kernal"), "did you mean `kernel`?"),
        ("SF218", ("parameters", "C"), "write a number"),
    ]


def test_options_that_would_be_given_twice(world):
    """Names of inputs and parameters that would meet on the command line are refused."""
    (reserved,) = KIND.desire(world.training(inputs={"train": "digits"})).diagnostics
    assert (reserved.code, reserved.path) == ("SF219", ("inputs", "train"))
    clashing = world.algorithm_input(parameters={"seed": {"type": "int"}, "data_url": {"type": "str"}})
    subject = world.training(seed=1, parameters={})
    found = KIND.desire(replace(subject, inputs={**subject.inputs, "algorithm": clashing})).diagnostics
    assert [each.path for each in found] == [("seed",), ("inputs",)]


def test_samples_that_will_not_be_there(world):
    """A data set without a split has only TRAIN: measuring on EVAL is refused before anything is trained."""
    subject = world.training()
    whole = replace(subject.inputs["evaluate.data"], spec=world.dataset(split=None).spec)
    undivided = replace(subject, inputs={**subject.inputs, "evaluate.data": whole, "inputs.data.dataset": whole})
    (found,) = KIND.desire(undivided).diagnostics
    assert (found.code, found.path) == ("SF221", ("evaluate", "data"))
    assert found.hint == "give dataset.digits a `split`, or ask for `usages: [TRAIN]`"
    pinned = replace(whole, version="V001")
    assert not KIND.desire(replace(undivided, inputs={**undivided.inputs, "evaluate.data": pinned})).diagnostics
    trained = world.training(evaluate={"data": "digits", "usages": ["TRAIN"]})
    assert not KIND.desire(replace(trained, inputs={**trained.inputs, "evaluate.data": whole})).diagnostics


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"inputs": {}}, "at least 1 item"),
        ({"inputs": {"a b": "digits"}}, "should match pattern"),
        ({"inputs": {"data": {"dataset": "digits", "usages": ["EVERYTHING"]}}}, "'TRAIN', 'EVAL' or 'TEST'"),
        ({"inputs": {"data": 7}}, "valid dictionary"),
        ({"evaluate": {"data": "digits", "accept": {"acuracy": {"min": 1}}}}, "'accuracy'"),
        ({"evaluate": {"data": "digits", "accept": {"accuracy": {}}}}, "a condition needs `min` or `max`"),
        ({"evaluate": {"data": "digits", "accept": {"accuracy": {"min": float("nan")}}}}, "finite number"),
        ({"timeout": "soon"}, "`soon` is not a length of time"),
        ({"resources": {"memory": "much"}}, "`much` is not an amount of memory"),
        ({"resources": {"cpu": 0}}, "greater than 0"),
        ({"nodes": 2}, "should be 1"),
        ({"retries": 11}, "less than or equal to 10"),
        ({"parameters": {"C": [1]}}, "valid"),
        ({"variables": {"A B": "x"}}, "should match pattern"),
    ],
)
def test_documents_that_are_refused(world, fields, words):
    """A value that cannot be meant is an error of the document."""
    with pytest.raises(ValidationError, match=words):
        world.training(**fields)


def test_the_short_form_of_an_input_is_in_the_schema():
    """An editor accepts both forms of an input."""
    schema = KIND.spec.model_json_schema()
    assert schema["$defs"]["TrainingInput"]["anyOf"][0]["type"] == "string"
    assert schema["$defs"]["TrainingInput"]["anyOf"][1]["required"] == ["dataset"]
