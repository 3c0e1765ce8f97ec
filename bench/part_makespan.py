"""Late binding: how long jobs of very different lengths take on 8 slots, against greedy list scheduling of the same durations."""
import heapq
import random
import shutil
import sqlite3
import statistics

from harness import Run, add, pushmill, quick, rounds_of, scratch
from ring import Ring

SLOTS = 8


def durations(total, shortest, seed):
    """Pareto with exponent 1.1, from the shortest to a fifteenth of the total: many short ones, a few that matter."""
    chance, values = random.Random(seed), []
    while sum(values) < total:
        values.append(round(min(shortest * chance.paretovariate(1.1), total / 15), 4))
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


def measure(values, lines):
    """Seconds through `run` and through three programs."""
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

    return {name: figures[0] for name, figures in rounds_of({"run": run, "tcp": tcp}, 1).items()}


def part_makespan():
    total, seeds = (5, 3) if quick else (15, 5)
    for shortest in (0.01, 0.001):
        sets = [durations(total, shortest, seed) for seed in range(1, seeds + 1)]
        measured = [measure(values, scratch / "durations") for values in sets]
        best = [list_scheduling(values, SLOTS) for values in sets]

        def row(what, way, text, theirs, target=""):
            mine = [figures[way] for figures in measured]
            ratios = [a / b for a, b in zip(mine, theirs)]
            middle = statistics.median(ratios)
            add(what, f"{statistics.mean(mine):.2f} s", text, f"{statistics.mean(theirs):.2f} s", f"{middle:.3f} x, worst {max(ratios):.3f}", target,
                middle <= 1.05 if target else None)

        what = f"makespan of about {sum(map(len, sets)) // seeds:,} sleeps of {shortest * 1000:g} ms and more, heavy-tailed, {total} s in all, {seeds} seeds"
        row(f"{what}: `run -j{SLOTS}`", "run", "greedy list scheduling, simulated", best, "<= 1.05 x, then 1.02")
        row("the same, three programs, 2 workers of 4", "tcp", "greedy list scheduling, simulated", best, "<= 1.05 x, then 1.02")
        for workers in (2, SLOTS):
            row("the same, three programs, 2 workers of 4", "tcp", f"dealt round robin up front to {workers} x {SLOTS // workers} slots, simulated",
                [dealt(values, workers) for values in sets])
