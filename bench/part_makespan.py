"""Late binding: how long jobs of very different lengths take on 8 slots, against greedy list scheduling of the same durations."""
import heapq
import random
import shutil
import sqlite3
import statistics

from harness import Run, add, pushmill, quick, rounds_of, scratch
from ring import Ring

SLOTS = 8


def durations(total, seed):
    """Pareto with exponent 1.1, from 10 ms to a fifteenth of the total: many short ones, a few that matter."""
    chance, values = random.Random(seed), []
    while sum(values) < total:
        values.append(round(min(0.01 * chance.paretovariate(1.1), total / 15), 4))
    return values


def list_scheduling(values, slots):
    """Seconds when each job in order goes to the slot that is free first."""
    free = [0.0] * slots
    for value in values:
        heapq.heapreplace(free, free[0] + value)
    return max(free)


def dealt(values, workers):
    """The same when jobs are dealt round robin to the workers up front, as one PUSH socket would."""
    return max(list_scheduling(values[i::workers], SLOTS // workers) for i in range(workers))


def makespan(run_directory, count):
    """Seconds from the first start to the last end, by the log."""
    with sqlite3.connect(f"file:{run_directory}/results.db?mode=ro", uri=True) as log:
        jobs, seconds = log.execute("SELECT count(*), (max(finished_at) - min(started_at)) / 1e6 FROM results WHERE outcome = 'ok'").fetchone()
    if jobs != count:
        raise SystemExit(f"bench: {jobs} of {count} jobs slept")
    return seconds


def part_makespan():
    total, seeds = (5, 3) if quick else (15, 5)
    ratios = {"run": [], "tcp": []}
    others = {"list": [], "push2": [], "push8": []}
    counts = []
    for seed in range(1, seeds + 1):
        values = durations(total, seed)
        lines = scratch / f"durations-{seed}"
        lines.write_text("".join(f"{value}\n" for value in values))

        def run():
            directory = scratch / "makespan"
            Run([pushmill, "run", f"-j{SLOTS}", "--run-dir", directory, "--call", "sleep"], lines)
            seconds = makespan(directory, len(values))
            shutil.rmtree(directory)
            return seconds

        def tcp():
            with open(lines, "rb") as source, open(scratch / "output", "wb") as output:
                with Ring(["--call", "sleep"], [["-j", SLOTS // 2]] * 2, source, output) as ring:
                    ring.wait()
                    return makespan(ring.directory, len(values))

        best = list_scheduling(values, SLOTS)
        for name, figures in rounds_of({"run": run, "tcp": tcp}, 1).items():
            ratios[name].append(figures[0] / best)
        others["list"].append(best)
        others["push2"].append(dealt(values, 2))
        others["push8"].append(dealt(values, SLOTS))
        counts.append(len(values))

    def mean(seconds):
        return f"{statistics.mean(seconds):.2f} s"

    def row(name, what):
        worst, middle = max(ratios[name]), statistics.median(ratios[name])
        mine = [ratio * best for ratio, best in zip(ratios[name], others["list"])]
        add(what, mean(mine), "greedy list scheduling, simulated", mean(others["list"]), f"{middle:.3f} x, worst {worst:.3f}", "<= 1.05 x, then 1.02", middle <= 1.05)
        for key, text in (("push2", "dealt round robin to 2 x 4 slots, simulated"), ("push8", "dealt round robin to 8 x 1 slot, simulated")):
            ratio = statistics.median(a / b for a, b in zip(mine, others[key]))
            add("the same", mean(mine), text, mean(others[key]), f"{ratio:.2f} x")

    row("run", f"makespan of {min(counts)} to {max(counts)} heavy-tailed sleeps, {total} s in all, `run -j{SLOTS}`, {seeds} seeds")
    row("tcp", "the same through three programs, 2 workers of 4")
