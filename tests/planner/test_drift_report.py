"""Drift reports: what is recorded against what is there, without any wish."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paper import KINDS, NOW, Paper
from test_service_fates import Served

from specforge.core.address import Address
from specforge.core.queries import LookAtArtifact, Presence, Query, Seen
from specforge.core.values import frozen
from specforge.planner.drifting import DriftReport, drift
from specforge.planner.plan import Wanted
from specforge.schemas.kind import Kinds


def report(paper: Paper, *, hashed: bool = False, kinds: Kinds | None = None) -> tuple[DriftReport, list[Query]]:
    """Return the report and what was asked for it."""
    first = drift(paper.state, "default", kinds or paper.kinds, {}, NOW, hashed=hashed)
    asked = list(first.queries) if isinstance(first, Wanted) else []
    observed = {query: paper.world.answer(query) for query in asked}
    found = drift(paper.state, "default", kinds or paper.kinds, observed, NOW, hashed=hashed)
    assert isinstance(found, DriftReport)
    return found, asked


def words(found: DriftReport) -> dict[str, str]:
    """Return {address: what}."""
    return {str(each.address): each.what for each in found.drift}


@pytest.fixture
def served() -> Served:
    """Applied: the service answers."""
    paper = Served()
    paper.apply()
    return paper


def test_a_world_as_recorded_has_no_drift(served: Served) -> None:
    """Places, versions, evidence, replicas and routes are looked at; definitions are not."""
    found, asked = report(served)
    assert (found.drift, found.unreachable, found.held) == ((), (), ())
    assert (found.project, found.environment, found.at, found.checked) == ("digits", "default", NOW, 6)
    assert {each.depth for each in asked if isinstance(each, LookAtArtifact)} == {"listed"}


def test_published_data_are_read_when_asked(served: Served) -> None:
    """Hashed, not only listed."""
    assert {each.depth for each in report(served, hashed=True)[1] if isinstance(each, LookAtArtifact)} == {"hashed"}


def test_everything_that_is_gone_is_said_with_when_it_was_last_seen(served: Served) -> None:
    """One line for each thing; when it went, where the place knows it, else when all was still well."""
    record = served.record("training.digits")
    version = record.current_version
    store = served.world.store(record.place)
    store.damaged |= {(version.identity, version.build), (version.evidence.identity, version.evidence.build)}
    served.put(replace(record, updated=123.0))
    served.world.gone.add("folder:.specforge/artifacts")
    served.seen[served.group.name] = Seen(Presence.ABSENT, since=9.0)
    del served.seen["routes"]
    found, _ = report(served)
    assert [(str(each.address), each.what, each.since, each.last_seen) for each in found.drift] == [
        ("service.digits", "the replicas of model.digits are gone", 9.0, None),
        ("service.digits", "nothing listens at 127.0.0.1:8080", None, 0.0),
        ("store.artifacts", "folder:.specforge/artifacts is gone", None, 0.0),
        ("training.digits", "V0001 is gone from its store (2 objects missing)", None, 123.0),
        ("training.digits", "the evaluation of V0001 is gone from its store", None, 123.0),
    ]


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"missing": 1}, "V001 is gone from its store (1 object missing)"),
        ({"missing": 1, "changed": 1}, "V001 is not what was published (1 object changed)"),
        ({"missing": 5, "changed": 3}, "V001 is gone from its store (2 objects missing, 3 objects changed)"),
        ({}, "V001 is gone from its store"),
    ],
)
def test_what_is_wrong_with_published_data_is_counted(served: Served, facts: dict[str, int], what: str) -> None:
    """Missing objects and changed ones."""
    answer = served.world.answer

    def damaged(query: Query) -> Seen:
        dataset = served.record("dataset.digits").current_version.identity
        if isinstance(query, LookAtArtifact) and query.identity == dataset:
            return Seen(Presence.ABSENT, facts=frozen(facts))
        return answer(query)

    served.world.answer = damaged  # type: ignore[method-assign]
    assert words(report(served)[0]) == {"dataset.digits": what}


def test_what_cannot_be_asked_is_no_drift(served: Served) -> None:
    """The place is named with all that lies there."""
    served.world.unreachable.add("folder:.specforge/artifacts")
    found, _ = report(served)
    assert found.drift == ()
    (away,) = found.unreachable
    assert [str(each) for each in away.addresses] == [
        "dataset.digits",
        "model.digits",
        "store.artifacts",
        "training.digits",
    ]


def test_a_hold_is_no_drift(served: Served) -> None:
    """Stopped on purpose, since then."""
    served.put(replace(served.record("service.digits"), held=5.0))
    served.seen.clear()
    found, _ = report(served)
    assert (found.drift, found.held) == ((), ((Address("service", "digits"), 5.0),))


def test_a_kind_that_is_not_installed_is_looked_at_all_the_same(served: Served) -> None:
    """What is recorded says enough."""
    served.seen.clear()
    found, _ = report(served, kinds=Kinds({}, {}, KINDS.places))
    assert set(words(found)) == {"service.digits"}


def test_an_observation_of_a_group_that_is_not_recorded_says_nothing(served: Served) -> None:
    """A kind may look at more than the record has."""
    from specforge.core.queries import LookAtReplicas
    from specforge.schemas import service

    place = served.group.place
    odd = replace(service.KIND, observations=lambda _: {"odd": LookAtReplicas(place, "odd")})
    found, _ = report(served, kinds=Kinds({**served.kinds.by_prefix, "service": odd}, {}, KINDS.places))
    assert found.drift == ()
