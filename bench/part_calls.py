"""Calls and coprocesses, in one process and in three, and the same ring without storage."""
import statistics

from harness import Run, add, add_rates, built, compiled, lines_file, number, pushmill, quick, rounds_of
from ring import tcp_rate


def coprocesses():
    count, rounds = (20_000, 3) if quick else (200_000, 3)
    lines, runs = lines_file(count, 16), []
    child = compiled("line_child")

    def rate(*work):
        def measure():
            runs.append((work[0], Run([pushmill, "run", "-j2", *work], lines, count)))
            return count / runs[-1][1].seconds
        return measure

    figures = rounds_of({"child": rate("--coprocess", child), "cat": rate("--coprocess", "cat"), "calls": rate("--call", "echo"),
                         "bare": lambda: count / Run([child, "2", count, "16"]).seconds, "tcp": lambda: tcp_rate(lines, count, "--coprocess", child)}, rounds)
    mine = statistics.median(figures["child"])
    what = f"{count:,} lines of 16 B through a coprocess, 2 slots"
    add(what, f"{number(mine)} /s", target=">= 100,000 /s", met=mine >= 100_000)
    add_rates(what, figures, "child", {"calls": "the same lines as echo calls", "bare": "bare loop over two such children, one line in each",
                                       "cat": "`cat` as the child"})
    add_rates("the same, three processes over TCP", figures, "tcp", {"child": "one process"})
    cpu = statistics.median(run.cpu for work, run in runs if work == "--coprocess") / count * 1e6
    add("the same, CPU of all roles and children", f"{cpu:.1f} us a line")


def part_calls():
    count, rounds = (100_000, 3) if quick else (1_000_000, 3)
    lines = lines_file(count, 16)
    runs = {"one": [], "bare": []}

    def embedded():
        runs["one"].append(Run([pushmill, "run", "-j2", "--call", "echo"], lines, count))
        return count / runs["one"][-1].seconds

    def without_storage():
        runs["bare"].append(Run([bare_ring, count, "16"], expect_lines=count))
        return count / runs["bare"][-1].seconds

    tools = {"one": embedded, "tcp": lambda: tcp_rate(lines, count, "--call", "echo")}
    if bare_ring := built("bare_ring"):
        tools["bare"] = without_storage
    figures = rounds_of(tools, rounds)
    one = statistics.median(figures["one"])
    add(f"{count:,} echo calls of 16 B, one process", f"{number(one)} /s", "", "", "", ">= 250,000 /s, then 300,000", one >= 250_000)
    cpu = {key: statistics.median(run.cpu for run in done) / count * 1e6 for key, done in runs.items() if done}
    add("the same, CPU of all roles", f"{cpu['one']:.1f} us a call", "", "", "", "<= 8 us", cpu["one"] <= 8)
    megabytes = max(run.megabytes for run in runs["one"])
    add("the same, greatest resident size", f"{megabytes:.0f} MB", "", "", "", "64 MB", megabytes <= 64)
    add_rates("the same, three processes over TCP", figures, "tcp", {"one": "one process"})
    if bare_ring:
        name = "the same frames round the ring, without storage and cores"
        add_rates("the same, one process", figures, "one", {"bare": name})
        add("the same, CPU", f"{cpu['one']:.1f} us a call", name, f"{cpu['bare']:.1f} us a call", f"{cpu['one'] / cpu['bare']:.2f} x")
    coprocesses()
