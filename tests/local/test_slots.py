"""Slots: how many jobs of a pool run at once, and who waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from local_bench import LocalBench, a_key, python, until

from specforge.core.errors import Cancelled, ExecutionError
from specforge.core.queries import LookAtPlace
from specforge.core.steps import RunJob
from specforge.core.values import Limits, Run
from specforge.executors.base import CancelToken
from specforge.runtimes.job.slots import cores_for

SLEEP = "import time; time.sleep(60)"
SPAN = "import sys, time; print(time.monotonic()); time.sleep(0.4); print(time.monotonic())"


def spans(local, count):
    """Run `count` jobs at once; return when each began and ended, in order."""
    keys = [a_key(number) for number in range(1, count + 1)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda key: local.perform(python(SPAN), key), keys))
    return sorted(tuple(float(line) for line in local.log(key)) for key in keys)


def test_one_slot_runs_one_job_after_the_other(tmp_path):
    """With one slot, no two jobs run at the same time."""
    found = spans(LocalBench(tmp_path), 3)
    assert all(first[1] <= second[0] for first, second in pairwise(found))


def test_two_slots_run_two_jobs_at_once(tmp_path):
    """With two slots, two jobs run at the same time."""
    first, second = spans(LocalBench(tmp_path, slots=2), 2)
    assert second[0] < first[1]


def test_jobs_of_a_killed_apply_count(tmp_path):
    """A slot is held by the job's wrapper, whoever started it; who waits says so, and goes on when it is free."""
    local = LocalBench(tmp_path)
    with LocalBench(tmp_path).background(python(SLEEP), a_key(1)):
        until(local.run(a_key(1)).command, "the first job")
        with local.background(python("print('ran')"), a_key(2)) as second:
            until(lambda: "waiting for a free slot" in local.recorder.texts("state"), "the wait")
            seen = local.look(a_key(2)).facts
            assert (seen["state"], seen["phase"], seen["started"]) == ("running", "waiting", None)
            place = LookAtPlace(local.place)
            assert local.executor.observe(local.place, [place], None)[place].facts["busy"] == 1
            local.executor.cancel(local.place, a_key(1).id, 0.0)
            second.result(20)
    assert local.log(a_key(2)) == ["ran"]


def test_a_waiting_job_can_be_cancelled(tmp_path):
    """A job that waits for a slot ends at once when asked to, without having run."""
    local = LocalBench(tmp_path)
    token = CancelToken()
    with LocalBench(tmp_path).background(python(SLEEP), a_key(1)):
        until(local.run(a_key(1)).command, "the first job")
        for number, key in enumerate((a_key(2), a_key(3)), start=1):
            with local.background(python("print('ran')"), key, token=token) as second:
                until(lambda: local.recorder.texts("state").count("waiting for a free slot") == number, "the wait")  # noqa: B023
                if number == 1:
                    local.executor.cancel(local.place, key.id, 5.0)
                else:
                    token.cancel()
                with pytest.raises(Cancelled):
                    second.result(10)
            assert local.look(key).facts["reason"] == "cancelled while it waited for a free slot"
            assert local.log(key) == ["[specforge] the job ended: cancelled while it waited for a free slot"]


def test_a_wide_job_holds_several_slots(tmp_path):
    """A job that asks for more than a slot's share holds as many slots as it needs, and waits for all of them."""
    local = LocalBench(tmp_path, slots=2, cpu=2.0, memory="2GiB")
    with local.background(python(SLEEP), a_key(1)):
        until(local.run(a_key(1)).command, "the narrow job")
        wide = Run(("@python", "-c", "print('ran')"), limits=Limits(memory=(1 << 30) + (1 << 20)))
        with local.background(wide, a_key(2)) as second:
            until(lambda: "waiting for a free slot" in local.recorder.texts("state"), "the wait")
            local.executor.cancel(local.place, a_key(1).id, 0.0)
            second.result(20)


def test_a_job_that_is_too_large_is_refused(tmp_path):
    """A job that asks for more than the whole pool has is refused, before the apply and when it is tried."""
    local = LocalBench(tmp_path, slots=2, cpu=2.0)
    run = Run(("@python", "-c", ""), limits=Limits(cpu=2.5))
    with pytest.raises(ExecutionError, match="asks for the share of 3 slots, the pool has 2"):
        local.perform(run)
    found = local.executor.preflight(local.place, [RunJob("train", local.place, run)], None)
    assert [each.code for each in found if each.severity.value == "error"] == ["SF445"]


def test_cores_are_divided():
    """Slots share the processors: neighbours get different ones where there are enough, everyone at least one."""
    import os

    known = sorted(os.sched_getaffinity(0))
    assert cores_for([0], 1, float(len(known)), 64.0) == known
    assert cores_for([0], 1, 0.5, 0.5) == known[:1]
    assert cores_for([0, 1], 2, float(len(known)), 64.0) == known
    if len(known) >= 2:
        assert cores_for([0], 2, 2.0, 1.0) == known[:1]
        assert cores_for([1], 2, 2.0, 1.0) == known[1:2]
