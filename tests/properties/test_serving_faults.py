"""Faults at any point of changes of services over a fake world: traffic never breaks, and nothing is left over.

`SPECFORGE_FAULT_CASES=20000 pytest tests/properties` runs more cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import FREE, Services, services_of
from stories import CASES, COMMITS, FAULTS, SHARES, as_many, misfortune, references_are_true, state_is_true

from specforge.executors.fake import Fault

# ---- what happens before a command ----


def parameter(services: Services, value: int) -> None:
    """Another model is served."""
    services.user.edit("digits", "TrainingJob", parameters={"C": float(1 + value // 2)})


def of_service(**fields: Callable[[int], Any]) -> Callable[[Services, int], None]:
    """An edit of one of the services."""

    def edit(services: Services, value: int) -> None:
        services.edit(value, **{name: made(value // 2) for name, made in fields.items()})

    return edit


def shares(value: int) -> list[dict[str, Any]] | None:
    """Weights of a version that stays and the current one."""
    weight = (90, 10, 50)[value]
    return [
        {"model": "digits@0.0.1", "weight": weight, "replicas": 1 + value % 2},
        {"model": "digits", "weight": 100 - weight},
    ]


EDITS: dict[str, Callable[[Services, int], None]] = {
    "parameter": parameter,
    "options": of_service(request=lambda value: {"queue": 5 + value}),
    "replicas": of_service(replicas=lambda value: 1 + value),
    "serves": of_service(serves=shares),
    "alone": of_service(model=lambda _: "digits"),
    "pool": of_service(pool=lambda value: ("here", "there", "here")[value]),
    "port": lambda services, value: services.move_to(value, FREE[value // 2]),
    "swap": lambda services, _: services.swap(),
    "removed": lambda services, value: services.remove(value),
    "declared": lambda services, value: services.declare(value),
    "renamed": lambda services, value: services.rename(value),
}

# ---- a story ----


@dataclass(frozen=True)
class Episode:
    """One command of the user: edits, something befalls the world, then a command in which something may go wrong."""

    edits: list[tuple[str, int]]
    befalls: str
    whom: int
    bad: tuple[str, int] | None
    fault: Fault | None
    point: int
    commit: str | None
    commit_number: int
    command: str
    parallelism: int


COMMANDS = ["apply"] * 8 + ["stop", "start", "start", "destroy", "target"]
CALM = ("nothing", "restart")
BEFALLS = ["nothing"] * 6 + ["group", "replica", "gateway", "routes", "restart", "lose"]

episodes = st.builds(
    Episode,
    edits=st.lists(st.tuples(st.sampled_from(list(EDITS)), st.integers(0, 5)), max_size=3),
    befalls=st.sampled_from(BEFALLS),
    whom=st.integers(0, 5),
    bad=st.none() | st.none() | st.tuples(st.sampled_from(["unready", "crashing"]), st.integers(5, 7)),
    fault=FAULTS,
    point=st.integers(0, 24),
    commit=COMMITS,
    commit_number=st.integers(1, 8),
    command=st.sampled_from(COMMANDS),
    parallelism=st.sampled_from([1, 1, 3]),
)


def play(services: Services, episode: Episode) -> None:
    """Run one command in which the fault may strike."""
    user, serving = services.user, services.user.world.serving
    for edit, value in episode.edits:
        EDITS[edit](services, value)
    services.befall(episode.befalls, episode.whom)
    how, queue = episode.bad or ("", 0)
    word = f"--queue={queue}"
    if how and not any(word in group.run.argv for group in serving.groups.values()):
        getattr(serving, how).add(word)  # what is started with this option never gets ready

    def apply(**options: Any) -> None:
        plan = user.plan(**options)
        with services.watched(plan):
            user.apply(plan, parallelism=episode.parallelism)

    commands: dict[str, Callable[[], None]] = {
        "apply": apply,
        "target": lambda: apply(targets=(services.one(episode.whom),)),
        "destroy": lambda: apply(destroy=True),
        "stop": lambda: services.stop(services.one(episode.whom)),
        "start": lambda: services.start(services.one(episode.whom)),
    }
    misfortune(user, episode, commands[episode.command])
    serving.unready.clear()
    serving.crashing.clear()


@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_goes_wrong_services_answer_and_converge(share: int) -> None:
    """Commands with faults at any point: traffic goes on; then commands without: exactly what is wished is there."""

    @as_many(CASES)
    @given(st.booleans(), st.lists(episodes, min_size=1, max_size=4), st.just(share))
    def converges(begun: bool, story: list[Episode], _share: int) -> None:
        services = services_of()
        user = services.user
        if begun:
            user.apply()
        reachable = all(episode.fault is not Fault.UNREACHABLE for episode in story)
        calm = True
        for episode in story:
            play(services, episode)
            user.world.check()
            state_is_true(user)
            services.record_is_true()
            calm = calm and episode.befalls in CALM and episode.fault is not Fault.LOSE
            if calm:  # what our own commands left half done is no drift
                assert [each for each in services.drift() if each.startswith("service.")] == []
        services.converge()
        user.world.check()
        state_is_true(user)
        if reachable:
            references_are_true(user, settled=True)
        services.are_as_wished()

    converges()
