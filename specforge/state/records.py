"""Recorded values to JSON texts and back, written by hand because every command decodes all of them.

A field that has its default is left out, so that a field added later reads old records. A record names no format: the
backend keeps the number beside it, and `UPGRADES` leads from format n to n + 1.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from specforge.core.address import Address
from specforge.core.state import (
    FORMAT,
    DropResource,
    EndRun,
    Evidence,
    Intent,
    LockInfo,
    PutResource,
    Resource,
    StateChange,
    Status,
    Version,
)
from specforge.core.values import EMPTY, Frozen, Place

Record = dict[str, Any]
Upgrade = Callable[[Record], Record]

UPGRADES: Mapping[int, Upgrade] = {}
"""{format n: what makes a resource's record of format n one of format n + 1}."""

_STATUS = {each.value: each for each in Status}
_SCALARS = (str, int, float, bool, type(None))


def encode_resource(resource: Resource) -> str:
    """Return the JSON text that stands for the resource, in the format `FORMAT`."""
    record: Record = {"address": str(resource.address), "lifecycle": resource.lifecycle, "spec": resource.spec}
    if resource.place is not None:
        record["place"] = _place_record(resource.place)
    if resource.versions:
        record["versions"] = [_version_record(each) for each in resource.versions]
    if resource.intent is not None:
        record["intent"] = _intent_record(resource.intent)
    if resource.waits_for:
        record["waits_for"] = [str(each) for each in resource.waits_for]
    optional = {
        "identity": resource.identity,
        "outputs": resource.outputs,
        "current": resource.current,
        "below_accept": resource.below_accept,
        "updated": resource.updated,
    }
    record.update((key, value) for key, value in optional.items() if value)
    return dump(record)


def dump(value: Any) -> str:
    """Return compact JSON; ASCII, so that even a name that is not valid Unicode survives any database."""
    return json.dumps(value, separators=(",", ":"))


def _place_record(place: Place) -> Record:
    return {"driver": place.driver, "id": place.id, "settings": place.settings}


def _version_record(version: Version) -> Record:
    record: Record = {
        "version": version.version,
        "identity": version.identity,
        "build": version.build,
        "output": version.output,
        "trees": version.trees,
        "recipe": version.recipe,
        "status": version.status.value,
        "created": version.created,
    }
    if version.evidence is not None:
        evidence = version.evidence
        record["evidence"] = {
            "identity": evidence.identity,
            "build": evidence.build,
            "figures": evidence.figures,
            "recipe": evidence.recipe,
        }
    if version.inputs:
        record["inputs"] = version.inputs
    if version.facts:
        record["facts"] = version.facts
    if version.seconds is not None:
        record["seconds"] = version.seconds
    if version.reproducible != "unknown":
        record["reproducible"] = version.reproducible
    return record


def _intent_record(intent: Intent) -> Record:
    return {
        "operation": intent.operation,
        "part_name": intent.part_name,
        "identity": intent.identity,
        "attempt": intent.attempt,
        "part": intent.part,
        "jobs": [[_place_record(place), key] for place, key in intent.jobs],
        "started": intent.started,
        "work": intent.work,
    }


def decode_resources(
    rows: Iterable[tuple[int, str]], upgrades: Mapping[int, Upgrade] = UPGRADES, newest: int = FORMAT
) -> Iterator[Resource]:
    """Give the resources of (format, JSON text) rows, in their order.

    Raises ValueError, KeyError, TypeError or AttributeError for a text that is no record.
    """
    for form, body in rows:
        record = json.loads(body)
        for older in range(form, newest):
            record = upgrades[older](record)
        yield _resource(record)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the garbage collector from walking thousands of new records again and again while they are built."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _resource(record: Record) -> Resource:
    get = record.get
    place, intent = get("place"), get("intent")
    return Resource(
        Address.parse(record["address"]),
        record["lifecycle"],
        record["spec"],
        None if place is None else _place(place),
        get("identity"),
        _frozen(get("outputs")),
        get("current"),
        tuple([_version(each) for each in get("versions", ())]),
        None if intent is None else _intent(intent),
        tuple([Address.parse(each) for each in get("waits_for", ())]),
        tuple(get("below_accept", ())),
        get("updated", 0.0),
    )


def _place(record: Record) -> Place:
    return Place(record["driver"], record["id"], _frozen(record["settings"]))


def _version(record: Record) -> Version:
    get = record.get
    evidence = get("evidence")
    return Version(
        record["version"],
        record["identity"],
        record["build"],
        record["output"],
        _frozen(record["trees"]),
        record["recipe"],
        _STATUS[record["status"]],
        None if evidence is None else _evidence(evidence),
        _frozen(get("inputs")),
        _frozen(get("facts")),
        get("seconds"),
        record["created"],
        get("reproducible", "unknown"),
    )


def _evidence(record: Record) -> Evidence:
    return Evidence(record["identity"], record["build"], _frozen(record["figures"]), record["recipe"])


def _intent(record: Record) -> Intent:
    return Intent(
        operation=record["operation"],
        part_name=record["part_name"],
        identity=record["identity"],
        attempt=record["attempt"],
        part=record["part"],
        jobs=tuple((_place(place), key) for place, key in record["jobs"]),
        started=record["started"],
        work=record["work"],
    )


def _frozen(value: Any) -> Any:
    """The same as `frozen` of fresh JSON, without its type tests: only dicts and lists can occur."""
    if not value:
        return EMPTY
    return Frozen({key: item if isinstance(item, _SCALARS) else _inner(item) for key, item in value.items()})


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return _frozen(value)
    if isinstance(value, list):
        return tuple([_inner(item) for item in value])
    return value


def decode_detail(text: str) -> Frozen:
    """Return the mapping that `dump` was given."""
    detail: Frozen = _frozen(json.loads(text))
    return detail


def encode_lock(info: LockInfo) -> bytes:
    """Return the content of a lock file."""
    fields = ("operation", "who", "command", "since", "pid", "host")
    return (dump({key: getattr(info, key) for key in fields}) + "\n").encode()


def decode_lock(content: bytes) -> LockInfo | None:
    """Read a lock file; None if it is empty or only half written."""
    try:
        record = json.loads(content)
        return LockInfo(**record)
    except (ValueError, TypeError):
        return None


def journal_line(change: StateChange) -> tuple[Address | None, str, Frozen]:
    """Return (address, event, detail) for the journal: what a person wants to read of this change later."""
    if isinstance(change, PutResource):
        return _put_line(change.resource)
    if isinstance(change, DropResource):
        return change.address, "forgot", EMPTY
    if isinstance(change, EndRun):
        detail = {"identity": change.identity, "outcome": change.outcome, "reason": change.reason}
        return change.address, "run ended", Frozen({key: value for key, value in detail.items() if value})
    return change.address, change.event, change.detail


def _put_line(resource: Resource) -> tuple[Address, str, Frozen]:
    intent, current = resource.intent, resource.current_version
    if intent is not None:
        detail = {
            "part": intent.part_name,
            "identity": intent.identity,
            "attempt": intent.attempt,
            "work": intent.work,
        }
        return resource.address, "intended", Frozen(detail)
    facts: dict[str, Any] = {}
    if current is not None:
        facts = {"current": current.version, "identity": current.identity, "status": current.status.value}
    elif resource.identity is not None:
        facts = {"identity": resource.identity}
    return resource.address, "recorded", Frozen(facts)
