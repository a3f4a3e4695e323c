"""What holds for every plan: random layered projects, applied perfectly, edited, in a random world.

`SPECFORGE_PLAN_CASES=1000 pytest tests/planner/test_properties.py` runs more cases of each.
"""

from __future__ import annotations

import copy
import json
import os
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from paper import NOW, Paper, PaperWorld, make_plan, project_of

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.errors import PlanError
from specforge.core.queries import Query, Seen
from specforge.core.state import State
from specforge.core.steps import place_of_step
from specforge.core.values import Frozen
from specforge.planner.compute import plan
from specforge.planner.graph import build_graph
from specforge.planner.plan import Action, Options, Plan, Verb, plan_registry

many = settings(
    max_examples=int(os.environ.get("SPECFORGE_PLAN_CASES", "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
STORES, POOLS = ("artifacts", "elsewhere"), ("here", "there")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


# ---- random projects ----


@st.composite
def datasets(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Return a dataset's document."""
    seed = draw(st.integers(0, 2))
    return {
        "kind": "Dataset",
        "name": f"d{number}",
        "task": "image_classification",
        "source": f"data/{draw(st.integers(0, 2))}",
        "split": {"train": 0.8, "seed": seed},
        "description": draw(TEXTS),
        "store": draw(st.sampled_from(STORES)),
        "pool": draw(st.sampled_from(POOLS)),
    }


@st.composite
def trainings(draw: st.DrawFn, number: int, datasets: int, algorithms: int) -> dict[str, Any]:
    """Return a training's document; it may go on from any training before it."""
    chosen = draw(st.lists(st.integers(0, datasets - 1), min_size=1, max_size=2))
    document: dict[str, Any] = {
        "kind": "TrainingJob",
        "name": f"t{number}",
        "algorithm": f"a{draw(st.integers(0, algorithms - 1))}",
        "inputs": {f"in{index}": f"d{each}" for index, each in enumerate(chosen)},
        "parameters": {"C": draw(st.integers(0, 2))},
        "description": draw(TEXTS),
        "store": draw(st.sampled_from(STORES)),
        "pool": draw(st.sampled_from(POOLS)),
    }
    if number and draw(st.booleans()):
        document["from_model"] = f"t{draw(st.integers(0, number - 1))}"
    if draw(st.booleans()):
        bound = draw(st.sampled_from([0.5, 0.9, 0.99]))
        document["evaluate"] = {"data": f"d{chosen[0]}", "accept": {"accuracy": {"min": bound}}}
    return document


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return a layered project of 5 to 12 resources."""
    found: list[dict[str, Any]] = [{"kind": "Store", "name": name, "folder": name} for name in STORES]
    found += [{"kind": "Pool", "name": name, "local": {"slots": draw(st.integers(1, 2))}} for name in POOLS]
    some = draw(st.integers(1, 3))
    methods = draw(st.integers(1, 2))
    found += [draw(datasets(number)) for number in range(some)]
    for number in range(methods):
        parameters = {"C": {"type": "float", "default": draw(st.sampled_from([1.0, 2.0]))}}
        method = {"kind": "Algorithm", "name": f"a{number}", "framework": "scikit-learn", "parameters": parameters}
        found.append({**method, "code": f"code/{draw(st.integers(0, 1))}", "boot": "train.py"})
    jobs = draw(st.integers(0, 3))
    found += [draw(trainings(number, some, methods)) for number in range(jobs)]
    return found


def files(salt: str = "") -> dict[str, str]:
    """Return the user's files."""
    made = {f"data/{number}/{label}/a.png": f"{number}{label}{salt}" for number in range(3) for label in "01"}
    return {**made, **{f"code/{number}/train.py": f"fit{number}()" for number in range(2)}}


def world(salt: str = "", accuracy: int = 1) -> PaperWorld:
    """Return a world; some recipes give equal bytes, and what is measured depends on the recipe."""
    made = PaperWorld(files(salt))
    made.bytes_of = lambda prefix, recipe: [prefix, {k: v for k, v in recipe.items() if k not in ("runnable", "seed")}]
    made.figures = lambda recipe: Frozen(accuracy=0.4 + 0.2 * (len(str(recipe["subject"])) + accuracy) % 0.6)
    return made


@st.composite
def papers(draw: st.DrawFn) -> Paper:
    """Return a project in any state: never applied, applied, applied and edited, some of its world lost."""
    paper = Paper(draw(documents()))
    paper.world = world(accuracy=draw(st.integers(0, 3)))
    if draw(st.booleans()):
        paper.apply()
        if draw(st.booleans()):
            paper.documents = draw(documents())
        if draw(st.booleans()):
            paper.world.files |= files("!")
        lose(draw, paper)
    return paper


def lose(draw: st.DrawFn, paper: Paper) -> None:
    """Let data of some builds, and some places, be gone."""
    for kept in paper.world.stores.values():
        builds = sorted(
            (identity, number) for identity, made in kept.builds.items() for number in range(1, len(made) + 1)
        )
        if builds and draw(st.booleans()):
            kept.damaged.add(draw(st.sampled_from(builds)))
    places = sorted(map(str, paper.world.places))
    paper.world.gone |= set(draw(st.lists(st.sampled_from(places), max_size=1)))


def outages(draw: st.DrawFn, paper: Paper) -> None:
    """Let some places be out of reach."""
    known = ["folder:.", *(f"folder:{name}" for name in STORES), *(f"local:.specforge/pools/{name}" for name in POOLS)]
    paper.world.unreachable = set(draw(st.lists(st.sampled_from(known), max_size=2)))


def planned(paper: Paper, **options: Any) -> Plan:
    """Return the plan; a project that contradicts what is published is no case of these tests."""
    try:
        return paper.plan(**options)
    except PlanError:
        assume(False)
        raise


# ---- what holds ----


@many
@given(papers())
def test_a_perfect_apply_leaves_nothing_to_do(paper: Paper) -> None:
    """The next plan is empty and needs two rounds; the one after is the same."""
    for _ in range(2):
        planned(paper)
        assert paper.rounds <= 2 * build_graph(paper.project).levels + 2
        paper.apply()
    after = paper.plan()
    assert after.empty, [(str(each.address), each.action, each.reasons, each.fields) for each in after.pending]
    assert after.drift == ()
    assert paper.rounds == 2


@many
@given(papers(), st.randoms(use_true_random=False), st.data())
def test_the_same_things_in_another_order_give_the_same_plan(
    paper: Paper, chance: random.Random, data: st.DataObject
) -> None:
    """The order of documents, of the recorded resources and of the answers makes no difference."""
    outages(data.draw, paper)
    first = planned(paper)
    answers: list[tuple[Query, Seen]] = [(q, paper.world.answer(q)) for batch in paper.asked for q in batch]
    mixed, resources = copy.deepcopy(paper.documents), list(paper.state.resources.items())
    for each in (mixed, resources, answers):
        chance.shuffle(each)
    project, state = project_of(mixed), replace(paper.state, resources=dict(resources))
    again = plan(project, build_graph(project), state, dict(answers), Options(), NOW)
    assert again == first
    step_by_step, asked = make_plan(project, paper.world, state, Options())
    assert step_by_step == first
    assert [set(batch) for batch in asked] == [set(batch) for batch in paper.asked]


@many
@given(papers(), st.booleans(), st.data())
def test_changes_come_after_what_they_wait_for(paper: Paper, destroy: bool, data: st.DataObject) -> None:
    """Deletes come before what they were made from."""
    outages(data.draw, paper)
    made = planned(paper, destroy=destroy)
    position = {change.address: index for index, change in enumerate(made.changes)}
    assert len(position) == len(made.changes)
    for change in made.changes:
        for other in change.waits_for:
            if other not in position:
                continue
            gone = change.spec is None
            assert (position[change.address] < position[other]) is gone or (gone and made.changes[position[other]].spec)


@many
@given(papers(), st.booleans(), st.data())
def test_nothing_is_made_or_taken_away_where_it_cannot_be_reached(
    paper: Paper, destroy: bool, data: st.DataObject
) -> None:
    """No step is planned at a place that did not answer; what is undecided is a no-op, and is listed."""
    outages(data.draw, paper)
    made = planned(paper, destroy=destroy)
    away = {str(each.place) for each in made.unreachable}
    assert away <= paper.world.unreachable
    for change in made.pending:
        work = [s for each in change.parts if each.verb in (Verb.MAKE, Verb.MAYBE, Verb.FIND) for s in each.part.steps]
        performed = [*work, *change.steps]
        if all(each.verb is Verb.FIND for each in change.parts):
            performed = [step for step in performed if type(step).__name__ == "Publish"]
        elif any(each.verb is Verb.FIND for each in change.parts):
            performed = [s for e in change.parts if e.verb in (Verb.MAKE, Verb.MAYBE) for s in e.part.steps]
        assert not {str(place_of_step(step)) for step in performed} & away
    undecided = {address for each in made.unreachable for address in each.addresses}
    for change in made.changes:
        if change.address in undecided:
            assert change.action is Action.NOOP
            assert change.note


@many
@given(papers(), st.data())
def test_what_is_not_an_action_has_no_work(paper: Paper, data: st.DataObject) -> None:
    """And every action has a reason that people can read, unless it creates."""
    outages(data.draw, paper)
    for change in planned(paper).changes:
        verbs = {each.verb for each in change.parts}
        if change.action is Action.NOOP:
            assert not verbs & {Verb.MAKE, Verb.MAYBE}
            assert (change.steps, change.work, change.fields, change.reasons) == ((), (), (), ())
        elif change.before is not None and change.before.made:
            assert change.fields or change.reasons or change.if_changed or change.refusals or change.below_accept
        assert bool(change.if_changed) <= (Verb.MAYBE in verbs)
        assert len({each.text for each in change.reasons}) == len(change.reasons)


@many
@given(documents(), TEXTS)
def test_descriptions_are_never_more_than_metadata(wanted: list[dict[str, Any]], text: str) -> None:
    """Whatever is written in them."""
    paper = Paper(wanted)
    paper.world = world()
    paper.world.figures = lambda recipe: Frozen(accuracy=1.0)
    paper.apply()
    for document in paper.documents:
        document["description"] = text
    plan = paper.plan()
    assert paper.rounds == 2
    for change in plan.pending:
        assert change.action is Action.UPDATE
        assert [each.path for each in change.fields] == ["description"]
        assert {each.verb for each in change.parts} <= {Verb.KEEP}
    paper.apply()
    assert paper.plan().empty


@many
@given(papers(), st.booleans(), st.data())
def test_a_saved_plan_is_the_plan(paper: Paper, destroy: bool, data: st.DataObject) -> None:
    """Through JSON and back."""
    outages(data.draw, paper)
    made = planned(paper, destroy=destroy, delete_artifacts=destroy)
    assert codec.decode(json.loads(json.dumps(codec.encode(made))), plan_registry()) == made


@many
@given(papers(), st.data())
def test_a_targeted_plan_is_part_of_the_whole(paper: Paper, data: st.DataObject) -> None:
    """What is planned for an address does not depend on what else is asked for."""
    whole = {change.address: change for change in planned(paper).changes}
    target = data.draw(st.sampled_from(sorted(paper.project.resources)))
    part = planned(paper, targets=(str(target),))
    needed = build_graph(paper.project).needs([target])
    assert {change.address for change in part.changes} == needed
    for change in part.changes:
        assert change == whole[change.address]


@many
@given(papers(), st.data())
def test_making_again_ends(paper: Paper, data: st.DataObject) -> None:
    """--replace is applied once and leaves an empty plan."""
    artifacts = sorted(a for a, each in paper.project.resources.items() if each.kind.version_pattern)
    target = data.draw(st.sampled_from(artifacts))
    planned(paper)
    paper.apply()
    paper.apply(replace=(str(target),))
    paper.apply()
    assert paper.plan().empty


@many
@given(papers())
def test_destroy_and_apply_bring_everything_back_without_work(paper: Paper) -> None:
    """What was published is found again."""
    planned(paper)
    paper.apply()
    paper.apply()
    for store in paper.world.stores.values():
        store.damaged.clear()  # of a version that is refused, which no plan looks at
    paper.apply(destroy=True)
    assert paper.state.resources == {}
    made = list(paper.world.trained)
    paper.apply()
    paper.apply()
    assert paper.world.trained == made
    assert paper.plan().empty


def test_the_planner_is_not_fooled_by_answers_it_did_not_ask_for(applied: Paper) -> None:
    """Answers to other questions are ignored."""
    project = applied.project
    strange = Paper()
    strange.apply()
    extra = {query: strange.world.answer(query) for batch in strange.asked for query in batch}
    made, asked = make_plan(project, applied.world, applied.state, Options())
    answers = {query: applied.world.answer(query) for batch in asked for query in batch}
    assert plan(project, build_graph(project), applied.state, {**extra, **answers}, Options(), NOW) == made


def test_input_and_output_in_a_plan_would_be_noticed(paper: Paper) -> None:
    """The guard that all these tests run under sees a kind that opens a file."""
    kind = paper.kinds.by_prefix["algorithm"]

    def reads(subject):
        with open(__file__, encoding="utf-8"):
            return kind.desire(subject)

    curious = replace(kind, desire=reads)
    paper.kinds = replace(
        paper.kinds,
        by_prefix={**paper.kinds.by_prefix, "algorithm": curious},
        by_document={**paper.kinds.by_document, "Algorithm": curious},
    )
    with pytest.raises(AssertionError, match="the planner did open"):
        paper.plan()


def test_an_empty_project_has_an_empty_plan() -> None:
    """In one round."""
    made, asked = make_plan(project_of([]), PaperWorld(), State(), Options())
    assert made.changes == ()
    assert made.empty
    assert asked == []
    assert Address("a", "b") not in made.changes
