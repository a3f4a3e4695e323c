"""What would keep steps from succeeding at a local pool, found before anything runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from specforge.core.diagnostics import Diagnostic, Severity
from specforge.core.steps import EnsureReplicas, EnsureToolchain, RunJob, SetRoutes, Step
from specforge.executors import toolchains
from specforge.executors.local.pool import Pool
from specforge.executors.replicas.failures import unfit

_TOO_LITTLE = 64 << 20
_LITTLE = 1 << 30


def preflight(pool: Pool, steps: Sequence[Step], cache: Path) -> list[Diagnostic]:
    """Return the diagnostics; an error stops the apply before its first effect."""
    if sys.platform != "linux":
        detail = f"local pools watch their jobs through `/proc`, which {sys.platform} does not have"
        return [Diagnostic("SF449", "The pool cannot be used", detail, hint="use a pool on a Linux machine")]
    found = [*_folder(pool.folder, f"the pool `{pool.place.id}`"), *_machine(pool)]
    for step in steps:
        if isinstance(step, RunJob):
            found += _job(pool, step)
        if isinstance(step, EnsureReplicas):
            found += unfit(step)
        if isinstance(step, SetRoutes):
            from specforge.executors.gateway.checks import preflight as can_be_set

            found += can_be_set(pool, step)
    if any(isinstance(step, EnsureToolchain) and not toolchains.is_ready(cache, step.lock) for step in steps):
        found += _folder(cache, "the folder for toolchains")
        wanted = {step.lock["python"] for step in steps if isinstance(step, EnsureToolchain)}
        found += [each for minor in sorted(wanted) if (each := toolchains.missing_python(minor)) is not None]
    return list(dict.fromkeys(found))


def _folder(folder: Path, what: str) -> Iterator[Diagnostic]:
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        detail = f"nothing can be written to `{existing}`, which holds {what}"
        yield Diagnostic("SF449", "The pool cannot be used", detail, hint="check the folder's owner, rights and mount")
        return
    free = shutil.disk_usage(existing).free
    if free < _LITTLE:
        severity = Severity.ERROR if free < _TOO_LITTLE else Severity.WARNING
        wanted = f", {_TOO_LITTLE >> 20} MiB are needed at least" if severity is Severity.ERROR else ""
        detail = f"{free >> 20} MiB are free where {what} lies (`{existing}`){wanted}"
        yield Diagnostic("SF449", "The disk is nearly full", detail, severity, hint="make space, then apply again")


def _machine(pool: Pool) -> Iterator[Diagnostic]:
    cores = len(os.sched_getaffinity(0))
    if pool.cpu > cores:
        detail = f"the pool `{pool.place.id}` is to use {pool.cpu:g} processors, this machine has {cores}"
        yield Diagnostic("SF445", "The pool is larger than the machine", detail, Severity.WARNING)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if pool.memory is not None and pool.memory > memory:
        detail = (
            f"the pool `{pool.place.id}` is to use {pool.memory >> 20:,} MiB, this machine has {memory >> 20:,} MiB"
        )
        yield Diagnostic("SF445", "The pool is larger than the machine", detail, Severity.WARNING)


def _available_memory() -> int | None:
    with open("/proc/meminfo") as file:
        found = (int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
        return next(found, None)


def _job(pool: Pool, step: RunJob) -> Iterator[Diagnostic]:
    if step.nodes > 1:
        detail = f"step `{step.name}` wants {step.nodes} nodes, a local pool is one machine"
        yield Diagnostic("SF445", "The job is too large for the pool", detail, hint="choose a pool of several hosts")
    need = pool.need(step.run.limits)
    if need > pool.slots:
        detail = f"step `{step.name}` asks for the share of {need} slots, the pool `{pool.place.id}` has {pool.slots}"
        hint = "lower the job's `resources`, or give the pool more `cpu` or `memory`"
        yield Diagnostic("SF445", "The job is too large for the pool", detail, hint=hint)
    share, available = pool.memory_share(step.run.limits), _available_memory()
    if share is not None and available is not None and share > available:
        detail = f"step `{step.name}` may use {share >> 20:,} MiB of memory, {available >> 20:,} MiB are free now"
        yield Diagnostic("SF445", "Memory is short", detail, Severity.WARNING, hint="end something, or lower `memory`")
