"""The fate of services: started, re-pointed, scaled, repaired, held, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pytest
from paper import KINDS, LOCKS, QUICKSTART, Paper, actions, change_of, verbs, words

from specforge.core.digest import canonical_json, digest_of, identity_of
from specforge.core.errors import PlanError
from specforge.core.queries import LookAtReplicas, LookAtRoutes, Presence, Query, SecretPrint, Seen, unreachable
from specforge.core.serving import ReplicaGroup, group_name, route_name
from specforge.core.state import Intent
from specforge.core.steps import EnsureReplicas, Publish, RunJob, SetRoutes, Step
from specforge.core.values import (
    EMPTY,
    Frozen,
    OutputRef,
    Run,
    SecretRef,
    StepRef,
    Tree,
    VersionSeries,
    frozen,
    map_holes,
)
from specforge.planner.plan import Action, Change, Plan
from specforge.schemas import service
from specforge.schemas.base import Change as Rule
from specforge.schemas.base import Declared, Ref
from specforge.schemas.kind import Desire, Kind, Kinds, Lifecycle, Part, Subject

POOL = "local:.specforge/pools/here"


class PackageSpec(Declared):
    """A model package, as small as it can be."""

    training: Annotated[str, Ref(("training",)), Rule.NEW_VERSION]
    label: Annotated[str, Rule.NEW_VERSION] = ""
    store: Annotated[str, Ref(("store",), default="store"), Rule.UPDATE]
    pool: Annotated[str, Ref(("pool",), default="pool"), Rule.UPDATE]


def _desire(subject: Subject) -> Desire:
    recipe = Frozen(source=subject.inputs["training"].output("digest"), label=subject.spec.label)
    series = VersionSeries(subject.project, "model", subject.spec.name, "0.0.{}")
    store = subject.inputs["store"].output("place")
    return Desire((Part("output", "model", 1, recipe, "package"),), Frozen(engine="scikit-learn"), store, series)


def _steps(subject: Subject, _: Part) -> tuple[Step, ...]:
    store = subject.inputs["store"].output("place")
    trees = Frozen(package=StepRef("package", "tree.package"))
    series = VersionSeries(subject.project, "model", subject.spec.name, "0.0.{}")
    job = RunJob("package", subject.inputs["pool"].output("place"), Run(("true",)))
    return job, Publish(store, trees, "package", series, facts=Frozen(engine="scikit-learn"))


PACKAGE = Kind("Model", "model", PackageSpec, Lifecycle.ARTIFACT, _desire, _steps, version_pattern="0.0.{}")
ALL = Kinds(
    {**KINDS.by_prefix, "model": PACKAGE, "service": service.KIND},
    {**KINDS.by_document, "Model": PACKAGE, "Service": service.KIND},
    KINDS.places,
)
SERVER = {"scikit-learn-server": Frozen(python="3.11", packages=())}
MODEL = {"kind": "Model", "name": "digits", "training": "digits"}
SERVICE = {"kind": "Service", "name": "digits", "model": "digits", "port": 8080}


class Served(Paper):
    """The quickstart with a model and a service, and a world in which replicas and routes are plain data."""

    def __init__(self) -> None:
        super().__init__([*QUICKSTART, MODEL, SERVICE], kinds=ALL)
        self.locks = {**LOCKS, **SERVER}
        self.seen: dict[str, Seen] = {}
        answer = self.world.answer

        def with_services(query: Query) -> Seen:
            if str(query.place if isinstance(query, LookAtReplicas | LookAtRoutes) else "") in self.world.unreachable:
                return unreachable("connection refused")
            if isinstance(query, LookAtReplicas):
                return self.seen.get(query.group, Seen(Presence.ABSENT))
            if isinstance(query, LookAtRoutes):
                return self.seen.get("routes", Seen(Presence.ABSENT))
            return answer(query)

        self.world.answer = with_services  # type: ignore[method-assign]

    def apply(self, **options: object) -> Plan:
        """Carry the plan out; services are brought about here."""
        made = self.plan(**options)
        rest = replace(made, changes=tuple(each for each in made.changes if each.serving is None))
        self.plan = lambda **_: rest  # type: ignore[method-assign]
        super().apply()
        del self.plan
        model = self.record("model.digits")
        published = tuple(replace(each, facts=Frozen(engine="scikit-learn")) for each in model.versions)
        self.put(replace(model, versions=published))  # as its Publish says; the paper world keeps no facts
        for change in made.pending:
            if change.serving is not None:
                self.serve(change)
        return made

    def serve(self, change: Change) -> None:
        """Record a service as the engine does, and let the world be so."""
        assert change.serving is not None
        model = self.record("model.digits").current_version
        groups: dict[str, ReplicaGroup] = {}
        for planned, share in zip(change.parts, change.serving.shares, strict=True):
            known = {"digest": model.output, "place": self.record("model.digits").place, **model.trees}
            recipe = map_holes(planned.part.recipe, lambda hole, known=known: known[hole.key])
            identity = identity_of(planned.part.prefix, planned.part.revision, recipe)
            name = group_name("lineage", change.address, identity, change.place)
            groups[name] = ReplicaGroup(
                name, identity, change.place, share.serves, share.weight, share.count, canonical_json(recipe)
            )
            self.up(name, share.count)
        record = self.state.resources.get(change.address) or replace(
            self.record("pool.here"), address=change.address, lifecycle="service", identity=None
        )
        outputs = {
            "address": change.serving.listen.url,
            "listen": str(change.serving.listen),
            "timeout": change.serving.timeout,
            "route": route_name("lineage", change.address),
            "inputs": {"model.digits": model.version},
        }
        self.seen["routes"] = _routes(str(change.serving.listen), {each.name: each.weight for each in groups.values()})
        self.put(
            replace(
                record,
                spec=change.spec,
                place=change.place,
                outputs=frozen(outputs),
                groups=tuple(groups.values()),
                intent=None,
                waits_for=change.waits_for,
            )
        )

    def up(self, name: str, count: int, ready: int | None = None, wanted: int | None = None) -> None:
        """Let a group be there."""
        facts = {"wanted": count if wanted is None else wanted, "ready": count if ready is None else ready}
        replicas = [{"number": 0, "state": "failed", "problem": "exit code 3"}] if ready is not None else []
        self.seen[name] = Seen(Presence.PRESENT, facts=frozen({**facts, "replicas": replicas}), since=5.0)

    @property
    def group(self) -> ReplicaGroup:
        """The first group that is recorded."""
        return self.record("service.digits").groups[0]


def _routes(listen: str, weights: dict[str, int], edited: tuple[str, ...] = ()) -> Seen:
    facts = {"listen": listen, "weights": weights, "edited": edited}
    return Seen(Presence.PRESENT, facts=frozen(facts), since=7.0)


@pytest.fixture
def served() -> Served:
    """Applied: the service answers."""
    paper = Served()
    paper.apply()
    return paper


def of(plan: Plan) -> Change:
    """Return the change of the service."""
    return change_of(plan, "service.digits")


def drifts(plan: Plan) -> dict[str, str]:
    """Return {address: what}."""
    return {str(each.address): each.what for each in plan.drift}


# ---- wishes ----


def test_a_new_service_waits_for_its_model() -> None:
    """Nothing is there yet: it is created, and what its replicas run is known after the model was made."""
    plan = Served().plan()
    change = of(plan)
    assert (change.action, change.repoint, change.work) == (Action.CREATE, True, ("start", "point"))
    assert change.parts[0].identity is None
    assert change.summary == "model.digits at http://127.0.0.1:8080"
    assert OutputRef(change_of(plan, "model.digits").address, "digest") in change.parts[0].part.recipe.values()
    toolchain, replicas = change.parts[0].part.steps
    assert toolchain.engine == "scikit-learn-server"
    assert isinstance(replicas, EnsureReplicas)
    assert (replicas.count, replicas.drain, replicas.ready.within) == (1, 30.0, 60.0)
    assert isinstance(replicas.inputs[0].tree, Tree)


def test_a_service_as_recorded_is_left_alone(served: Served) -> None:
    """A second plan has nothing to do, in two rounds."""
    assert served.plan().empty
    assert served.rounds == 2


def test_another_model_starts_new_replicas(served: Served) -> None:
    """A parameter edit: training, model and service follow; the service if the model changes."""
    served.edit("training.digits", "parameters.C", 5)
    change = of(served.plan())
    assert (change.action, verbs(change)) == (Action.UPDATE, {"replicas-0": "maybe"})
    assert [str(each) for each in change.if_changed] == ["model.digits"]
    assert change.work == ("start", "re-point")
    served.edit("model.digits", "label", "x")
    served.edit("training.digits", "parameters.C", 10)
    assert words(of(served.plan())) == ["model.digits: 0.0.1 → 0.0.2"]


def test_a_model_of_which_only_the_description_changes_starts_nothing(served: Served) -> None:
    """Metadata of what is served is no concern of the service."""
    served.edit("model.digits", "description", "x")
    served.edit("service.digits", "description", "y")
    plan = served.plan()
    assert actions(plan) == {"model.digits": "update", "service.digits": "update"}
    assert not of(plan).repoint
    assert verbs(of(plan)) == {"replicas-0": "keep"}


def test_more_replicas_are_added_to_the_group(served: Served) -> None:
    """The same group, only larger."""
    served.edit("service.digits", "replicas", 3)
    change = of(served.plan())
    assert (change.work, verbs(change), change.repoint) == (("scale",), {"replicas-0": "make"}, False)
    assert words(change) == ["replicas: None → 3"]


def test_another_port_only_re_points(served: Served) -> None:
    """The replicas stay."""
    served.edit("service.digits", "port", 9090)
    change = of(served.plan())
    assert (change.work, verbs(change), change.repoint) == (("re-point",), {"replicas-0": "keep"}, True)


def test_another_limit_of_requests_is_another_group(served: Served) -> None:
    """What the server is told decides what it does."""
    served.edit("service.digits", "request", {"queue": 7, "time": "5s"})
    served.edit("service.digits", "resources", {"cpu": 0.5, "memory": "256MiB"})
    served.edit("service.digits", "variables", {"A": "1"})
    change = of(served.plan())
    assert (change.work, verbs(change)) == (("start", "re-point"), {"replicas-0": "make"})
    run = change.parts[0].part.steps[1].run
    assert {"--queue=7", "--time=5", "--memory=268435456"} <= set(run.argv)
    assert (run.variables, run.limits.cpu) == (Frozen(A="1"), 0.5)


def test_another_toolchain_is_named(served: Served) -> None:
    """Nothing the user wrote explains it: the recipe's difference is said."""
    served.locks = {**LOCKS, "scikit-learn-server": Frozen(python="3.12", packages=())}
    assert words(of(served.plan())) == ["toolchain changed"]


def test_another_revision_is_named(served: Served) -> None:
    """The recipe is the same, the way of this release is not."""
    served.put(
        replace(
            served.record("service.digits"),
            groups=(
                replace(served.group, identity="older", recipe=canonical_json(of(served.plan()).parts[0].part.recipe)),
            ),
        )
    )
    assert words(of(served.plan())) == ["this release serves it in another way (revision 1)"]


def test_shares_have_groups_of_their_own(served: Served) -> None:
    """Two versions share the requests; equal ones are one group."""
    served.edit("model.digits", "label", "x")
    served.apply()
    document = served.document("service.digits")
    del document["model"]
    document["serves"] = [{"model": "digits@0.0.1", "weight": 90}, {"model": "digits", "weight": 10, "replicas": 2}]
    change = of(served.plan())
    assert [(each.serves, each.weight, each.count) for each in change.serving.shares] == [
        ("model.digits@0.0.1", 90, 1),
        ("model.digits", 10, 2),
    ]
    assert change.summary == "model.digits@0.0.1 90%, model.digits 10% at http://127.0.0.1:8080"
    document["serves"] = [{"model": "digits@0.0.2", "weight": 90}, {"model": "digits", "weight": 10}]
    change = of(served.plan())
    assert verbs(change) == {"replicas-0": "make", "replicas-1": "make"}  # one group of two replicas, there is one
    assert change.work == ("scale",)


def test_a_model_that_nobody_declares_says_its_engine_by_what_was_published(served: Served) -> None:
    """A pinned version of a model that is gone from the YAML is served on."""
    served.edit("service.digits", "model", "digits@0.0.1")
    served.remove("model.digits")
    plan = served.plan()
    assert of(plan).work == ()
    record = served.record("model.digits")
    served.put(replace(record, versions=tuple(replace(each, facts=EMPTY) for each in record.versions)))
    with pytest.raises(PlanError, match="which engine"):
        served.plan()


def test_without_a_locked_server_there_is_no_plan(served: Served) -> None:
    """Replicas run locked software."""
    served.locks = LOCKS
    with pytest.raises(PlanError, match="scikit-learn-server"):
        served.plan()


# ---- the world ----


@pytest.mark.parametrize(
    ("seen", "what", "work"),
    [
        (Seen(Presence.ABSENT, since=9.0), "the replicas of model.digits are gone", ("restart",)),
        (
            Seen(Presence.PRESENT, facts=frozen({"wanted": 3, "ready": 3})),
            "3 replicas of model.digits are kept up instead of 1",
            ("restart",),
        ),
        (
            Seen(Presence.PRESENT, facts=frozen({"wanted": 1, "ready": 0, "replicas": [{"state": "starting"}]})),
            "0 of 1 replicas of model.digits answer",
            ("restart",),
        ),
    ],
)
def test_replicas_that_are_not_as_recorded_are_drift(
    served: Served, seen: Seen, what: str, work: tuple[str, ...]
) -> None:
    """It is said, and just they are repaired."""
    served.seen[served.group.name] = seen
    plan = served.plan()
    assert drifts(plan) == {"service.digits": what}
    assert (of(plan).work, of(plan).repoint) == (work, False)
    assert actions(plan) == {"service.digits": "update"}


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (Seen(Presence.ABSENT, since=9.0), "nothing listens at 127.0.0.1:8080"),
        (_routes("127.0.0.1:8080", {}, ("routes.yaml",)), "the gateway's files were edited by hand: routes.yaml"),
        (_routes("127.0.0.1:8081", {}), "its requests go elsewhere than recorded"),
        (_routes("127.0.0.1:8080", {"other": 100}), "its requests go elsewhere than recorded"),
    ],
)
def test_routes_that_are_not_as_recorded_are_drift(served: Served, seen: Seen, what: str) -> None:
    """It is said, and only the routes are set again."""
    served.seen["routes"] = seen
    plan = served.plan()
    assert drifts(plan) == {"service.digits": what}
    assert (of(plan).work, of(plan).repoint, verbs(of(plan))) == (("re-point",), True, {"replicas-0": "keep"})


def test_what_cannot_be_asked_is_not_decided(served: Served) -> None:
    """Neither repaired nor changed while its pool does not answer."""
    served.edit("service.digits", "replicas", 3)
    served.world.unreachable.add(POOL)
    plan = served.plan()
    assert of(plan).action is Action.NOOP
    assert "cannot be reached" in of(plan).note


def test_a_new_service_at_a_pool_that_cannot_be_asked_waits() -> None:
    """Nothing is created at a place that does not answer."""
    paper = Served()
    paper.remove("service.digits")
    paper.apply()
    paper.add(**SERVICE)
    paper.world.unreachable.add(POOL)
    assert of(paper.plan()).action is Action.NOOP


def test_a_held_service_is_left_alone(served: Served) -> None:
    """Stopped on purpose: neither drift nor repaired, whatever is edited."""
    served.put(replace(served.record("service.digits"), held=5.0, groups=()))
    served.seen.clear()
    served.edit("service.digits", "replicas", 3)
    plan = served.plan()
    assert (plan.empty, drifts(plan)) == (True, {})
    assert of(plan).note == "on hold; `spec start service.digits` lets it serve again"


def test_what_an_interrupted_apply_began_is_finished_or_taken_away(served: Served) -> None:
    """It may be in any state: that is no drift, and all is brought about again."""
    leftover = replace(served.group, name="service.digits-begun", identity="begun", weight=0)
    record = served.record("service.digits")
    intent = Intent("op", "serve", "", 0, "[]", (), 1.0, "serve")
    served.put(replace(record, groups=(*record.groups, leftover), intent=intent))
    plan = served.plan()
    assert (drifts(plan), plan.runs) == ({}, ())
    assert words(of(plan)) == ["an apply was interrupted"]
    assert (of(plan).repoint, verbs(of(plan))) == (True, {"replicas-0": "make"})


def test_moving_to_another_pool_starts_anew_there(served: Served) -> None:
    """The groups of the old place are not those of the new one."""
    served.add(kind="Pool", name="there", local={"slots": 1})
    served.edit("service.digits", "pool", "there")
    change = of(served.plan())
    assert (change.work, change.repoint) == (("start", "re-point"), True)
    assert "moved from local:.specforge/pools/here to local:.specforge/pools/there" in words(change)


# ---- the end ----


@pytest.mark.parametrize("destroy", [True, False])
def test_taking_a_service_away_gives_its_address_up_before_its_replicas_end(served: Served, destroy: bool) -> None:
    """By `destroy`, or because its YAML is gone."""
    if not destroy:
        served.remove("service.digits")
    change = of(served.plan(destroy=destroy))
    routes, replicas = change.steps
    assert change.action is Action.DELETE
    assert isinstance(routes, SetRoutes)
    assert (routes.listen, routes.weights) == (None, EMPTY)
    assert isinstance(replicas, EnsureReplicas)
    assert (replicas.group, replicas.count, replicas.run) == (served.group.name, 0, None)


def test_a_service_of_which_only_groups_are_recorded_is_taken_away(served: Served) -> None:
    """Killed before its routes were ever set."""
    served.put(replace(served.record("service.digits"), outputs=EMPTY))
    served.remove("service.digits")
    assert [type(each) for each in of(served.plan()).steps] == [EnsureReplicas]


def test_a_service_whose_routes_were_never_set_gets_them(served: Served) -> None:
    """Its replicas are there; nothing leads to them."""
    served.put(replace(served.record("service.digits"), outputs=EMPTY))
    change = of(served.plan())
    assert (change.repoint, verbs(change)) == (True, {"replicas-0": "keep"})


# ---- secrets ----


def with_token(served: Served, value: str | None) -> None:
    """Let the world have a secret of this value."""
    answer = served.world.answer

    def with_secret(query: Query) -> Seen:
        if isinstance(query, SecretPrint):
            return Seen(Presence.ABSENT) if value is None else Seen(Presence.PRESENT, digest_of([value, query.salt]))
        return answer(query)

    served.world.answer = with_secret  # type: ignore[method-assign]


def test_another_value_of_a_secret_starts_new_replicas(served: Served) -> None:
    """It is seen by its print; the value is in no plan."""
    served.edit("service.digits", "secrets", {"TOKEN": {"env": "MY_TOKEN"}})
    with_token(served, "one")
    change = of(served.apply())
    run = change.parts[0].part.steps[1].run
    assert run.variables == {"TOKEN": SecretRef(env="MY_TOKEN")}
    assert served.plan().empty
    with_token(served, "two")
    change = of(served.plan())
    assert (change.work, words(change)) == (("start", "re-point"), ["secrets.TOKEN changed"])


def test_a_secret_that_is_not_there_stops_the_plan(served: Served) -> None:
    """It names the variable or the file."""
    served.edit("service.digits", "secrets", {"TOKEN": {"file": "secrets/token"}})
    with_token(served, None)
    with pytest.raises(PlanError, match="the file `secrets/token` is not there"):
        served.plan()
