"""Versions as an apply records them."""

from __future__ import annotations

from dataclasses import replace

from specforge.core.state import Resource, Status, Version
from specforge.core.values import EMPTY, Frozen
from specforge.engine.parts import Made


def version_of(made: Made, inputs: Frozen, now: float, status: Status) -> Version:
    """Return the version that a Publish gave."""
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


def with_version(resource: Resource, version: Version) -> Resource:
    """Return the resource with the version added, or put in place of the one of the same name.

    An older build of the same identity whose bytes differ is marked lost: it was replaced.
    """
    versions = []
    for each in resource.versions:
        if each.version == version.version:
            continue
        if each.identity == version.identity and each.build < version.build and each.status is not Status.LOST:
            each = replace(each, status=Status.LOST, reproducible="no")
        versions.append(each)
    return replace(resource, versions=(*versions, version))
