"""A local pool as it is on this machine: its folder, its share of the machine, and what of it a slot has."""

from __future__ import annotations

import math
import os
from pathlib import Path

from specforge.core.making import dataclass
from specforge.core.values import Limits, Place, Tree
from specforge.runtimes.job.slots import is_locked

_LONGEST_NAME = 240


@dataclass(frozen=True, slots=True)
class Pool:
    """`cpu` in processors, `memory` and `log_limit` in bytes; `memory` None: not limited."""

    place: Place
    folder: Path
    slots: int
    cpu: float
    memory: int | None
    log_limit: int

    @property
    def runs(self) -> Path:
        """The folder of the run folders."""
        return self.folder / "runs"

    def run_folder(self, key: str) -> Path:
        """Return the folder of the run with this key; raises ValueError for what is no run key."""
        if not key or key.startswith(".") or "/" in key or "\0" in key:
            raise ValueError(f"`{key}` is not a run key")
        raw = key.encode()
        if len(raw) > _LONGEST_NAME:
            from hashlib import sha256

            # File systems allow 255 bytes; the end of the text is unique only together with a hash of all of it.
            key = raw[:200].decode(errors="ignore") + "-" + sha256(raw).hexdigest()[:16]
        return self.runs / key

    def listing(self, tree: Tree) -> Path | None:
        """Return the file with the listing of a tree that was made or copied here; None if there is none."""
        parts = Path(tree.path or ".").parts
        kept = self.runs / parts[1] / "trees" if len(parts) > 1 and parts[0] == "runs" else self.folder / "listings"
        file = kept / str(tree.digest)
        return file if file.is_file() else None

    def cpu_share(self, limits: Limits) -> float:
        """Return the processors that a job with these limits may use."""
        return self.cpu / self.slots if limits.cpu is None else limits.cpu

    def memory_share(self, limits: Limits) -> int | None:
        """Return the bytes of memory that a job with these limits may use; None: not limited."""
        if limits.memory is not None or self.memory is None:
            return limits.memory
        return self.memory // self.slots

    def need(self, limits: Limits) -> int:
        """Return how many slots a job with these limits holds; more than `slots`: it can never run here."""
        shares = [1.0]
        if limits.cpu is not None:
            shares.append(limits.cpu * self.slots / self.cpu)
        if limits.memory is not None and self.memory is not None:
            shares.append(limits.memory * self.slots / self.memory)
        return math.ceil(max(shares) - 1e-9)

    def busy(self) -> int:
        """Return how many slots are held now."""
        return sum(is_locked(str(self.folder / "slots" / str(number))) for number in range(self.slots))


def pool_of(place: Place, root: Path) -> Pool:
    """Return the pool that a place of driver `local` is in this project."""
    settings = place.settings
    return Pool(
        place=place,
        folder=root / place.id,
        slots=settings.get("slots") or 1,
        cpu=settings.get("cpu") or float(len(os.sched_getaffinity(0))),
        memory=settings.get("memory"),
        log_limit=settings.get("log_limit") or 64 << 20,
    )
