"""What a job costs the head, ventilator and sink, when few or many workers take part."""
import os
import pathlib
import statistics
import subprocess
import time

from harness import add, built, fail, quick
from ring import Ring

SETTLE = 1.5  # seconds after all lanes stand: first frames and the first heartbeats


def cpu(*processes):
    """Seconds of all threads so far. /proc/PID/stat counts in ticks of 10 ms, this in ns."""
    total = 0
    for process in processes:
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def read_lines(pipe, count, deadline):
    while count > 0:
        if time.monotonic() > deadline:
            fail(f"{count} echo calls did not come back in time")
        count -= os.read(pipe, 1 << 20).count(b"\n")


def head(program, workers, jobs):
    """us of head CPU a call, ms of it a second with nothing to do, ms of it for the joining of all."""
    with Ring(["--call", "echo"], [lambda endpoint: [program, endpoint, workers]], subprocess.PIPE, subprocess.PIPE) as ring:
        head_processes = (ring.ventilator, ring.sink)
        deadline = time.monotonic() + 120
        while len(os.listdir(f"/proc/{ring.ventilator.pid}/fd")) < workers + 10:  # a lane each
            if time.monotonic() > deadline or ring.ventilator.poll() is not None:
                fail(f"{workers} workers did not join")
            time.sleep(0.05)
        time.sleep(SETTLE)
        joined = cpu(*head_processes)
        time.sleep(2)
        idle = (cpu(*head_processes) - joined) / 2
        before, began = cpu(*head_processes), time.perf_counter()
        ring.ventilator.stdin.write(b"".join(b"%015d\n" % n for n in range(jobs)))
        ring.ventilator.stdin.flush()
        read_lines(ring.sink.stdout.fileno(), jobs, deadline)
        spent, seconds = cpu(*head_processes) - before, time.perf_counter() - began
        return spent / jobs * 1e6, idle * 1e3, joined * 1e3, jobs / seconds


def part_workers():
    program = built("many_workers")
    if not program:
        return
    jobs, rounds, counts = (5_000, 1, (1, 10, 100)) if quick else (20_000, 3, (1, 10, 100, 1000))
    figures = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            figures[count].append(head(program, count, jobs))
    one = [values[0] for values in figures[1]]
    for count in counts:
        mine, idle, joined, rate = (statistics.median(column) for column in zip(*figures[count]))
        ratio = statistics.median(values[0] / first for values, first in zip(figures[count], one))
        who = f"{count:,} workers of 1 slot" if count > 1 else "1 worker of 1 slot"
        add(f"head CPU of {jobs:,} echo calls, {who}", f"{mine:.1f} us a call", "1 worker" if count > 1 else "",
            f"{statistics.median(one):.1f} us" if count > 1 else "", f"{ratio:.2f} x" if count > 1 else "")
        add("the same head, nothing to do", f"{idle:.2f} ms a second", "their joining, once", f"{joined:.0f} ms")
