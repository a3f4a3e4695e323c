"""Versions: refused, renamed, lost, made again; their evidence and their references."""

from __future__ import annotations

import pytest
from fakes import User, actions, program, world

from specforge.core.address import Address
from specforge.core.state import Status
from specforge.core.values import Place
from specforge.executors.fake import Fault, Made, SimulatedCrash

TRAINING = Address("training", "digits")
DATASET = Address("dataset", "digits")
STORE = Place(
    "fake-store",
    "artifacts",
)
STRICT = {"data": "digits", "accept": {"accuracy": {"min": 0.9999}}}
PLAIN = {"data": "digits", "accept": {"accuracy": {"min": 0.5}}}


@pytest.fixture
def user() -> User:
    return User(world())


def record(user: User):
    return user.state.resources[TRAINING]


def statuses(user: User) -> dict[str, str]:
    return {each.version: each.status.value for each in record(user).versions}


def other_bytes(user: User, step: str = "train") -> None:
    """From now on this step leaves other bytes: another machine."""
    runs = iter(range(1000))

    def noisy(call):
        made = program(call)
        if call.step.name != step:
            return made
        salt = str(next(runs)).encode()
        return Made({path: content + salt for path, content in made.files.items()}, made.log)

    user.world.program = noisy


def references(user: User) -> set[tuple[str, str, int]]:
    """Which address of this lineage refers to which build."""
    lineage = user.state.ref.lineage
    return {
        (address, identity, build)
        for store in user.world.stores.values()
        for (identity, build), holders in store.references.items()
        for address in (holders[lineage].addresses if lineage in holders else ())
    }


def recorded(user: User) -> set[tuple[str, str, int]]:
    """Which address records which build."""
    found = set()
    for address, resource in user.state.resources.items():
        for version in resource.versions:
            found.add((str(address), version.identity, version.build))
            if version.evidence is not None:
                found.add((str(address), version.evidence.identity, version.evidence.build))
    return found


# ---- refused ----


def test_a_description_of_a_refused_version_is_recorded_and_is_no_failure(user):
    """That it is refused was found before; the apply that records a description does not fail again."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 3.0}, evaluate=STRICT)
    assert user.apply().failed
    user.edit("digits", "TrainingJob", description="tried")
    result = user.apply()
    assert not result.failed
    assert result.outcomes[TRAINING].outcome == "done"
    assert "V0001 stays current" in result.outcomes[TRAINING].words
    assert user.plan().empty


def test_a_name_for_a_version_that_the_gate_refuses_is_given_once(user):
    """A raised gate and a name at once: refused under the new name, and then there is nothing left to do."""
    user.apply()
    user.edit("digits", "TrainingJob", version="best", evaluate=STRICT)
    assert user.apply().failed
    assert record(user).current == "V0001"
    assert user.plan().empty
    user.edit("digits", "TrainingJob", evaluate=PLAIN)
    assert not user.apply().failed
    assert record(user).current == "best"
    assert user.plan().empty
    assert user.starts("evaluate") == 1


def test_a_refused_newcomer_says_nothing_about_the_version_that_stays(user):
    """What is current stays marked below accept until something better takes its place."""
    user.apply()
    user.edit("digits", "TrainingJob", evaluate=STRICT)
    user.apply()
    marked = record(user).below_accept
    user.edit("digits", "TrainingJob", parameters={"C": 3.0})
    assert user.apply().failed
    assert marked
    assert (record(user).current, record(user).below_accept) == ("V0001", marked)
    user.edit("digits", "TrainingJob", evaluate=PLAIN)
    user.apply()
    assert (record(user).current, record(user).below_accept) == ("V0002", ())


def test_a_refused_first_version_holds_back_what_needs_it(user):
    """Nothing is current: what follows is skipped, named after its cause, and later waits."""
    user.edit("digits", "TrainingJob", evaluate=STRICT)
    result = user.apply()
    assert result.outcomes[TRAINING].outcome == "refused"
    assert result.outcomes[Address("training", "finer")].because == TRAINING
    assert record(user).current is None
    assert user.plan().empty
    user.edit("digits", "TrainingJob", evaluate=None)
    assert not user.apply().failed
    assert record(user).current == "V0001"
    assert user.plan().empty
    assert user.starts("train") == 2


def test_a_refused_first_version_whose_data_are_lost(user):
    """It is not made again while it is refused; accepted, it is found to be lost and made again."""
    user.edit("digits", "TrainingJob", evaluate=STRICT)
    user.apply()
    user.world.lose(record(user).versions[0].identity)
    assert user.plan().empty
    user.edit("digits", "TrainingJob", evaluate=PLAIN)
    for _ in range(3):
        user.apply()
    assert user.plan().empty
    assert record(user).current == "V0001"
    assert (
        user.world.store(STORE).missing(
            user.world.store(STORE).builds[record(user).current_version.identity][1], hashed=True
        )
        == []
    )


def test_an_unjudged_version_is_promoted_when_the_evaluation_is_taken_away(user):
    """Killed before the gate judged, then without a gate: it becomes current, nothing is made."""
    user.world.faults = {}
    twin = User(world())
    twin.apply(parallelism=1)
    effects = [each.effect for each in twin.world.points]
    user.world.faults = {
        len(effects) - 1 - effects[::-1].index("toolchain") if "toolchain" in effects[3:] else 0: Fault.CRASH
    }
    evaluate = [n for n, job in enumerate(twin.world.jobs.values()) if job.call.step.name == "evaluate"]
    assert evaluate
    user.world.program = lambda call: crash_at_evaluation(call)
    user.world.faults = {}
    with pytest.raises(SimulatedCrash):
        user.apply(parallelism=1)
    user.world.program = program
    assert record(user).versions[0].status is Status.UNJUDGED
    assert record(user).current is None
    user.edit("digits", "TrainingJob", evaluate=None)
    assert not user.apply().failed
    assert record(user).current == "V0001"
    assert statuses(user) == {"V0001": "ready"}
    assert user.plan().empty


def crash_at_evaluation(call):
    if call.step.name == "evaluate":
        raise SimulatedCrash("while it is evaluated")
    return program(call)


def test_an_evaluation_taken_away_and_added_again_is_not_made_again(user):
    """The figures are recorded with the version."""
    user.apply()
    user.edit("digits", "TrainingJob", evaluate=None)
    assert not user.apply().failed
    user.edit("digits", "TrainingJob", evaluate=PLAIN)
    assert not user.apply().failed
    assert user.starts("evaluate") == 1
    assert user.plan().empty


# ---- names ----


def test_a_name_for_the_current_version_takes_its_figures_along(user):
    """Two names of one build: the second one has the evidence, the time and the verdict of the first."""
    user.apply()
    user.edit("digits", "TrainingJob", version="best")
    assert not user.apply().failed
    named = record(user).version("best")
    first = record(user).version("V0001")
    assert record(user).current == "best"
    assert (named.build, named.evidence, named.seconds) == (first.build, first.evidence, first.seconds)
    assert user.plan().empty
    user.edit("digits", "TrainingJob", version=None)
    assert user.plan().pending[0].action.value == "update"
    assert not user.apply().failed
    assert record(user).current == "best"
    assert user.starts("train") == 2
    assert user.plan().empty


def test_a_version_keeps_its_place_in_the_record(user):
    """Going back does not reorder the versions."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 2.0})
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 10.0})
    user.apply()
    assert [each.version for each in record(user).versions] == ["V0001", "V0002"]


# ---- lost and made again ----


def test_a_rebuild_with_the_same_bytes_is_reproducible(user):
    """The same build, whole again."""
    user.apply()
    user.world.lose(record(user).current_version.identity)
    assert not user.apply().failed
    assert record(user).current == "V0001"
    assert record(user).current_version.reproducible == "yes"
    assert record(user).current_version.build == 1


def test_a_rebuild_with_other_bytes_is_a_new_version_and_the_old_one_is_lost(user):
    """It is evaluated and judged like any other, and what follows follows."""
    user.apply()
    other_bytes(user)
    user.world.lose(record(user).current_version.identity)
    assert not user.apply().failed
    assert statuses(user) == {"V0001": "lost", "V0002": "ready"}
    assert {each.reproducible for each in record(user).versions} == {"no"}
    assert user.starts("evaluate") == 2
    assert user.plan().empty


def test_a_rebuild_that_the_gate_refuses_takes_no_place_and_is_not_made_again(user):
    """Lost, made again with other bytes, refused: said once; then there is nothing to do until something changes."""
    user.apply()
    user.edit("digits", "TrainingJob", evaluate=STRICT)
    assert user.apply().failed
    other_bytes(user)
    user.world.lose(record(user).current_version.identity)
    assert user.apply().outcomes[TRAINING].outcome == "refused"
    assert statuses(user) == {"V0001": "lost", "V0002": "refused"}
    assert user.plan().empty
    user.edit("digits", "TrainingJob", evaluate=PLAIN)
    user.apply()
    assert record(user).current == "V0002"
    assert user.plan().empty


def test_bytes_that_come_back_are_the_old_version_again(user):
    """A B A: the first build is whole again, the second one is lost, and nobody calls it reproducible."""
    user.apply()
    other_bytes(user)
    user.apply(user.plan(replace=(TRAINING,)))
    user.world.program = program
    user.apply(user.plan(replace=(TRAINING,)))
    assert record(user).current == "V0001"
    assert statuses(user) == {"V0001": "ready", "V0002": "lost"}
    assert {each.reproducible for each in record(user).versions} == {"no"}
    assert user.plan().empty


def test_what_somebody_else_has_made_again_is_reused(user):
    """Two environments lost the same build; one made it again with other bytes: the other one takes that."""
    user.apply()
    other = User(user.world, environment="dev")
    other.apply()
    user.world.lose(record(user).current_version.identity)
    other_bytes(user)
    assert not other.apply().failed
    trained = user.starts("train")
    plan = user.plan()
    assert actions(plan)["training.digits"].value == "reuse"
    assert not user.apply(plan).failed
    assert statuses(user) == {"V0001": "lost", "V0002": "ready"}
    assert user.starts("train") == trained
    assert user.plan().empty


def test_replace_of_an_input_and_what_follows_makes_both_again(user):
    """Also when the input's bytes come out equal, what was asked for is done."""
    user.apply()
    assert not user.apply(user.plan(replace=(DATASET, TRAINING))).failed
    assert user.starts("publish") == 2
    assert user.starts("train") == 3
    assert user.plan().empty


def test_lost_evidence_is_made_again(user):
    """Only the evaluation runs; the version stays."""
    user.apply()
    user.world.lose(record(user).current_version.evidence.identity)
    plan = user.plan()
    assert len(plan.drift) == 1
    assert not user.apply(plan).failed
    assert user.starts("evaluate") == 2
    assert user.starts("train") == 2
    assert user.plan().empty


def test_output_and_evidence_that_were_lost_together_are_made_again_by_one_apply(user):
    """The evaluation of what had to be made again is looked for, not taken for granted."""
    user.apply()
    version = record(user).current_version
    user.world.lose(version.evidence.identity)
    user.world.lose(version.identity)
    assert not user.apply().failed
    assert (user.starts("train"), user.starts("evaluate")) == (3, 2)
    assert user.plan().empty


# ---- references ----


def test_evidence_that_was_replaced_is_let_go(user):
    """Each evaluation that is no longer recorded can be deleted by whoever else has it."""
    user.apply()
    user.edit("digits", "TrainingJob", evaluate={**PLAIN, "samples": 2})
    user.apply()
    user.edit("digits", "TrainingJob", evaluate={**PLAIN, "samples": 3})
    user.apply()
    assert references(user) == recorded(user)


def test_a_reused_version_has_a_trace_before_its_reference(user):
    """Killed between taking the reference and recording it, then edited: the reference goes again."""
    user.apply()
    clone = User(user.world)
    clone.documents = clone.documents[:3]
    twin = len(user.world.points)
    clone.world.faults = {("after", "publish reference"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        clone.apply(parallelism=1)
    clone.world.heal()
    assert twin < len(user.world.points)
    clone.world.project["data/digits/1/more.png"] = b"more"
    assert not clone.apply().failed
    assert references(clone) == recorded(clone)


def test_an_evaluation_that_was_begun_and_is_no_longer_wanted_leaves_no_reference(user):
    """Published by the run that is let go: the reference is taken away."""
    user.world.faults = {}
    user.apply()
    user.edit("digits", "TrainingJob", evaluate={**PLAIN, "samples": 2})
    user.world.faults = {("after", "publish reference"): Fault.CRASH}
    with pytest.raises(SimulatedCrash):
        user.apply()
    user.world.heal()
    for finish in (False, True):
        user.edit("digits", "TrainingJob", evaluate={**PLAIN, "samples": 3 + finish})
        assert not user.apply(finish_running=finish).failed
        assert references(user) == recorded(user)


def test_delete_artifacts_lets_go_of_everything(user):
    """After edits, rebuilds and evaluations: no reference is left, and none of the recorded versions' data."""
    user.apply()
    other_bytes(user)
    user.apply(user.plan(replace=(TRAINING,)))
    user.edit("digits", "TrainingJob", evaluate={**PLAIN, "samples": 2})
    user.apply()
    assert not user.destroy(delete_artifacts=True).failed
    assert references(user) == set()
    assert not any(b.trees.get("model") for b in user.world.store(STORE).living())
