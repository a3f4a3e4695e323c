"""What a service wishes and what is recorded of it: listening address, groups of replicas, their shares of traffic."""

from __future__ import annotations

from specforge.core.address import Address
from specforge.core.digest import digest_of
from specforge.core.making import dataclass
from specforge.core.values import Place

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
"""The hosts that stand for all addresses of a machine, each with one at which it can be called."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a service is reached: an address of the machine and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def clashes(self, other: Listen) -> bool:
        """Whether both cannot be listened at at once on one machine."""
        hosts = {self.host, other.host}
        return self.port == other.port and (len(hosts) == 1 or not hosts.isdisjoint(EVERYWHERE))

    @property
    def url(self) -> str:
        """The address to call; one that listens everywhere is called at the loopback address."""
        return f"http://{Listen(EVERYWHERE.get(self.host, self.host), self.port)}"

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return what `str` was made of."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Share:
    """What one group gets: `weight` percent of the requests, answered by `count` replicas; `serves` is for people."""

    serves: str
    weight: int
    count: int


@dataclass(frozen=True, slots=True)
class Serving:
    """How a service is reached; its n-th share belongs to the n-th part of the wish.

    `timeout`: seconds that one request may take. `drain`: seconds that requests in flight get before their replica
    ends.
    """

    listen: Listen
    shares: tuple[Share, ...]
    timeout: float = 60.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class ReplicaGroup:
    """Replicas that were begun: their `name` at the place, the `identity` of what they run and its `recipe` (JSON).

    `weight` 0: they get no requests (not yet, or no longer).
    """

    name: str
    identity: str
    place: Place
    serves: str
    weight: int
    count: int
    recipe: str = "{}"


def group_name(lineage: str, address: Address, identity: str, place: Place) -> str:
    """Return the name of a group: the same whenever it is computed, another for every lineage and every place."""
    return f"{address}-{digest_of([lineage, str(address), identity, place.driver, place.id])[:12]}"


def route_name(lineage: str, address: Address) -> str:
    """Return the name of a service's routes at their place: places are shared by environments, names are not."""
    return f"{address}-{digest_of([lineage, str(address)])[:12]}"
