"""Going on behind a long joblog."""
import statistics

from harness import Run, add, lines_file, need, pushmill, quick, rounds_of, scratch


def joblog(count):
    """One of GNU parallel's in which all of `count` jobs have succeeded."""
    path = scratch / f"{count}.log"
    with open(path, "w") as file:
        file.write("Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n")
        for number in range(1, count + 1):
            file.write(f"{number}\t:\t1700000000.000\t     0.005\t0\t2\t0\t0\techo {number}\n")
    return path


def part_resume():
    count, rounds = (100_000, 3) if quick else (1_000_000, 3)
    log, lines = joblog(count), lines_file(count)
    rest = ["--resume", "--joblog", log, "echo", "{}"]
    seconds = {"pushmill run": lambda: Run([pushmill, "run", *rest], stdin=lines).seconds}
    if need("parallel"):
        seconds["parallel"] = lambda: Run(["parallel", "--will-cite", *rest], stdin=lines).seconds
    figures = rounds_of(seconds, rounds)
    mine = statistics.median(figures["pushmill run"])
    theirs = statistics.median(figures["parallel"]) if "parallel" in figures else None
    add(f"a joblog of {count:,} jobs and their input read again: nothing is left to do", f"{mine:.2f} s", "parallel" if theirs else "",
        f"{theirs:.1f} s" if theirs else "", f"{theirs / mine:.1f} x" if theirs else "", "<= 2 s", mine <= 2)
