"""Records of every format ever written are read; the memory backend and opening by location."""

from __future__ import annotations

import gc
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.errors import StateError
from specforge.core.state import EndRun, Newcomers, Note, PutResource, Resource, StateRef, Version
from specforge.core.values import PROJECT, Frozen, Place, Tree, frozen
from specforge.state import records
from specforge.state.memory import CommitFault, FaultyBackend, Memory, MemoryBackend
from specforge.state.open import open_backend
from specforge.state.sqlite import SqliteBackend
from specforge.testing.state import DIGITS, a_resource, an_intent, info, write

FORMATS = Path(__file__).parent / "formats"


def first_format() -> list[Resource]:
    """What lies in `formats/v1.db`, a file that is never written again."""
    return [
        Resource(Address("algorithm", "svc"), "definition", '{"name":"svc"}', outputs=Frozen(runnable="abc")),
        a_resource(intent=an_intent()),
        a_resource(Address("dataset", "手写"), spec='{"name":"手写"}', outputs=Frozen(path="scan\udcff.png")),
    ]


def test_the_first_format_is_read(tmp_path):
    """A state that the first release wrote is read whole, and can be written on."""
    shutil.copy(FORMATS / "v1.db", tmp_path / "state.db")
    backend = SqliteBackend(tmp_path / "state.db")
    state = backend.read()
    assert list(state.resources.values()) == first_format()
    assert (state.ref, state.project, state.environment) == (StateRef("lineage-v1", 2), "digits", "dev")
    assert state.attempts == {"5" * 64: 2}
    assert [each.event for each in backend.history()] == [
        "recorded",
        "intended",
        "recorded",
        "run ended",
        "run ended",
        "note",
    ]
    assert write(backend, Note(None, "later")).serial == 3
    assert len(SqliteBackend(tmp_path / "state.db").read().resources) == 3


def test_long_outputs_are_decoded_once():
    """Many records hold the same locked software: read back, it is one value; old records held it in their midst."""
    lock = frozen({"packages": [{"name": f"p{number}", "hashes": ["手写" * 20]} for number in range(50)]})
    code = Tree(PROJECT, "code", "0" * 64)
    written = [
        Resource(Address("algorithm", name), "definition", "{}", outputs=Frozen(lock=lock, code=code, boot="a.py"))
        for name in ("a", "b")
    ]
    first, second = records.decode_resources((1, records.encode_resource(each)) for each in written)
    assert [first, second] == written
    assert first.outputs["lock"] is second.outputs["lock"]
    whole = {"address": "algorithm.a", "lifecycle": "definition", "spec": "{}"}
    old = json.dumps({**whole, "outputs": codec.encode(written[0].outputs)})
    assert list(records.decode_resources([(1, old)])) == written[:1]


def test_every_format_has_a_fixture():
    """Whoever raises the format stores a state of the old one, and says how its records are upgraded."""
    assert {each.name for each in FORMATS.iterdir()} == {f"v{number}.db" for number in range(1, records.FORMAT + 1)}
    assert set(records.UPGRADES) == set(range(1, records.FORMAT))


def test_upgrades_are_applied_in_turn():
    """A record of an old format passes every upgrade on its way; one of the newest passes none."""
    upgrades = {
        1: lambda record: {**record, "lifecycle": record["lifecycle"] + "+2"},
        2: lambda record: {**record, "lifecycle": record["lifecycle"] + "+3"},
    }
    body = records.encode_resource(Resource(DIGITS, "x", "{}"))
    rows = [(number, body) for number in (1, 2, 3)]
    found = [each.lifecycle for each in records.decode_resources(rows, upgrades, newest=3)]
    assert found == ["x+2+3", "x+3", "x"]


def test_texts_with_line_breaks():
    """A spec that is not canonical JSON on one line, or not valid Unicode, comes back too."""
    resource = a_resource(spec="a\nb", intent=replace(an_intent(), part="\n"))
    half = a_resource(spec='{"path":"scan\udcff"}')
    for each in (resource, half):
        body = records.encode_resource(each)
        assert next(records.decode_resources([(1, body)])) == each
        body.encode()


def test_versions_in_another_store():
    """They come back; a record without any has no word of them, as those of older releases."""
    assert "newcomers" not in records.encode_resource(a_resource())
    place = Place("folder", "elsewhere", Frozen(note="two\nlines"))
    moved = a_resource(newcomers=Newcomers(place, (Version("V001", "i", 1, "o", Frozen(), "{}"),)))
    assert next(records.decode_resources([(1, records.encode_resource(moved))])) == moved


def test_a_version_with_nothing_but_what_it_must_have():
    """Fields with their default are left out and come back."""
    version = Version("V001", "i", 1, "o", Frozen(), "{}")
    resource = a_resource(versions=(version,))
    body = records.encode_resource(resource)
    assert "reproducible" not in body
    assert next(records.decode_resources([(1, body)])) == resource


def test_the_collector_is_left_as_it_was():
    """Reading with the collector off turns it on again only if it was on."""
    assert gc.isenabled()
    with records.collector_off():
        assert not gc.isenabled()
        with records.collector_off():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_journal_lines():
    """The journal says which version became current, which place was made, and leaves out what is not known."""
    place = Resource(Address("store", "s"), "place", "{}", identity="abc")
    lines = [records.journal_line(PutResource(each)) for each in (place, Resource(DIGITS, "definition", "{}"))]
    assert [detail for _, _, detail in lines] == [{"identity": "abc"}, {}]
    ended = records.journal_line(EndRun("i", DIGITS, "succeeded"))
    assert ended == (DIGITS, "run ended", {"identity": "i", "outcome": "succeeded"})


def test_half_a_lock_text():
    """A lock text that is empty, cut or of something else names nobody."""
    whole = records.encode_lock(info())
    assert records.decode_lock(whole) == info()
    for content in (b"", whole[:20], b"[]", b'{"who": "ada"}', b"\xff"):
        assert records.decode_lock(content) is None


# ---- memory and faults ----


def test_a_fault_before_and_after_a_commit():
    """Before: nothing was written. After: everything was, and the caller does not know."""
    memory = Memory()
    faults = {1: CommitFault("before", OSError("lost")), 3: CommitFault("after", KeyboardInterrupt())}
    backend = FaultyBackend(MemoryBackend(memory), faults)
    with pytest.raises(OSError, match="lost"):
        write(backend, Note(None, "1"))
    assert write(backend, Note(None, "2")).serial == 1
    with pytest.raises(KeyboardInterrupt):
        write(backend, Note(None, "3"))
    assert backend.read().ref.serial == 2
    assert backend.commits == 3
    assert write(backend, Note(None, "4")).serial == 3


def test_memory_needs_the_lock():
    """As the file does."""
    backend = MemoryBackend()
    with pytest.raises(AssertionError):
        backend.begin("lineage-1", "digits", "default")
    with pytest.raises(AssertionError):
        backend.commit("op", 1.0, [], StateRef("lineage-1", 0))
    with backend.lock(info(), 0), pytest.raises(AssertionError):
        backend.commit("op", 1.0, [], StateRef(None, 0))


# ---- locations ----


def test_locations(tmp_path):
    """A path is relative to the project's root; a full path and `file://` are taken as they are; messages say it so."""
    near = open_backend(".specforge/state.db", tmp_path)
    write(near, Note(None, "x"))
    assert near.location == ".specforge/state.db"
    assert (tmp_path / ".specforge" / "state.db").is_file()
    assert open_backend(str(tmp_path / "x.db"), Path("/elsewhere")).location == str(tmp_path / "x.db")
    assert open_backend(f"file://{tmp_path}/x.db", Path("/elsewhere")).location == str(tmp_path / "x.db")
    odd = open_backend("a b%20?#'\"手.db", tmp_path)
    assert write(odd, Note(None, "x")).serial == 1
    assert odd.read().ref.serial == 1
    assert (tmp_path / "a b%20?#'\"手.db").is_file()


@pytest.mark.parametrize("location", ["s3://bucket/state", "FILE://", "https://x/y", "file://"])
def test_unknown_places_for_a_state(location, tmp_path):
    """Another scheme is refused, and the message says which there are."""
    with pytest.raises(StateError) as caught:
        open_backend(location, tmp_path)
    (problem,) = caught.value.diagnostics
    assert problem.code == "SF308"
    assert location in problem.detail
    assert "file://PATH" in problem.detail


def test_bodies_are_json_on_their_first_line():
    """Whoever looks into the file by hand finds JSON, and the spec on a line of its own."""
    first, spec, *_ = records.encode_resource(a_resource()).split("\n")
    assert json.loads(first)["address"] == "dataset.digits"
    assert spec == '{"name":"digits"}'
