"""Run work in graph order, in parallel. What depends on something that failed is skipped, naming the root cause."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from specforge.core.address import Address

_LOOK_EVERY = 0.1  # seconds between two looks at whether a stop was asked for


def run(
    waits: Mapping[Address, AbstractSet[Address]],
    work: Callable[[Address], bool],
    skip: Callable[[Address, Address | None], None],
    *,
    parallelism: int,
    fail_fast: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Call `work(address)` for every key of `waits` after all that it waits for; False means that it failed.

    `skip(address, because)` is called instead for what waits, directly or not, for a failure (`because` is the root),
    and with None for what was not begun when a stop was asked for. An exception of `work` ends the run: nothing new is
    started, what runs is waited for, and it is raised.
    """
    sorter = graphlib.TopologicalSorter({each: {t for t in targets if t in waits} for each, targets in waits.items()})
    sorter.prepare()
    root_cause: dict[Address, Address] = {}
    failed = False
    with ThreadPoolExecutor(max(1, parallelism), thread_name_prefix="apply") as pool:
        running: dict[Future[bool], Address] = {}
        ready: list[Address] = []
        try:
            while sorter.is_active():
                ready.extend(sorted(sorter.get_ready()))
                halted = stopping() or (fail_fast and failed)
                while ready and (halted or len(running) < parallelism or _hopeless(waits, root_cause, ready[0])):
                    address = ready.pop(0)
                    because = _cause(waits, root_cause, address)
                    if because is None and not halted:
                        running[pool.submit(work, address)] = address
                        continue
                    if because is not None:
                        root_cause[address] = because
                    skip(address, because)
                    sorter.done(address)
                if not running:
                    continue
                for future in wait(running, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED).done:
                    address = running.pop(future)
                    if not future.result():
                        failed = True
                        root_cause[address] = address
                    sorter.done(address)
        except BaseException:
            for future in running:
                future.cancel()
            raise


def _cause(
    waits: Mapping[Address, AbstractSet[Address]], root_cause: Mapping[Address, Address], address: Address
) -> Address | None:
    return next((root_cause[each] for each in sorted(waits[address]) if each in root_cause), None)


def _hopeless(
    waits: Mapping[Address, AbstractSet[Address]], root_cause: Mapping[Address, Address], address: Address
) -> bool:
    return _cause(waits, root_cause, address) is not None
