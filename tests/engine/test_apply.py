"""Apply over a fake world: what is done, what is reused, what is recorded."""

from __future__ import annotations

import pytest
from fakes import User, actions, change_of, world

from specforge.core.address import Address
from specforge.planner.plan import Action, Verb

TRAINING = Address("training", "digits")
DATASET = Address("dataset", "digits")


@pytest.fixture
def user() -> User:
    return User(world())


def test_first_apply_makes_everything_and_the_next_plan_is_empty(user):
    """After an apply there is nothing left to do, and nothing is done twice."""
    result = user.apply()
    assert not result.failed, result.outcomes
    assert user.plan().empty
    assert user.state.resources[TRAINING].current == "V0001"
    assert user.starts("train") == 2
    user.world.check()


def test_description_is_metadata_only(user):
    """An edited description is recorded; nothing runs."""
    user.apply()
    user.edit("digits", "Dataset", description="handwritten")
    plan = user.plan()
    assert actions(plan) == {"dataset.digits": Action.UPDATE}
    assert all(each.verb is Verb.KEEP for each in change_of(plan, "dataset.digits").parts)
    user.apply(plan)
    assert user.starts("publish") == 1
    assert user.plan().empty


def test_parameter_and_its_revert(user):
    """An edited parameter trains V0002; reverted, V0001 is current again and nothing is trained."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 5.0})
    plan = user.plan()
    assert actions(plan) == {"training.digits": Action.NEW_VERSION, "training.finer": Action.NEW_VERSION}
    assert change_of(plan, "training.finer").if_changed == (TRAINING,)
    assert [each.path for each in change_of(plan, "training.digits").fields] == ["parameters.C"]
    user.apply(plan)
    assert user.state.resources[TRAINING].current == "V0002"
    trained = user.starts("train")
    user.edit("digits", "TrainingJob", parameters={"C": 10.0})
    plan = user.plan()
    assert actions(plan)["training.digits"] is Action.REUSE
    user.apply(plan)
    assert user.state.resources[TRAINING].current == "V0001"
    assert user.starts("train") == trained
    assert user.plan().empty


def test_code_comment_is_cut_off_below(user):
    """Other code, the same bytes: the version is new, what follows is cut off."""
    user.world.program = lambda call: _same_bytes(call)
    user.apply()
    user.world.project["code/train.py"] = b"train()  # better\n"
    plan = user.plan()
    assert change_of(plan, "training.digits").if_changed == ()
    assert "code changed" in change_of(plan, "training.digits").reasons[0].text
    result = user.apply(plan)
    assert result.outcomes[TRAINING].version == "V0002"
    assert "same bytes" in result.outcomes[TRAINING].words


def _same_bytes(call):
    from fakes import program

    from specforge.executors.fake import Made

    made = program(call)
    if call.step.name != "train":
        return made
    return Made(dict.fromkeys(made.files, b"the model"), made.log)


def test_second_clone_reuses_everything(user):
    """With an empty state and the same store nothing is trained."""
    user.apply()
    jobs = len(user.world.jobs)
    clone = User(user.world)
    plan = clone.plan()
    assert actions(plan)["training.digits"] is Action.REUSE
    assert not clone.apply(plan).failed
    assert len(user.world.jobs) == jobs
    assert clone.plan().empty


def test_destroy_then_apply_trains_nothing(user):
    """Destroy forgets, the store keeps: the next apply finds everything."""
    user.apply()
    jobs = len(user.world.jobs)
    assert not user.destroy().failed
    assert not user.state.resources
    assert not user.apply().failed
    assert len(user.world.jobs) == jobs
    assert user.plan().empty


def test_delete_artifacts_is_refused_while_others_use_them(user):
    """Two environments share a store; what the other uses is kept."""
    user.apply()
    other = User(user.world, environment="dev")
    other.apply()
    result = other.destroy(delete_artifacts=True)
    assert result.failed
    assert result.outcomes[DATASET].outcome == "refused"
    assert user.plan().empty
    assert not user.destroy(delete_artifacts=True).failed
    user.apply()
    assert user.plan().empty


def test_raised_accept_never_demotes(user):
    """An accept above the accuracy trains nothing; the current version stays, marked; the finding apply fails."""
    user.apply()
    user.edit("digits", "TrainingJob", evaluate={"data": "digits", "accept": {"accuracy": {"min": 0.9999}}})
    plan = user.plan()
    assert actions(plan) == {"training.digits": Action.UPDATE}
    assert user.apply(plan).failed
    assert user.state.resources[TRAINING].current == "V0001"
    assert user.state.resources[TRAINING].below_accept
    plan = user.plan()
    assert plan.empty
    assert "below accept" in change_of(plan, "training.digits").note


def test_refused_version_is_not_made_again_and_promoted_later(user):
    """A refused version is recorded, never current; when accept is relaxed it is promoted without work."""
    user.apply()
    strict = {"data": "digits", "accept": {"accuracy": {"min": 0.9999}}}
    user.edit("digits", "TrainingJob", parameters={"C": 3.0}, evaluate=strict)
    assert user.apply().outcomes[TRAINING].outcome == "refused"
    assert user.state.resources[TRAINING].current == "V0001"
    trained = user.starts("train")
    assert user.plan().empty
    user.edit("digits", "TrainingJob", evaluate={"data": "digits", "accept": {"accuracy": {"min": 0.5}}})
    assert not user.apply().failed
    assert user.state.resources[TRAINING].current == "V0002"
    assert user.starts("train") == trained + 1  # training.finer follows
    assert user.plan().empty


def test_failed_job_skips_what_follows_and_is_tried_again(user):
    """A failing job fails its change, skips its users, and the next apply makes a new attempt."""
    from specforge.executors.fake import Made

    good = user.world.program
    user.world.program = lambda call: Made(exit=3) if call.step.name == "train" else good(call)
    result = user.apply()
    assert result.failed
    assert result.outcomes[TRAINING].outcome == "failed"
    assert result.outcomes[Address("training", "finer")].because == TRAINING
    user.world.program = good
    assert not user.apply().failed
    assert user.plan().empty
    user.world.check()


def test_lost_output_is_drift_and_is_rebuilt(user):
    """Data gone from the store are said to be lost and made again."""
    user.apply()
    user.world.lose(user.state.resources[TRAINING].current_version.identity)
    plan = user.plan()
    assert [str(each.address) for each in plan.drift] == ["training.digits"]
    assert not user.apply(plan).failed
    assert user.plan().empty
    assert user.state.resources[TRAINING].current == "V0001"


def test_unreachable_store_changes_nothing(user):
    """Nothing is created or destroyed at a place that cannot be asked; the apply says so and fails."""
    user.apply()
    user.edit("digits", "TrainingJob", parameters={"C": 2.0})
    user.world.unreachable.add("fake-store:artifacts")
    plan = user.plan()
    assert plan.unreachable
    assert not plan.pending
    assert user.apply(plan).failed
    user.world.heal()
    assert not user.apply().failed


def test_replace_makes_again(user):
    """--replace trains again although nothing changed."""
    user.apply()
    result = user.apply(user.plan(replace=(TRAINING,)))
    assert not result.failed
    assert user.starts("train") == 3
    assert user.plan().empty


def test_removed_document_is_forgotten(user):
    """YAML that is gone: the artifact is forgotten, its data are kept."""
    user.apply()
    user.documents = tuple(each for each in user.documents if each["name"] != "finer")
    plan = user.plan()
    assert actions(plan) == {"training.finer": Action.FORGET}
    user.apply(plan)
    assert user.plan().empty
