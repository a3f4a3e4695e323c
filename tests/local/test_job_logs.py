"""Logs: capped, timed, readable at any moment."""

from __future__ import annotations

import random
import time

import pytest
from local_bench import LocalBench, a_key, python, until

from specforge.core.errors import ExecutionError
from specforge.core.values import JobOutput, Run
from specforge.executors.local.logs import Lines
from specforge.runtimes.job.log import LogReader, LogWriter, log_path

LIMIT = 4000


def write(writer, lines):
    for line in lines:
        writer.write(f"{line}\n".encode())


def read_all(reader):
    """Return what a reader gives until there is nothing new, with the gaps it reports."""
    data, gaps = b"", 0
    while True:
        skipped, block = reader.read(1000)
        gaps += skipped
        data += block
        if not block:
            return data, gaps


def test_a_short_log_is_kept_whole(tmp_path):
    """What fits is kept, byte for byte."""
    writer = LogWriter(str(tmp_path), LIMIT)
    writer.write(b"one\ntw")
    writer.write(b"o\n\xff\n")
    writer.close()
    with open(log_path(str(tmp_path)), "rb") as file:
        assert file.read() == b"one\ntwo\n\xff\n"


def test_a_long_log_keeps_its_beginning_and_end(tmp_path):
    """Of a log beyond the allowance both ends are kept, whole lines, with a line that says what is missing."""
    writer = LogWriter(str(tmp_path), LIMIT)
    lines = [f"line {number:05d}" for number in range(2000)]
    write(writer, lines)
    writer.close()
    with open(log_path(str(tmp_path)), encoding="utf-8") as file:
        kept = file.read()
    assert len(kept) < LIMIT + 200
    begin, _, end = kept.partition("\n[specforge] … ")
    missing, _, end = end.partition(" bytes of the log are left out here …\n")
    assert begin.startswith("line 00000\nline 00001\n")
    assert end.splitlines() == lines[-len(end.splitlines()) :]
    assert len(begin) + int(missing.replace(",", "")) + len(end) == len("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("seed", range(8))
def test_a_reader_follows_at_any_pace(tmp_path, seed):
    """Whatever a follower has read when, it gets the bytes in order, and knows how many it missed."""
    choose = random.Random(seed)
    written = "".join(f"line {number:05d}\n" for number in range(choose.choice([50, 300, 2000]))).encode()
    writer, reader = LogWriter(str(tmp_path), LIMIT), LogReader(str(tmp_path), LIMIT)
    at = position = 0
    while at < len(written):
        size = choose.randrange(1, 900)
        writer.write(written[at : at + size])
        at += size
        for _ in range(choose.choice([0, 0, 1, 5])):
            skipped, block = reader.read(choose.randrange(1, 700))
            position += skipped
            assert block == written[position : position + len(block)]
            position += len(block)
    writer.close()
    while (step := reader.read(500))[1]:
        position += step[0]
        assert step[1] == written[position : position + len(step[1])]
        position += len(step[1])
    assert position == len(written) == reader.end()


def test_times_find_lines(tmp_path):
    """A line has about the time at which it came, and a time finds the first line since then."""
    writer = LogWriter(str(tmp_path), LIMIT)
    writer.write(b"early\n")
    first = time.time()
    time.sleep(0.12)
    writer.write(b"late\n")
    writer.close()
    reader = LogReader(str(tmp_path), LIMIT)
    lines = Lines(reader).take()
    assert lines[0].at <= first < lines[1].at <= time.time()
    reader = LogReader(str(tmp_path), LIMIT)
    assert reader.position_at(0.0) == 0
    assert reader.position_at(first + 0.01) == len("early\n")
    assert reader.position_at(time.time() + 1) == reader.end()


def test_progress_bars_and_endless_lines(tmp_path):
    """Of a line that overwrites itself the last state is shown; a line without end is cut, not collected for ever."""
    writer = LogWriter(str(tmp_path), 1 << 20)
    writer.write(b"10%\r50%\r100%\r\nnext\n" + b"x" * 150_000)
    writer.close()
    lines = Lines(LogReader(str(tmp_path), 1 << 20))
    found = []
    while taken := lines.take():
        found += taken
    found += lines.rest()
    assert [each.text for each in found[:2]] == ["100%", "next"]
    assert sum(len(each.text) for each in found[2:]) == 150_000
    assert max(len(each.text) for each in found) <= 131_072


def test_a_flood_of_output_neither_fills_the_disk_nor_crawls(tmp_path):
    """A job that prints 200 MB is done in seconds, and keeps both ends of it within the allowance."""
    local = LocalBench(tmp_path, log_limit="1MiB")
    script = "echo first; yes 0123456789012345678901234567890123456789 | head -c 200000000; echo; echo last"
    began = time.monotonic()
    outputs = local.perform(Run(("/bin/sh", "-c", script)), outputs=(JobOutput("log", "@log"),))
    assert time.monotonic() - began < 15
    (entry,) = local.executor.entries(outputs["tree.log"])
    assert entry.size < (1 << 20) + 1000
    lines = local.log()
    assert (lines[0], lines[-1]) == ("first", "last")
    assert any("bytes of the log are left out here" in line or "are left out here" in line for line in lines)
    assert local.recorder.texts("log")[-1] == "last"


def test_following_a_running_job(local):
    """Whoever follows gets each line when it comes, with its time, until the job ends."""
    code = "import time\nfor n in range(3): print('epoch', n, flush=True); time.sleep(0.15)"
    with local.background(python(code)):
        until(lambda: local.recorder.texts("log"), "the first line")
        lines = list(local.executor.logs(local.place, a_key().id, None, follow=True))
    assert [line.text for line in lines] == ["epoch 0", "epoch 1", "epoch 2"]
    assert lines[0].at < lines[1].at < lines[2].at
    since = list(local.executor.logs(local.place, a_key().id, lines[1].at, follow=False))
    assert [line.text for line in since] == ["epoch 1", "epoch 2"]


def test_no_such_job(local):
    """Asking for the log of a job that the pool does not know is an error in words."""
    with pytest.raises(ExecutionError, match="has no run `none`"):
        local.executor.logs(local.place, "none", None, follow=False)
