"""Settings of the core's tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Two cores are shared with other tests: time says nothing here.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
