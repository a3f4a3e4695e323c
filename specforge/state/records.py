"""Recorded values to JSON texts and back, written by hand because every command decodes all of them.

The body of a resource is a JSON object and, on lines of their own, the JSON texts that it holds (spec, place, recipes,
the intent's part): those are compared far more often than read, and text within text is slow to decode. A field that
has its default is left out, so that a field added later reads old records. A body names no format: the backend keeps
the number beside it, and `UPGRADES` leads from format n to n + 1.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.state import (
    FORMAT,
    DropResource,
    EndRun,
    Evidence,
    Intent,
    LockInfo,
    Newcomers,
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
_SCALARS = frozenset({str, int, float, bool, type(None)})
_LONG = 1000
"""Characters from which the JSON of an output has a line of its own."""


def encode_resource(resource: Resource) -> str:
    """Return the text that stands for the resource, in the format `FORMAT`."""
    record: Record = {"address": str(resource.address), "lifecycle": resource.lifecycle}
    texts: list[str] = []
    _put_text(record, "spec", resource.spec, texts)
    if resource.place is not None:
        _put_text(record, "place", dump(_place_record(resource.place)), texts)
    if resource.versions:
        record["versions"] = [_version_record(each, texts) for each in resource.versions]
    if resource.newcomers is not None:
        _put_text(record, "newcomers_place", dump(_place_record(resource.newcomers.place)), texts)
        record["newcomers"] = [_version_record(each, texts) for each in resource.newcomers.versions]
    if resource.intent is not None:
        record["intent"] = _intent_record(resource.intent, texts)
    if resource.waits_for:
        record["waits_for"] = [str(each) for each in resource.waits_for]
    short, long = _outputs_record(resource.outputs, texts)
    optional = {
        "identity": resource.identity,
        "outputs": short,
        "long_outputs": long,
        "current": resource.current,
        "below_accept": resource.below_accept,
        "groups": codec.encode(resource.groups),
        "held": resource.held,
        "updated": resource.updated,
    }
    record.update((key, value) for key, value in optional.items() if value)
    return "\n".join((dump(record), *texts))


def dump(value: Any) -> str:
    """Return compact JSON; ASCII, so that even a name that is not valid Unicode survives any database."""
    return json.dumps(value, separators=(",", ":"))


def _put_text(record: Record, key: str, text: str, texts: list[str]) -> None:
    """Give the text a line, whose number the record keeps; one that cannot be a line of UTF-8 stays in the record."""
    if "\n" in text or not (text.isascii() or _is_unicode(text)):
        record[key] = text
    else:
        texts.append(text)
        record[key] = len(texts)


def _outputs_record(outputs: Frozen, texts: list[str]) -> tuple[Record, Record]:
    """Return the outputs, and the numbers of the lines of those that are long: many records hold the same ones."""
    short: Record = codec.encode(outputs)
    long: Record = {}
    for key in [each for each, value in short.items() if type(value) not in _SCALARS]:
        text = dump(short[key])
        if len(text) >= _LONG:
            del short[key]
            texts.append(text)
            long[key] = len(texts)
    return short, long


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _place_record(place: Place) -> Record:
    return {"driver": place.driver, "id": place.id, "settings": place.settings}


def _version_record(version: Version, texts: list[str]) -> Record:
    record: Record = {
        "version": version.version,
        "identity": version.identity,
        "build": version.build,
        "output": version.output,
        "trees": version.trees,
        "status": version.status.value,
        "created": version.created,
    }
    _put_text(record, "recipe", version.recipe, texts)
    if version.evidence is not None:
        evidence = version.evidence
        made: Record = {"identity": evidence.identity, "build": evidence.build, "figures": evidence.figures}
        _put_text(made, "recipe", evidence.recipe, texts)
        record["evidence"] = made
    if version.inputs:
        record["inputs"] = version.inputs
    if version.facts:
        record["facts"] = version.facts
    if version.seconds is not None:
        record["seconds"] = version.seconds
    if version.reproducible != "unknown":
        record["reproducible"] = version.reproducible
    return record


def _intent_record(intent: Intent, texts: list[str]) -> Record:
    record: Record = {
        "operation": intent.operation,
        "part_name": intent.part_name,
        "identity": intent.identity,
        "attempt": intent.attempt,
        "jobs": [[dump(_place_record(place)), key] for place, key in intent.jobs],
        "started": intent.started,
        "work": intent.work,
    }
    _put_text(record, "part", intent.part, texts)
    return record


class _Addresses(dict[str, Address]):
    """Addresses by their text: each is named by everything that was made from it."""

    def __missing__(self, text: str) -> Address:
        return self.setdefault(text, Address.parse(text))


class _Places(dict[str, Place]):
    """Places by their JSON text: a thousand resources lie in one store."""

    def __missing__(self, text: str) -> Place:
        record = json.loads(text)
        return self.setdefault(text, Place(record["driver"], record["id"], _frozen(record["settings"])))


def _record(text: str) -> Record:
    try:
        record: Record = from_json(text)  # twice as fast as the standard library
    except ValueError:  # half a character in a name, which only the standard library takes, or a broken record
        record = json.loads(text)
    return record


class _LongOutputs(dict[str, Any]):
    """Outputs by their JSON text: all algorithms of an engine have the same locked software."""

    def __missing__(self, text: str) -> Any:
        return self.setdefault(text, codec.decode(json.loads(text)))


class _Shared:
    """What many records hold, decoded once."""

    def __init__(self) -> None:
        self.addresses = _Addresses()
        self.places = _Places()
        self.long_outputs = _LongOutputs()


def decode_resources(
    rows: Iterable[tuple[int, str]], upgrades: Mapping[int, Upgrade] = UPGRADES, newest: int = FORMAT
) -> Iterator[Resource]:
    """Give the resources of (format, text) rows, in their order.

    Raises ValueError, KeyError, IndexError, TypeError or AttributeError for a text that is no body of a resource.
    """
    shared = _Shared()
    for form, body in rows:
        texts = body.split("\n")
        record = _record(texts[0])
        for older in range(form, newest):
            record = upgrades[older](record)
        yield _resource(record, texts, shared)


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


def _text(value: int | str, texts: list[str]) -> str:
    return texts[value] if isinstance(value, int) else value


def _resource(record: Record, texts: list[str], shared: _Shared) -> Resource:
    get = record.get
    place, intent, long = get("place"), get("intent"), get("long_outputs")
    addresses, places, outputs = shared.addresses, shared.places, _outputs(get("outputs"))
    if long is not None:
        outputs = Frozen(outputs | {key: shared.long_outputs[texts[line]] for key, line in long.items()})
    return Resource(
        addresses[record["address"]],
        record["lifecycle"],
        _text(record["spec"], texts),
        None if place is None else places[_text(place, texts)],
        get("identity"),
        outputs,
        get("current"),
        tuple([_version(each, texts) for each in get("versions", ())]),
        None if intent is None else _intent(intent, texts, places),
        tuple([addresses[each] for each in get("waits_for", ())]),
        tuple(get("below_accept", ())),
        codec.decode(get("groups", [])),
        get("held"),
        get("updated", 0.0),
        None if get("newcomers") is None else _newcomers(record, texts, places),
    )


def _newcomers(record: Record, texts: list[str], places: _Places) -> Newcomers:
    place = places[_text(record["newcomers_place"], texts)]
    return Newcomers(place, tuple([_version(each, texts) for each in record["newcomers"]]))


def _outputs(value: Any) -> Frozen:
    """The same as `_frozen`, but outputs may hold places and trees, which carry the name of their class."""
    if not value or not any(type(item) is dict for item in value.values()):
        return _frozen(value)  # type: ignore[no-any-return]
    outputs: Frozen = codec.decode(value)
    return outputs


def _version(record: Record, texts: list[str]) -> Version:
    get = record.get
    evidence = get("evidence")
    return Version(
        record["version"],
        record["identity"],
        record["build"],
        record["output"],
        _frozen(record["trees"]),
        _text(record["recipe"], texts),
        _STATUS[record["status"]],
        None if evidence is None else _evidence(evidence, texts),
        _frozen(get("inputs")),
        _frozen(get("facts")),
        get("seconds"),
        record["created"],
        get("reproducible", "unknown"),
    )


def _evidence(record: Record, texts: list[str]) -> Evidence:
    figures = _frozen(record["figures"])
    return Evidence(record["identity"], record["build"], figures, _text(record["recipe"], texts))


def _intent(record: Record, texts: list[str], places: _Places) -> Intent:
    return Intent(
        operation=record["operation"],
        part_name=record["part_name"],
        identity=record["identity"],
        attempt=record["attempt"],
        part=_text(record["part"], texts),
        jobs=tuple((places[place], key) for place, key in record["jobs"]),
        started=record["started"],
        work=record["work"],
    )


def _frozen(value: Any) -> Any:
    """The same as `frozen` of fresh JSON, without its type tests: only dicts and lists can occur."""
    if not value:
        return EMPTY
    for item in value.values():
        if type(item) not in _SCALARS:
            return Frozen({key: _inner(item) for key, item in value.items()})
    return Frozen(value)


def _inner(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    return tuple([_inner(item) for item in value]) if isinstance(value, list) else _frozen(value)


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
