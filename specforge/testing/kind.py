"""The contract of a kind, as a test suite: a subclass names the kind, gives subjects of it, and an edit per field.

    class TestGlossary(KindContract):
        kind = KIND

        def subjects(self): return (Subject(Address("glossary", "terms"), spec, "project", inputs, facts),)

        def edits(self): return (Edit(("terms", "*"), "another text"),)

An edit is another valid value for one field; with them the suite checks that change rules and recipes agree, and it
fails while a field has none.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError

from specforge.core import codec
from specforge.core.address import Address
from specforge.core.making import dataclass
from specforge.core.queries import Presence, Reading, Seen, unreachable
from specforge.core.steps import Publish
from specforge.core.values import EMPTY, IDENTITY, OutputRef, StepRef, holes_in
from specforge.loading.documentation import documented
from specforge.schemas import kind as kind_module
from specforge.schemas.base import Change, Declared, field_rules
from specforge.schemas.kind import Desire, Input, Kind, Lifecycle, Part, Subject

_AUTOMATIC = frozenset({("name",), ("description",)})
_REGISTRY = {**codec.CORE, **codec.registry_of(kind_module)}


@dataclass(frozen=True, slots=True)
class Edit:
    """Another valid value for the field at `path` (keys and indices) of subject number `base`.

    `inputs` and `facts`: what the field's reference or reading leads to then, in place of the subject's. `also`: other
    fields that have to change with it, by their paths.
    """

    path: tuple[str | int, ...]
    value: Any
    inputs: Mapping[str, Input] = field(default_factory=dict)
    facts: Mapping[str, Seen] = field(default_factory=dict)
    base: int = 0
    also: Mapping[tuple[str | int, ...], Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))} = {self.value!r}"


class KindContract:
    """What every kind promises. Collected by pytest in subclasses whose names begin with `Test`."""

    kind: Kind

    def subjects(self) -> Sequence[Subject]:
        """Return subjects with their inputs and facts, at least one; the desire of each must have no errors."""
        raise NotImplementedError

    def edits(self) -> Sequence[Edit]:
        """Return at least one edit per field of the spec class, nested ones too; not for `name` and `description`."""
        raise NotImplementedError

    # ---- the document ----

    def test_every_field_says_what_it_is(self) -> None:
        """Every field has a docstring: it is the reference page and the editor's help."""
        missing = [path for path, text in _descriptions(self.kind.spec, ()) if not text]
        assert not missing

    def test_every_field_has_a_change_rule(self) -> None:
        """Every field says what a change of it means."""
        missing = [rule.path for rule in field_rules(self.kind.spec) if rule.change is None]
        assert not missing

    def test_the_json_schema_builds(self) -> None:
        """Editors can be told what a document may say."""
        schema = self.kind.spec.model_json_schema()
        assert "name" in schema["properties"]
        assert schema["additionalProperties"] is False

    def test_examples_are_valid_documents(self) -> None:
        """There is an example, and each says its kind and is what the spec class accepts."""
        assert self.kind.examples
        for example in self.kind.examples:
            assert example["kind"] == self.kind.document
            spec = self.kind.spec.model_validate(_without_kind(example))
            assert self.kind.spec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec

    def test_unknown_keys_are_refused(self) -> None:
        """A misspelt key is an error, not a default."""
        document = {**_without_kind(self.kind.examples[0]), "no_such_key": 1}
        assert ("no_such_key",) in _refused(self.kind.spec, document)

    def test_versions_belong_to_artifacts(self) -> None:
        """Artifacts, and only they, have a pattern for version names, which numbers them."""
        pattern = self.kind.version_pattern
        assert (pattern is not None) == (self.kind.lifecycle is Lifecycle.ARTIFACT)
        if pattern is not None:
            assert len({pattern.format(number) for number in (1, 2, 11)}) == 3

    # ---- readings and desire ----

    def test_subjects_are_of_this_kind_and_right(self) -> None:
        """The subjects that the suite works on are what the planner would hand in, and have no errors."""
        assert self.subjects()
        for subject in self.subjects():
            assert subject.address == Address(self.kind.prefix, subject.spec.name)
            assert not self._desire(subject).diagnostics
            assert set(self.kind.readings(subject)) == set(subject.facts)
            assert all(isinstance(each, get_args(Reading) or Reading) for each in self.kind.readings(subject).values())

    def test_equal_subjects_give_equal_wishes(self) -> None:
        """The wish depends on the subject alone."""
        for subject in self.subjects():
            assert self._desire(subject) == self._desire(replace(subject))
            assert self.kind.readings(subject) == self.kind.readings(replace(subject))

    def test_nothing_is_read_written_or_started(self) -> None:
        """Readings and desires touch no file, no network and no process."""
        for subject in self.subjects():
            self._desire(subject)  # imports happen now, if at all
            with _recorded() as events:
                self._desire(subject)
                self.kind.readings(subject)
            assert not events

    def test_desire_never_raises(self) -> None:
        """Whatever the readings answer and whatever of the inputs is known, there is a wish or a diagnostic."""
        for subject in self.subjects():
            for odd in _odd(subject):
                desire = self._desire(odd)
                assert all(each.address == subject.address and each.code for each in desire.diagnostics)

    def test_wishes_survive_being_saved(self) -> None:
        """A wish and its readings can be written into a plan and read back."""
        for subject in self.subjects():
            desire, readings = self._desire(subject), dict(self.kind.readings(subject))
            assert codec.decode(codec.encode(desire), _REGISTRY) == desire
            assert codec.decode(codec.encode(readings), _REGISTRY) == readings

    # ---- parts and steps ----

    def test_artifacts_say_where_they_are_published(self) -> None:
        """The wish of an artifact names its store, its series of versions, and ends each part with one Publish."""
        if self.kind.lifecycle is not Lifecycle.ARTIFACT:
            return
        for desire in map(self._desire, self.subjects()):
            assert desire.parts
            assert desire.place is not None
            assert desire.series is not None
            assert desire.series.pattern == self.kind.version_pattern
            for part in desire.parts:
                commits = [each for each in part.steps if isinstance(each, Publish)]
                assert commits == [part.steps[-1]]
                assert commits[0].identity == IDENTITY
                assert commits[0].output in commits[0].trees

    def test_places_are_known_by_others(self) -> None:
        """The wish of a Store or Pool gives its place as output, and a part that makes it."""
        if self.kind.lifecycle is not Lifecycle.PLACE:
            return
        for desire in map(self._desire, self.subjects()):
            assert desire.place is not None
            assert desire.outputs["place"] == desire.place
            assert desire.parts

    def test_steps_have_names_of_their_own(self) -> None:
        """Within a part no two steps share a name, because names are in run keys."""
        for _, part in self._parts():
            names = [step.name for step in part.steps]
            assert len(set(names)) == len(names)

    def test_holes_lead_somewhere(self) -> None:
        """A hole refers to an input, to the place of one, to an earlier part of the same, or to an earlier step."""
        for subject in self.subjects():
            known = {each.address for each in subject.inputs.values()}
            for number, part in enumerate(self._desire(subject).parts):
                own = {subject.address} if number else set()
                earlier = {""}
                assert not [each for each in holes_in(part.recipe) if isinstance(each, StepRef)]
                for value in (part.recipe, *part.steps):
                    for hole in holes_in(value):
                        if isinstance(hole, OutputRef):
                            assert hole.address in known | own or hole.key == "place", hole
                        else:
                            assert hole.step in earlier, hole
                    earlier.add(getattr(value, "name", ""))

    # ---- identity ----

    def test_name_and_description_are_in_no_identity(self) -> None:
        """Renaming a resource or describing it anew makes nothing again."""
        for subject in self.subjects():
            before = self._desire(subject)
            described = self._edited(subject, Edit(("description",), "another text"))
            assert [_recipe(part) for part in before.parts] == [_recipe(part) for part in self._desire(described).parts]
            assert before.outputs == self._desire(described).outputs
            if self.kind.lifecycle is Lifecycle.ARTIFACT:
                renamed = self._edited(subject, Edit(("name",), "another-name"))
                renamed = replace(renamed, address=Address(self.kind.prefix, "another-name"))
                assert _recipe(before.parts[0]) == _recipe(self._desire(renamed).parts[0])

    def test_every_field_has_an_edit(self) -> None:
        """The edits cover every field, so that none escapes the next check."""
        rules = [rule.path for rule in field_rules(self.kind.spec)]
        leaves = [path for path in rules if not any(other[: len(path)] == path and other != path for other in rules)]
        covered = [each.path for each in self.edits()]
        exempt = _AUTOMATIC | _of_one_value(self.kind.spec)
        missing = [path for path in leaves if path not in exempt and not any(_fits(path, each) for each in covered)]
        assert not missing

    def test_change_rules_and_recipes_agree(self) -> None:
        """What a field's rule calls a new version changes the identity, and nothing else does."""
        subjects = self.subjects()
        for edit in self.edits():
            subject = subjects[edit.base]
            changed = self._edited(subject, edit)
            assert changed.spec != subject.spec, f"{edit} changes nothing"
            before, after = self._desire(subject), self._desire(changed)
            assert not after.diagnostics, f"{edit}: {after.diagnostics}"
            rule = self._rule(edit.path)
            if self.kind.lifecycle is Lifecycle.ARTIFACT:
                same = _recipe(before.parts[0]) == _recipe(after.parts[0])
                assert same == (rule is not Change.NEW_VERSION), f"{edit} has the rule `{rule.value}`"
            elif rule is Change.IGNORE:
                assert [*map(_recipe, before.parts)] == [*map(_recipe, after.parts)], str(edit)
                assert before.outputs == after.outputs, str(edit)
            else:
                assert _told(before) != _told(after), f"{edit} has the rule `{rule.value}` but changes nothing"

    # ---- machinery ----

    def _desire(self, subject: Subject) -> Desire:
        desire = self.kind.desire(subject)
        assert isinstance(desire, Desire)
        return replace(desire, parts=tuple(self._with_steps(subject, each) for each in desire.parts))

    def _with_steps(self, subject: Subject, part: Part) -> Part:
        return replace(part, steps=self.kind.steps(subject, part))

    def _parts(self) -> Iterator[tuple[Subject, Part]]:
        for subject in self.subjects():
            for part in self._desire(subject).parts:
                yield subject, part

    def _edited(self, subject: Subject, edit: Edit) -> Subject:
        document = subject.spec.model_dump(mode="json", by_alias=True)
        for path, value in {edit.path: edit.value, **edit.also}.items():
            at = document
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
        spec: Declared = self.kind.spec.model_validate(document)
        inputs, facts = {**subject.inputs, **edit.inputs}, {**subject.facts, **edit.facts}
        return replace(subject, spec=spec, inputs=inputs, facts=facts)

    def _rule(self, path: tuple[str | int, ...]) -> Change:
        rules = {rule.path: rule.change for rule in field_rules(self.kind.spec)}
        found = next((change for pattern, change in rules.items() if _fits(pattern, path)), None)
        assert found is not None, f"no field `{'.'.join(map(str, path))}`"
        return found


def _without_kind(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "kind"}


def _refused(spec: type[BaseModel], document: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
    try:
        spec.model_validate(document)
    except ValidationError as error:
        return [each["loc"] for each in error.errors()]
    return []


def _told(desire: Desire) -> tuple[Any, ...]:
    """Return what a change in place can be seen by: outputs, and of a service how it is served, by what, and where."""
    return desire.outputs, desire.serving, desire.place, [*map(_recipe, desire.parts)]


def _recipe(part: Part) -> tuple[str, int, Any]:
    return part.prefix, part.revision, part.recipe


def _fits(pattern: tuple[str, ...], path: tuple[str | int, ...]) -> bool:
    return len(pattern) == len(path) and all(own in ("*", key) for own, key in zip(pattern, path, strict=True))


def _of_one_value(spec: type[BaseModel]) -> set[tuple[str, ...]]:
    """Return the fields of which there is only one value so far, so that nothing can be edited."""
    return {rule.path for rule in field_rules(spec) if _is_of_one_value(spec, rule.path)}


def _is_of_one_value(model: type[BaseModel], path: tuple[str, ...]) -> bool:
    key, *rest = [each for each in path if each != "*"]
    info = next((each for name, each in model.model_fields.items() if (each.alias or name) == key), None)
    if info is None:
        return False  # a root model stands where what it holds stands
    if rest:
        return any(_is_of_one_value(inner, tuple(rest)) for inner in _models_in(info.annotation))
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def _descriptions(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    for name, info in documented(model).model_fields.items():
        if not issubclass(model, RootModel):  # the field that holds one has the description
            yield (*path, name), info.description
        for inner in _models_in(info.annotation):
            yield from _descriptions(inner, (*path, name))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _odd(subject: Subject) -> Iterator[Subject]:
    """Give the subject with less known, and with readings answered in every way there is."""
    yield replace(subject, locks={})
    yield replace(subject, facts={})
    yield replace(subject, inputs={path: replace(each, outputs=EMPTY) for path, each in subject.inputs.items()})
    yield replace(subject, inputs={path: replace(each, spec=None) for path, each in subject.inputs.items()})
    for name in subject.facts:
        for seen in (Seen(Presence.ABSENT), Seen(Presence.PRESENT, "0" * 64), unreachable("no answer")):
            yield replace(subject, facts={**subject.facts, name: seen})


# ---- watching for effects: an audit hook cannot be taken away, so there is one, which is asleep between checks ----

_EFFECTS = ("open", "os.", "socket.", "subprocess.", "shutil.", "tempfile.", "sqlite3.", "urllib.", "glob.")
_watching = threading.local()


def _hook(event: str, _: tuple[Any, ...]) -> None:
    events = getattr(_watching, "events", None)
    if events is not None and event.startswith(_EFFECTS):
        events.append(event)


@contextmanager
def _recorded() -> Iterator[list[str]]:
    """Note the effects of this thread."""
    if not getattr(_recorded, "hooked", False):
        sys.addaudithook(_hook)
        _recorded.hooked = True  # type: ignore[attr-defined]
    _watching.events = []
    try:
        yield _watching.events
    finally:
        _watching.events = None
