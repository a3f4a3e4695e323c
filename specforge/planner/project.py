"""A loaded project, as values: what the user declared, with every default and variable filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic
from specforge.core.making import dataclass
from specforge.core.values import Frozen
from specforge.schemas.base import Declared as Spec
from specforge.schemas.kind import Kind, Kinds
from specforge.schemas.references import Found, references


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared resource. `spec_json` is the canonical JSON of `spec` with defaults filled in, for comparison.

    `found` are the references in `spec` if whoever made this has looked for them already.
    """

    address: Address
    kind: Kind
    spec: Spec
    spec_json: str
    found: tuple[Found, ...] | None = None

    @property
    def references(self) -> tuple[Found, ...]:
        """The references in the spec, in the order of its fields."""
        return references(self.spec) if self.found is None else self.found


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the user declared for one environment.

    `state` is the backend's location as written; `locks` {engine: its entry of specforge.lock}; `sources` {address:
    (file, index of the document in it)} so that the loading layer can find positions again when an error needs one.
    """

    name: str
    environment: str
    state: str
    resources: Mapping[Address, Declared]
    kinds: Kinds
    locks: Mapping[str, Frozen] = field(default_factory=dict)
    sources: Mapping[Address, tuple[str, int]] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
