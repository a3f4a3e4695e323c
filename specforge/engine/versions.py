"""Versions as an apply records them, and the references that the store keeps for them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.errors import ExecutionError
from specforge.core.state import EndRun, Intent, Newcomers, Resource, Status, Version
from specforge.core.steps import Step
from specforge.core.values import EMPTY, Frozen, Key, Place
from specforge.engine.parts import Made, perform_step
from specforge.engine.session import Session
from specforge.planner.removal import Build, builds_at, release_steps
from specforge.schemas.kind import Part

RELEASE = "release"
"""The name of the part in the intent to let go of something."""


def recorded_or_new(resource: Resource, made: Made, inputs: Frozen, now: float, status: Status) -> Version:
    """Return the version that a Publish gave: the recorded one of this name, or one of this `status`.

    A second name of a recorded build takes along what is known of it.
    """
    name, build = made.outputs["version"], made.outputs["build"]
    same = [each for each in resource.versions if (each.identity, each.build) == (made.identity, build)]
    known = next((each for each in same if each.version == name), None)
    if known is not None:
        known = replace(known, status=Status.READY) if known.status is Status.LOST else known
    elif same:
        known = replace(same[0], version=name, status=status, inputs=inputs)
    else:
        known = _version_of(made, inputs, now, status)
    return replace(known, reproducible=_reproducible(resource, made, known))


def _version_of(made: Made, inputs: Frozen, now: float, status: Status) -> Version:
    given = made.outputs
    return Version(
        version=given["version"],
        identity=made.identity,
        build=given["build"],
        output=given["digest"],
        trees=given["trees"],
        recipe=made.recipe,
        status=status,
        inputs=inputs,
        facts=given.get("facts", EMPTY),
        seconds=made.seconds,
        created=now,
    )


def _reproducible(resource: Resource, made: Made, version: Version) -> str:
    """Tell from what was made: other bytes under one identity were seen once, or the same ones twice, or neither."""
    outputs = [each.output for each in resource.versions if each.identity == version.identity]
    if any(each != version.output for each in outputs):
        return "no"
    return "yes" if outputs and made.how == "made" else version.reproducible


def with_version(resource: Resource, version: Version) -> Resource:
    """Return the resource with the version added, or put in place of the one of the same name.

    Other builds of its identity are marked lost: only one counts in the store, and their bytes differ.
    """
    versions = []
    for each in resource.versions:
        if each.version != version.version and each.identity == version.identity and each.build != version.build:
            each = replace(each, status=Status.LOST, reproducible="no")
        versions.append(version if each.version == version.version else each)
    if version not in versions:
        versions.append(version)
    return replace(resource, versions=tuple(versions))


def let_go(session: Session, address: Address, store: Place | None, builds: Iterable[Build]) -> None:
    """Take the resource's references to these builds away; raises ExecutionError."""
    for step in release_steps(store, builds) if store is not None else ():
        perform_step(session, address, step, Key(session.lineage, address, "", 0, step.name))


def record_and_let_go(session: Session, before: Resource, after: Resource, *ended: EndRun) -> Diagnostic | None:
    """Record the resource, then take its references away to builds that only the older record refers to: none is
    recorded that it does not have.

    A kill in between leaves an intent that says what is left to do. Returns a warning if a store that was left cannot
    be told so: it may have been left because it is gone. Raises ExecutionError.
    """
    builds = {store: _no_longer_recorded(before, after, store) for store in before.stores()}
    steps = tuple(step for store, gone in builds.items() for step in release_steps(store, gone))
    if not steps:
        session.put(after, *ended)
        return None
    session.put(replace(after, intent=release_intent(session, steps)), *ended)
    warning = None
    for store, gone in builds.items():
        try:
            let_go(session, after.address, store, gone)
        except ExecutionError as error:
            if any(store.is_at(each) for each in after.stores()):
                raise
            detail = f"{store} keeps the data of {after.address} as used: {error.diagnostics[0].detail}"
            summary = "The store that was left still has references"
            warning = Diagnostic("SF407", summary, detail, Severity.WARNING, address=after.address)
    session.put(after)
    return warning


def release_intent(session: Session, steps: tuple[Step, ...]) -> Intent:
    """Return the intent to let go of something: its steps may be performed at any later time."""
    body = json.dumps(codec.encode(Part(RELEASE, RELEASE, 0, EMPTY, "release", steps)))
    return Intent(session.operation, RELEASE, "", 0, body, (), session.clock(), "release")


def _no_longer_recorded(before: Resource, after: Resource, store: Place) -> tuple[Build, ...]:
    kept = set(builds_at(after, store))
    return tuple(each for each in builds_at(before, store) if each not in kept)


def beside(before: Resource, here: Resource) -> Resource:
    """Return what is to be recorded of `here`, which is what was done in the store that is wished.

    A refusal never demotes: while a version is current in another store and none here was accepted, that one stays so.
    """
    if before.current is None or here.current is not None or here.place is None or here.place.is_at(before.place):
        return here
    kept = replace(before, newcomers=Newcomers(here.place, here.versions))
    return replace(kept, spec=here.spec, intent=here.intent, waits_for=here.waits_for)
