"""The fake world itself: disks, stores, jobs, the clock, the faults that are due, and what must never happen."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from specforge.core.errors import Cancelled, ExecutionError, Lost
from specforge.core.values import PROJECT, Frozen, Key, Place, Select, Tree, frozen
from specforge.executors.base import CancelToken, TreeReader
from specforge.executors.fake.faults import Fault, Point, SimulatedCrash, failed, unreachable_error
from specforge.executors.fake.files import Files, below, digest_of, entries_of, place_below, remove_below
from specforge.executors.fake.jobs import Job, JobCall, JobState, Program, collect, echo
from specforge.executors.fake.serving import FakeServing
from specforge.executors.fake.stores import FakeStoreData
from specforge.formats.tree import Entry, parse

_POLL = 0.01


class FakeWorld:
    """Everything that executors would reach, in memory. Safe to use from several threads.

    Tests set: `project` (the files of the user's folder); `program` (what jobs do); `long` (jobs with such a step name
    or word in `argv` run until `finish`); `unreachable` (places, as texts); `outside` (gives who reads trees at places
    that are not of this world, or None); `faults`: {n: fault} strikes at the nth point passed, counted from 0, and
    {(when, effect): fault} at the next point of that name; each strikes once. `points` are the points passed so far.
    `serving` are the groups of replicas and the routes, and what may befall those; `secrets` {reference as a text:
    value}.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.now = 1_700_000_000.0
        self.disks: dict[str, Files] = {}
        self.stores: dict[str, FakeStoreData] = {}
        self.made_places: dict[str, Frozen] = {}
        self.users: dict[str, set[str]] = {}
        self.toolchains: set[tuple[str, str]] = set()
        self.jobs: dict[tuple[str, str], Job] = {}
        self.starts: Counter[str] = Counter()
        self.program: Program = echo
        self.long: set[str] = set()
        self.outside: Callable[[Place], TreeReader | None] = lambda _: None
        self.scanned: dict[str, Select] = {}
        self.unreachable: set[str] = set()
        self.faults: dict[int | tuple[str, str], Fault] = {}
        self.points: list[Point] = []
        self.violations: list[str] = []
        self.serving = FakeServing(self)
        self.secrets: dict[str, str] = {}

    # ---- what tests set and read ----

    @property
    def project(self) -> Files:
        """The files of the user's folder, by their paths in it."""
        return self.disk(PROJECT)

    def disk(self, place: Place) -> Files:
        """Return the files of a place, by path."""
        with self.lock:
            return self.disks.setdefault(str(place), {})

    def store(self, place: Place) -> FakeStoreData:
        """Return what is published at a store."""
        with self.lock:
            return self.stores.setdefault(str(place), FakeStoreData())

    def clock(self) -> float:
        """Return the time, in unix seconds: it goes on by one second with every effect."""
        return self.now

    def heal(self) -> None:
        """Make every place reachable again and call off the faults that have not struck."""
        with self.lock:
            self.unreachable.clear()
            self.faults.clear()

    def lose(self, identity: str) -> None:
        """Let the data of the identity's current build vanish from every store."""
        with self.lock:
            for store in self.stores.values():
                store.lose(identity)

    def finish(self, key: str | None = None) -> None:
        """Let the running job with this key id end, or all running jobs."""
        with self.lock:
            for (_, own), job in self.jobs.items():
                if job.running and key in (None, own):
                    self.end(job)

    # ---- reading ----

    def files(self, tree: Tree) -> Files:
        """Return the files of a tree; raises ExecutionError if it is not there, or is not what its digest says."""
        outside = self.outside(tree.place)
        if outside is not None:
            return {each.path: _read(outside, tree, each) for each in outside.entries(tree)}
        with self.lock:
            if str(tree.place) in self.unreachable:
                raise unreachable_error(tree.place)
            if tree.path is None:
                found = self.store(tree.place).files(str(tree.digest))
            else:
                found = below(self.disk(tree.place), tree.path)
        if found is None:
            where = tree.path if tree.path is not None else f"tree {str(tree.digest)[:12]}"
            raise failed(f"`{where}` is not at {tree.place}, or not whole")
        return found

    def verified(self, tree: Tree) -> Files:
        """Return the files of a tree, after they were compared with its digest, by the selection that gave it."""
        files = self.files(tree)
        if tree.path is not None and isinstance(tree.digest, str):
            select = self.scanned.get(tree.digest, Select())
            if digest_of(files, select) != tree.digest:
                raise failed(f"`{tree.path}` at {tree.place} changed since the plan", hint="plan again")
        return files

    # ---- effects ----

    @contextmanager
    def effect(self, name: str, place: Place) -> Iterator[None]:
        """Let something happen at a place, between two points at which a fault may strike; a second passes."""
        self.reach(place)
        self._strike(Point("before", name, str(place)), place)
        with self.lock:
            yield
            self.now += 1
            self.changed.notify_all()
        self._strike(Point("after", name, str(place)), place)

    def reach(self, place: Place) -> None:
        """Raise ExecutionError if the place cannot be reached."""
        with self.lock:
            if str(place) in self.unreachable:
                raise unreachable_error(place)

    def _strike(self, point: Point, place: Place) -> None:
        with self.lock:
            by_number = self.faults.pop(len(self.points), None)
            fault = by_number or self.faults.pop((point.when, point.effect), None)
            self.points.append(point)
            if fault is Fault.UNREACHABLE:
                self.unreachable.add(str(place))
            if fault is Fault.LOSE:
                for store in self.stores.values():
                    for identity, _ in list(store.first)[-1:]:
                        store.lose(identity)
        where = f"{point.when} `{point.effect}` at {place}"
        if fault is Fault.ERROR:
            raise failed(f"simulated error {where}")
        if fault is Fault.CRASH:
            raise SimulatedCrash(where)
        if fault is Fault.UNREACHABLE:
            raise unreachable_error(place)

    # ---- jobs ----

    def start(self, place: Place, call: JobCall) -> Job:
        """Start a job unless its key has one; two running jobs of one resource are a violation."""
        with self.lock:
            known = self.jobs.get((str(place), call.key.id))
            if known is not None:
                return known
            for other in self.jobs.values():
                theirs, ours = other.call.key, call.key
                if other.running and (theirs.lineage, theirs.address) == (ours.lineage, ours.address):
                    self.violations.append(f"`{ours.id}` was started while `{theirs.id}` ran")
            job = self.jobs[(str(place), call.key.id)] = Job(call, self.now)
            self.starts[call.key.id] += 1
            return job

    def wait_for_slot(self, place: Place, cancel: CancelToken, on_wait: Callable[[], None]) -> None:
        """Wait until a job may start here. Jobs whose starter is gone end meanwhile, unless they are `long`."""
        slots = place.settings.get("slots")
        with self.lock:
            waited = False
            while slots is not None:
                running = [job for (at, _), job in self.jobs.items() if at == str(place) and job.running]
                if len(running) < slots:
                    return
                left = [job for job in running if not job.watchers and not self.is_long(job)]
                if left:
                    self.end(left[0])
                    continue
                if not waited:
                    waited = True
                    on_wait()
                if cancel.cancelled:
                    raise Cancelled(failed("cancelled while it waited for a free slot").diagnostics)
                self.changed.wait(_POLL)

    def is_long(self, job: Job) -> bool:
        """Return whether a job runs until somebody finishes or cancels it."""
        return not self.long.isdisjoint((job.call.step.name, *job.call.argv))

    def wait_for_end(self, job: Job, cancel: CancelToken) -> bool:
        """Wait while a long job runs; return False if a stop was asked for meanwhile."""
        with self.lock:
            job.watchers += 1
            try:
                while job.running and self.is_long(job):
                    if cancel.cancelled:
                        return False
                    self.changed.wait(_POLL)
                return not cancel.cancelled or not job.running
            finally:
                job.watchers -= 1

    def end(self, job: Job) -> None:
        """Let a running job do its work and end; what it leaves lies on its place's disk."""
        with self.lock:
            step, key = job.call.step, job.call.key
            made = self.program(job.call)
            for _ in range(step.retry):
                made = self.program(job.call) if made.exit else made
            job.made = made
            trees = {}
            for output in step.outputs:
                files = collect(output, made)
                path = f"{run_folder(key)}/out/{output.name}"
                place_below(self.disk(step.place), path, files)
                trees[f"tree.{output.name}"] = Tree(step.place, path, digest_of(files))
                if output.expected and not made.exit:
                    wanted = {each[0]: each[2:] for each in parse(made.files[output.expected])}
                    if wanted != {each.path: (each.size, each.sha256) for each in entries_of(files)}:
                        job.reason = f"`{output.name}` changed while it was collected"
                if output.required and not files:
                    job.reason = f"it left no output `{output.name}`: {output.missing_hint}"
            if step.facts is not None and not made.exit:
                try:
                    job.facts = frozen(json.loads(made.files[step.facts]))
                except (KeyError, ValueError):
                    job.reason = f"it left no readable `{step.facts}`"
            if made.exit:
                job.reason = f"it ended with exit code {made.exit}"
            job.trees = Frozen(trees)
            self._ended(job)

    def settle_gone(self, job: Job) -> None:
        """Call a job lost that ended well, if somebody removed what it left before it was discarded."""
        with self.lock:
            disk = self.disk(job.call.step.place)
            gone = any(below(disk, str(tree.path)) is None for tree in job.trees.values())
            if job.succeeded and gone and not job.discarded:
                job.lost, job.reason = True, "what it left is gone"

    def tidy(self) -> None:
        """Remove what jobs left that ended, as somebody does who cleans up behind our back."""
        with self.lock:
            for job in self.jobs.values():
                if not job.running:
                    remove_below(self.disk(job.call.step.place), run_folder(job.call.key))

    def stop(self, job: Job) -> None:
        """Cancel a running job."""
        with self.lock:
            if job.running:
                job.reason, job.cancelled = "it was cancelled", True
                self._ended(job)

    def _ended(self, job: Job) -> None:
        job.state = JobState.ENDED
        job.ended = self.now
        self.changed.notify_all()

    # ---- what must never happen ----

    def reruns(self) -> dict[tuple[str, str, str, str], int]:
        """Return the work that succeeded more than once: {(lineage, address, identity, step): times}.

        Whether that is wrong depends on the test: data that were lost, or a run that was discarded, are made again.
        """
        done: Counter[tuple[str, str, str, str]] = Counter()
        for job in self.jobs.values():
            key = job.call.key
            if job.succeeded:
                done[(key.lineage, str(key.address), key.identity, key.step)] += 1
        return {what: times for what, times in done.items() if times > 1}

    def check(self) -> None:
        """Raise AssertionError if an effect happened twice or a published thing changed.

        That is: a job started twice under one key, two jobs of one resource ran at once, a published build or version
        name is not what it was.
        """
        found = list(self.violations)
        found += [f"`{key}` was started {times} times" for key, times in self.starts.items() if times > 1]
        for place, store in self.stores.items():
            found += [f"{place}: {each}" for each in store.problems()]
        if found:
            raise AssertionError("; ".join(found))


def _read(reader: TreeReader, tree: Tree, entry: Entry) -> bytes:
    with reader.open(tree, entry) as stream:
        return stream.read()


def run_folder(key: Key) -> str:
    """Return where a job's files lie on the disk of its place."""
    return f"jobs/{key.id}"


def job_error(job: Job) -> ExecutionError:
    """Return the error of a job that ended badly."""
    log = "\n".join(job.made.log)
    if job.cancelled:
        return Cancelled(failed(job.reason).diagnostics, ended=True, log=log)
    error = failed(job.reason, ended=True, log=log)
    return Lost(error.diagnostics, ended=True, log=log) if job.lost else error
