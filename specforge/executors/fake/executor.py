"""The executor of a fake world: performs every step and answers every query, at any place."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from specforge.core.diagnostics import Diagnostic
from specforge.core.digest import digest_of as digest_of_value
from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.queries import (
    FindIdentity,
    FindVersion,
    LookAtArtifact,
    LookAtJob,
    LookAtPlace,
    LookAtReplicas,
    LookAtRoutes,
    Presence,
    Query,
    ScanTree,
    SecretPrint,
    Seen,
    unreachable,
)
from specforge.core.steps import (
    Copy,
    EnsureReplicas,
    EnsureToolchain,
    Publish,
    Release,
    RunJob,
    SetRoutes,
    Step,
    Unpublish,
    place_of_step,
)
from specforge.core.values import EMPTY, Frozen, Place, Tree, frozen
from specforge.executors.base import LogLine, Result, StepContext, StepEvent, Surroundings, TreeReader
from specforge.executors.fake import publishing
from specforge.executors.fake.faults import failed, unreachable_error
from specforge.executors.fake.files import below, digest_of, entries_of, place_below, remove_below, scan_facts
from specforge.executors.fake.jobs import Job, JobCall, shown
from specforge.executors.fake.places import FAKE_POOL, FAKE_STORE
from specforge.executors.fake.world import FakeWorld, job_error, run_folder
from specforge.formats.tree import Entry


class FakeExecutor:
    """Stores, pools and folders of one world, whatever their driver is called."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    # ---- observing ----

    def observe(self, place: Place, queries: Sequence[Query], deadline: float | None) -> Mapping[Query, Seen]:
        """Answer a batch; all of it UNREACHABLE if the place is, or if there is no time."""
        if str(place) in self._world.unreachable:
            return dict.fromkeys(queries, unreachable(f"`{place}` does not answer"))
        if deadline is not None and deadline <= 0:
            return dict.fromkeys(queries, unreachable("there was no time to ask"))
        with self._world.lock:
            return {query: self._answer(query) for query in queries}

    def _answer(self, query: Query) -> Seen:
        world = self._world
        if isinstance(query, SecretPrint):
            value = world.secrets.get(str(query.ref))
            return (
                Seen(Presence.ABSENT) if value is None else Seen(Presence.PRESENT, digest_of_value([value, query.salt]))
            )
        if isinstance(query, FindIdentity):
            return publishing.find_identity(world.store(query.store), query)
        if isinstance(query, FindVersion):
            return publishing.find_version(world.store(query.store), query)
        if isinstance(query, LookAtArtifact):
            return publishing.look_at_artifact(world.store(query.store), query)
        if isinstance(query, LookAtJob):
            return self._look_at_job(query)
        if isinstance(query, LookAtPlace):
            wanted = world.made_places.get(str(query.place))
            if wanted is None:
                return Seen(Presence.ABSENT)
            return Seen(Presence.PRESENT, facts=wanted)
        if isinstance(query, LookAtReplicas):
            return world.serving.look_at_replicas(query)
        if isinstance(query, LookAtRoutes):
            return world.serving.look_at_routes(query)
        return self._scan(query)

    def _scan(self, query: ScanTree) -> Seen:
        disk = self._world.disk(query.place)
        files, single = below(disk, query.path), query.path in disk
        if files is None:
            return Seen(Presence.ABSENT)
        since = None
        if query.since is not None:
            try:
                since = self.entries(query.since)
            except ExecutionError:
                since = None  # what cannot be read cannot be compared with
        digest = digest_of(files, query.select)
        self._world.scanned[digest] = query.select
        return Seen(Presence.PRESENT, digest, scan_facts(files, query.select, since, single))

    def _look_at_job(self, query: LookAtJob) -> Seen:
        job = self._world.jobs.get((str(query.place), query.key))
        if job is None:
            return Seen(Presence.ABSENT)
        facts: dict[str, Any] = {"state": job.state.value, "started": job.started, "exit": None, "reason": ""}
        if not job.running:
            facts |= {"exit": None if job.cancelled else job.made.exit, "reason": job.reason or "it ended well"}
        return Seen(Presence.PRESENT, facts=frozen(facts), since=job.started)

    def preflight(self, place: Place, steps: Sequence[Step], deadline: float | None) -> Sequence[Diagnostic]:
        """Say that the place cannot be reached, if so."""
        if steps and (str(place) in self._world.unreachable or (deadline is not None and deadline <= 0)):
            return unreachable_error(place).diagnostics
        return ()

    # ---- performing ----

    def perform(self, step: Step, context: StepContext) -> Result:
        """Make it so, passing the points at which a fault may strike."""
        world, key = self._world, context.key
        world.reach(place_of_step(step))
        if isinstance(step, RunJob):
            return Result(self._run_job(step, context))
        if context.cancel.cancelled:
            raise Cancelled(failed("a stop was asked for").diagnostics)
        if isinstance(step, Publish):
            return Result(publishing.publish(world, step, key))
        if isinstance(step, Release):
            return Result(publishing.release(world, step, key))
        if isinstance(step, Unpublish):
            return Result(publishing.unpublish(world, step, key))
        if isinstance(step, Copy):
            return Result(self._copy(step))
        if isinstance(step, EnsureToolchain):
            return Result(self._toolchain(step))
        if isinstance(step, EnsureReplicas):
            return Result(world.serving.ensure(step, context))
        if isinstance(step, SetRoutes):
            return Result(world.serving.set_routes(step))
        return Result(publishing.ensure_place(self._world, step, key))

    def _toolchain(self, step: EnsureToolchain) -> Frozen:
        have = (str(step.place), digest_of_value(step.lock))
        if have not in self._world.toolchains:
            with self._world.effect("toolchain", step.place):
                self._world.toolchains.add(have)
        return EMPTY

    def _copy(self, step: Copy) -> Frozen:
        wanted = self._world.verified(step.source)
        chosen = {each.path: wanted[each.path] for each in entries_of(wanted, step.select)}
        disk, mirror = self._world.disk(step.place), step.mode == "MIRROR"
        there = below(disk, step.path) or {}
        if any(there.get(path) != content for path, content in chosen.items()) or (mirror and there != chosen):
            with self._world.effect("copy", step.place):
                place_below(disk, step.path, chosen, mirror=mirror)
        return Frozen(tree=Tree(step.place, step.path, digest_of(chosen, step.select)))

    # ---- jobs ----

    def _run_job(self, step: RunJob, context: StepContext) -> Frozen:
        world, place = self._world, step.place
        job = world.jobs.get((str(place), context.key.id))
        if job is None:
            job = self._start(step, context)
        elif job.running:
            context.emit(StepEvent("state", "attached to a running job"))
        else:
            world.settle_gone(job)
        if not world.wait_for_end(job, context.cancel):
            self.cancel(place, context.key.id, 0.0)
        if job.running:
            with world.effect("job end", place):
                if job.running:
                    world.end(job)
        for line in job.made.log:
            context.emit(StepEvent("log", line))
        if not job.succeeded:
            raise job_error(job)
        seconds = job.ended - job.started
        return Frozen({**job.trees, "facts": job.facts, "usage": Frozen(seconds=seconds, bytes=0)})

    def _start(self, step: RunJob, context: StepContext) -> Job:
        world = self._world
        if context.cancel.cancelled:
            raise Cancelled(failed(f"`{step.name}` was not started").diagnostics)
        inputs = {each.name: shown(world.verified(each.tree), each.usages) for each in step.inputs}
        code = world.verified(step.code) if isinstance(step.code, Tree) else None
        call = JobCall(context.key, step, inputs, code)
        waiting = StepEvent("state", "waiting for a free slot")
        world.wait_for_slot(step.place, context.cancel, lambda: context.emit(waiting))
        with world.effect("job start", step.place):
            return world.start(step.place, call)

    def cancel(self, place: Place, key: str, grace: float) -> None:  # noqa: ARG002  a fake job dies at once
        """Stop the job; silent if it is not running."""
        self._world.reach(place)
        job = self._world.jobs.get((str(place), key))
        if job is not None and job.running:
            with self._world.effect("cancel", place):
                self._world.stop(job)

    def discard(self, place: Place, key: str) -> None:
        """Remove what the ended job with this key left on the disk."""
        self._world.reach(place)
        job = self._world.jobs.get((str(place), key))
        if job is not None and not job.running:
            with self._world.lock:
                job.discarded = True
                remove_below(self._world.disk(place), run_folder(job.call.key))

    def logs(self, place: Place, key: str, since: float | None, follow: bool) -> Iterator[LogLine]:
        """Give the job's lines, or a group's; `follow` waits for a job's end."""
        self._world.reach(place)
        yield from self._world.serving.logs(place, key, since)
        job = self._world.jobs.get((str(place), key))
        while follow and job is not None and job.running:
            with self._world.lock:
                self._world.changed.wait(0.01)
        if job is not None and (since is None or job.ended >= since):
            yield from (LogLine(job.ended, line) for line in job.made.log)

    # ---- trees ----

    def entries(self, tree: Tree) -> tuple[Entry, ...]:
        """List the tree; raises ExecutionError if it is not there."""
        return entries_of(self._world.files(tree))

    def open(self, tree: Tree, entry: Entry) -> BinaryIO:
        """Open one of its files for reading."""
        files = self._world.files(tree)
        if entry.path not in files:
            raise failed(f"`{entry.path}` is not in the tree at {tree.place}")
        return io.BytesIO(files[entry.path])


class FakeExecutors:
    """Stands where `specforge.executors.registry.Executors` would: every place is one of the world's."""

    def __init__(self, world: FakeWorld) -> None:
        self._executor = FakeExecutor(world)

    def of(self, place: Place) -> FakeExecutor:  # noqa: ARG002
        """Return the executor of this place."""
        return self._executor

    def reader(self, place: Place) -> TreeReader:  # noqa: ARG002
        """Return who reads trees at this place."""
        return self._executor


_WORLDS: dict[Path, FakeWorld] = {}


def world_at(root: Path) -> FakeWorld:
    """Return the one world that this process has for a project's root folder."""
    return _WORLDS.setdefault(root.resolve(), FakeWorld())


def in_this_process(surroundings: Surroundings) -> FakeExecutor:
    """Return the executor of the drivers `fake-store` and `fake-pool`: of the world that belongs to the project.

    Trees at places of other drivers are read there.
    """
    world = world_at(surroundings.root)
    fake = (FAKE_STORE.driver, FAKE_POOL.driver)
    world.outside = lambda place: None if place.driver in fake else surroundings.reader(place)
    return FakeExecutor(world)
