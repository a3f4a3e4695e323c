"""Local pools keep the contract of executors that set routes."""

from __future__ import annotations

from contextlib import contextmanager

from gateway_bench import GatewayBench

from specforge.executors.base import Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.settings import LocalSettings
from specforge.testing.gateway import RouteContract


class TestLocalRoutes(RouteContract):
    """The contract, with a real Envoy."""

    def make(self, folder):
        def nobody(place):
            raise AssertionError("routes need no trees")

        return LocalExecutor(Surroundings(folder, folder / "cache", nobody)), LocalSettings(slots=2).place("here")

    @contextmanager
    def world(self, folder, place):
        bench = GatewayBench(folder, place)
        try:
            yield bench
        finally:
            bench.close()
