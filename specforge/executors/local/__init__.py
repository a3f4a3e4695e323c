"""The pool driver `local`: processes of this machine, in slots."""

from __future__ import annotations

from specforge.executors.local.settings import LocalSettings
from specforge.schemas.kind import PlaceType

LOCAL = PlaceType(
    driver="local",
    family="pool",
    settings=LocalSettings,
    executor="specforge.executors.local.executor:LocalExecutor",
)
