"""Versions as an apply records them, and the references that the store keeps for them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.state import EndRun, Intent, Resource, Status, Version
from specforge.core.steps import Step
from specforge.core.values import EMPTY, Frozen, Key, Place
from specforge.engine.parts import Made, perform_step
from specforge.engine.session import Session
from specforge.planner.removal import Build, builds_of, release_steps
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


def record_and_let_go(
    session: Session, after: Resource, store: Place | None, builds: tuple[Build, ...], *ended: EndRun
) -> None:
    """Record the resource, then take its references to these builds away: none is recorded that it does not have.

    A kill in between leaves an intent that says what is left to do. Raises ExecutionError.
    """
    if store is None or not builds:
        session.put(after, *ended)
        return
    steps = release_steps(store, builds)
    session.put(replace(after, intent=release_intent(session, steps)), *ended)
    let_go(session, after.address, store, builds)
    session.put(after)


def release_intent(session: Session, steps: tuple[Step, ...]) -> Intent:
    """Return the intent to let go of something: its steps may be performed at any later time."""
    body = json.dumps(codec.encode(Part(RELEASE, RELEASE, 0, EMPTY, "release", steps)))
    return Intent(session.operation, RELEASE, "", 0, body, (), session.clock(), "release")


def no_longer_recorded(before: Resource, after: Resource) -> tuple[Build, ...]:
    """Return the builds that only the older record refers to."""
    kept = set(builds_of(after.versions))
    return tuple(each for each in builds_of(before.versions) if each not in kept)
