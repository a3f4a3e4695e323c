"""What a document says of a local pool."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from specforge.core.values import Frozen, Place
from specforge.schemas.base import Spec
from specforge.schemas.units import Memory, memory_bytes

Bytes = Memory | Annotated[int, Field(ge=1)]


class LocalSettings(Spec):
    """Processes of this machine."""

    slots: Annotated[int, Field(ge=1, le=1024)] = 1
    """How many jobs may run at once; a job that asks for more than a slot's share holds several."""

    cpu: Annotated[float, Field(gt=0)] | None = None
    """Processors that all jobs together may use; default: all of the machine."""

    memory: Bytes | None = None
    """Memory that all jobs together may use, like `4GiB`; a job that takes more than its share is ended."""

    folder: Annotated[str, Field(min_length=1)] | None = None
    """Folder for the runs, relative to the project; default `.specforge/pools/NAME`."""

    log_limit: Bytes = "64MiB"
    """How much of each job's log is kept: of a longer one, the beginning and the end."""

    def place(self, name: str) -> Place:
        """Return the place that these settings of the Pool called `name` describe."""
        folder = self.folder or f".specforge/pools/{name}"
        settings = {
            "slots": self.slots,
            "cpu": self.cpu,
            "memory": None if self.memory is None else _bytes(self.memory),
            "log_limit": _bytes(self.log_limit),
        }
        return Place("local", folder, Frozen(settings))


def _bytes(amount: str | int) -> int:
    return amount if isinstance(amount, int) else memory_bytes(amount)
