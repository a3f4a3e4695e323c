"""The kind Service: its contract, and what a document may not say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from specforge.core.address import Address
from specforge.core.queries import Presence, Seen
from specforge.core.values import Frozen, Place
from specforge.schemas import service
from specforge.schemas.kind import Input, Subject
from specforge.schemas.service.spec import ServiceSpec
from specforge.testing.kind import Edit, KindContract

STORE, POOL = Place("folder", "artifacts"), Place("local", "here")
LOCKS = {"scikit-learn-server": Frozen(python="3.11", packages=())}
SHARES = [{"model": "digits@0.0.1", "weight": 90, "replicas": 3}, {"model": "digits", "weight": 10}]


def model(digest: str, version: str | None = None) -> Input:
    """A model as a service gets it."""
    outputs = {"place": STORE, "digest": digest, "tree.package": digest, "engine": "scikit-learn", "version": "0.0.1"}
    return Input(Address("model", "digits"), None, Frozen(outputs), version)


def document(**fields: Any) -> dict[str, Any]:
    """A valid document with these fields."""
    alone = {} if "serves" in fields else {"model": "digits"}
    return {"name": "digits", "port": 8080, "pool": "here", **alone, **fields}


def subject(**fields: Any) -> Subject:
    """A service with its models, its pool and its secrets answered."""
    spec = ServiceSpec.model_validate(document(**fields))
    inputs = {"pool": Input(Address("pool", "here"), None, Frozen(place=POOL))}
    if spec.serves is None:
        inputs["model"] = model("a" * 64)
    for index, each in enumerate(spec.serves or ()):
        inputs[f"serves.{index}.model"] = model(str(index) * 64, each.model.partition("@")[2] or None)
    facts = {f"secrets.{name}": Seen(Presence.PRESENT, "b" * 64) for name in spec.secrets}
    return Subject(Address("service", "digits"), spec, "project", inputs, facts, LOCKS)


class TestService(KindContract):
    """The contract."""

    kind = service.KIND

    def subjects(self):
        secrets = {"TOKEN": {"env": "MY_TOKEN"}, "KEY": {"file": "key"}}
        return subject(secrets=secrets, variables={"A": "1"}), subject(serves=SHARES)

    def edits(self):
        other = {"model": model("c" * 64)}
        first = {"serves.0.model": model("c" * 64)}
        beside = {"pool": Input(Address("pool", "other"), None, Frozen(place=Place("local", "other")))}
        token = {"secrets.TOKEN": Seen(Presence.PRESENT, "d" * 64)}
        key = {"secrets.KEY": Seen(Presence.PRESENT, "d" * 64)}
        return (
            Edit(("model",), "other", other),
            Edit(("serves", 0, "model"), "other", first, base=1),
            Edit(("serves", 0, "replicas"), 2, base=1),
            Edit(("serves", 0, "weight"), 80, base=1, also={("serves", 1, "weight"): 20}),
            Edit(("serves",), [{"model": "digits", "weight": 100}], {"serves.0.model": model("c" * 64)}, base=1),
            Edit(("replicas",), 2),
            Edit(("host",), "0.0.0.0"),
            Edit(("port",), 8081),
            Edit(("variables", "A"), "2"),
            Edit(("secrets", "TOKEN", "env"), "OTHER", facts=token),
            Edit(("secrets", "KEY", "file"), "other", facts=key),
            Edit(("resources", "cpu"), 0.5),
            Edit(("resources", "memory"), "1GiB"),
            Edit(("request", "body"), "1MiB"),
            Edit(("request", "time"), "5s"),
            Edit(("request", "queue"), 7),
            Edit(("update", "ready_within"), "5s"),
            Edit(("update", "drain"), "5s"),
            Edit(("pool",), "other", beside),
        )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": None}, "either `model` or `serves`; neither is given"),
        ({"serves": SHARES, "model": "digits"}, "either `model` or `serves`; both are given"),
        ({"serves": [{**SHARES[0], "weight": 80}, SHARES[1]]}, "make 90 percent, they must make 100"),
        ({"serves": [{"model": "a", "weight": 50}, {"model": "a", "weight": 50}]}, "`a` is in `serves` twice"),
        ({"serves": SHARES, "replicas": 2}, "`replicas` is said of each of them"),
        ({"serves": []}, "at least 1 item"),
        ({"host": "localhost"}, "`localhost` is not an address of a machine"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"port": 65536}, "less than or equal to 65535"),
        ({"replicas": 101}, "less than or equal to 100"),
        ({"secrets": {"A": {}}}, "either `env` or `file`"),
        ({"secrets": {"A": {"env": "B", "file": "c"}}}, "either `env` or `file`"),
        ({"secrets": {"A": {"env": "B"}}, "variables": {"A": "1"}}, "`A` is in `variables` and in `secrets`"),
        ({"request": {"queue": 0}}, "greater than or equal to 1"),
        ({"update": {"ready_within": "soon"}}, "not a length of time"),
    ],
)
def test_what_a_document_may_not_say(fields: dict[str, Any], words: str) -> None:
    """Each mistake in words that say what to write instead."""
    with pytest.raises(ValidationError) as wrong:
        ServiceSpec.model_validate(document(**fields))
    assert any(words in each["msg"] for each in wrong.value.errors())


def test_addresses_are_written_in_one_way() -> None:
    """So that no edit is seen where there is none."""
    assert ServiceSpec.model_validate(document(host="0:0:0:0:0:0:0:1")).host == "::1"
