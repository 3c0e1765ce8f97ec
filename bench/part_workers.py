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


def head(program, workers, jobs, singles):
    """Of a head with so many workers: us of CPU a call of many at once, us a call of one at a time, ms a second with nothing to do, ms for the joining."""
    with Ring(["--call", "echo"], [lambda endpoint: [program, endpoint, workers]], subprocess.PIPE, subprocess.PIPE) as ring:
        deadline = time.monotonic() + 120
        while len(os.listdir(f"/proc/{ring.ventilator.pid}/fd")) < workers + 10:  # a lane each
            if time.monotonic() > deadline or ring.ventilator.poll() is not None:
                fail(f"{workers} workers did not join")
            time.sleep(0.05)
        time.sleep(SETTLE)
        joining = cpu(ring.ventilator, ring.sink)
        time.sleep(2)
        idle = (cpu(ring.ventilator, ring.sink) - joining) / 2
        line_in, line_out = ring.ventilator.stdin, ring.sink.stdout.fileno()

        def spent(step, times):
            before, began = cpu(ring.ventilator, ring.sink), time.perf_counter()
            for i in range(times):
                line_in.write(b"".join(b"%015d\n" % n for n in range(step)))
                line_in.flush()
                read_lines(line_out, step, deadline)
            # What the heartbeats cost meanwhile is not the calls'.
            return (cpu(ring.ventilator, ring.sink) - before - idle * (time.perf_counter() - began)) / (step * times) * 1e6

        return spent(jobs, 1), spent(1, singles), idle * 1e3, joining * 1e3


def part_workers():
    program = built("many_workers")
    if not program:
        return
    jobs, singles, rounds, counts = (5_000, 300, 1, (1, 10, 100)) if quick else (20_000, 2_000, 5, (1, 10, 100, 1000))
    figures = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            figures[count].append(head(program, count, jobs, singles))

    def row(what, column, count, target=None):
        mine = [values[column] for values in figures[count]]
        one = [values[column] for values in figures[1]]
        text = f"{what}, {count:,} workers of 1 slot"
        if count == 1:
            return add(text.replace("workers", "worker"), f"{statistics.median(mine):.1f} us a call")
        ratio = statistics.median(a / b for a, b in zip(mine, one))
        add(text, f"{statistics.median(mine):.1f} us a call", "1 worker", f"{statistics.median(one):.1f} us a call", f"{ratio:.2f} x",
            f"<= {target:g} x" if target else "", ratio <= target if target else None)

    for count in counts:
        row(f"head CPU, {singles:,} echo calls one at a time", 1, count, 1.25)
    for count in counts:
        row(f"head CPU, {jobs:,} echo calls at once", 0, count)
    for count in counts:
        idle, joining = (statistics.median(values[column] for values in figures[count]) for column in (2, 3))
        add(f"head CPU of {count:,} idle workers".replace(" 1 idle workers", " 1 idle worker"), f"{idle:.2f} ms a second", "joining of all, once", f"{joining:.0f} ms")
