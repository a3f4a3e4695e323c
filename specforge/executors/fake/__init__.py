"""A world in memory for tests: stores, pools and the user's folder, with faults and crashes on request.

`FakeWorld` is the world, `FakeExecutors(world)` stands where the engine takes executors. Every effect passes named
points, before and after, at which a fault may strike; `world.check()` says whether anything happened that must not.
"""

from specforge.executors.fake.executor import FakeExecutor, FakeExecutors
from specforge.executors.fake.faults import Fault, SimulatedCrash
from specforge.executors.fake.jobs import Job, JobCall, Made, echo
from specforge.executors.fake.places import FAKE_POOL, FAKE_STORE, FakePool, FakeStore
from specforge.executors.fake.serving import FakeServing
from specforge.executors.fake.world import FakeWorld

__all__ = [
    "FAKE_POOL",
    "FAKE_STORE",
    "FakeExecutor",
    "FakeExecutors",
    "FakePool",
    "FakeServing",
    "FakeStore",
    "FakeWorld",
    "Fault",
    "Job",
    "JobCall",
    "Made",
    "SimulatedCrash",
    "echo",
]
