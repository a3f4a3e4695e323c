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
    order = _Order(waits)
    running: dict[Future[bool], Address] = {}
    with ThreadPoolExecutor(max(1, parallelism), thread_name_prefix="apply") as pool:
        while order.goes_on():
            halted = stopping() or (fail_fast and bool(order.root_cause))
            while (address := order.next_ready()) is not None:
                because = order.cause_of(address)
                if because is None and not halted:
                    if len(running) >= parallelism:
                        break
                    running[pool.submit(work, address)] = address
                    order.ready.pop(0)
                    continue
                skip(address, because)
                order.ready.pop(0)
                order.done(address, because)
            if running:
                for future in wait(running, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED).done:
                    address = running.pop(future)
                    order.done(address, None if future.result() else address)


class _Order:
    """What is ready, in the order of the graph, and which failure each thing that failed or was skipped is due to."""

    def __init__(self, waits: Mapping[Address, AbstractSet[Address]]) -> None:
        graph = {each: {target for target in targets if target in waits} for each, targets in waits.items()}
        self._waits = waits
        self._sorter = graphlib.TopologicalSorter(graph)
        self._sorter.prepare()
        self.ready: list[Address] = []
        self.root_cause: dict[Address, Address] = {}

    def goes_on(self) -> bool:
        """Whether anything is ready, at work, or waits."""
        return self._sorter.is_active()

    def next_ready(self) -> Address | None:
        """Return the first of what is ready, or None."""
        if self._sorter.is_active():
            self.ready.extend(sorted(self._sorter.get_ready()))
        return self.ready[0] if self.ready else None

    def cause_of(self, address: Address) -> Address | None:
        """Return the failure that the address depends on, if there is one."""
        if not self.root_cause:
            return None
        return next((self.root_cause[each] for each in sorted(self._waits[address]) if each in self.root_cause), None)

    def done(self, address: Address, because: Address | None) -> None:
        """Note that the address is over: `because` of which failure (maybe its own), or well."""
        if because is not None:
            self.root_cause[address] = because
        self._sorter.done(address)
