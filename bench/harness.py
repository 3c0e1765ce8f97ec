"""What the parts of scripts/bench share: where things are, running a program to its end, interleaved rounds, and the rows of the table."""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
quick = "--quick" in sys.argv[1:]
programs = pathlib.Path(os.environ.get("PUSHMILL_BIN", ROOT / "build/release/bin")).resolve()
pushmill = programs / "pushmill"
scratch = pathlib.Path(tempfile.mkdtemp(prefix="pushmill-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
os.environ["PATH"] += ":/usr/sbin"  # of gearmand; not everybody has it
# The same shell for all that use one: the system's.
environment = dict(os.environ, PUSHMILL_STATE=str(scratch), PARALLEL_SHELL="/bin/sh", SHELL="/bin/sh", PARALLEL_HOME=str(scratch / "parallel"))
rows = []


class Run:
    """A program that has ended: wall seconds, CPU seconds of it and all it waited for, greatest resident size of one process in MB."""

    def __init__(self, argv, stdin="/dev/null", expect_lines=None):
        output = scratch / "output"
        actions = [(os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                   (os.POSIX_SPAWN_OPEN, 2, str(scratch / "errors"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], [str(word) for word in argv], environment, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        self.seconds = time.perf_counter() - start
        self.cpu = usage.ru_utime + usage.ru_stime
        self.megabytes = usage.ru_maxrss / 1024
        if status != 0:
            fail(f"{argv[0]} ended with wait status {status}: {(scratch / 'errors').read_text(errors='replace')[-500:]}")
        if expect_lines is not None:
            with open(output, "rb") as lines:
                found = sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))
            if found != expect_lines:
                fail(f"{argv[0]} wrote {found} lines, not {expect_lines}")


def fail(text):
    raise SystemExit(f"bench: {text}")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def lines_file(count, width=0):
    path = scratch / f"lines-{count}-{width}"
    if not path.exists():
        with open(path, "w") as file:
            for first in range(1, count + 1, 100_000):
                file.writelines(f"{n:0{width}d}\n" for n in range(first, min(first + 100_000, count + 1)))
    return path


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def add(what, ours, against="", theirs="", ratio="", target="", met=None):
    rows.append((what, ours, against, theirs, ratio, target, {True: "yes", False: "NO", None: ""}[met]))


def rounds_of(tools, rounds):
    """tools: name -> function giving a figure. Every round runs each once, beginning with another one each time, so that a slow spell hits all."""
    figures = {name: [] for name in tools}
    names = list(tools)
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            figures[name].append(tools[name]())
    return figures


def command_rate(argv, stdin, count, expect_lines=None):
    """A function for rounds_of(): commands per second, and CPU microseconds a command, those of the commands themselves included."""
    def measure():
        run = Run(argv, stdin, expect_lines)
        return count / run.seconds, run.cpu / count * 1e6
    return measure


def compare(what, figures, ours, targets):
    """One row for each other tool: median figures of command_rate(), and the median of the ratios of the rounds."""
    def text(pairs):
        return " /s, ".join(number(statistics.median(column)) for column in zip(*pairs)) + " us"

    for name, pairs in figures.items():
        if name == ours:
            continue
        ratio = statistics.median(mine[0] / theirs[0] for mine, theirs in zip(figures[ours], pairs))
        at_least = targets.get(name)
        add(what, text(figures[ours]), name, text(pairs), f"{ratio:.2f} x", f">= {at_least:g} x" if at_least else "",
            ratio >= at_least if at_least else None)


def add_rates(what, figures, ours, others, unit="/s"):
    """One row for each of others (key of figures -> its text): median rates, and the median of the ratios of the rounds."""
    mine = statistics.median(figures[ours])
    for key, text in others.items():
        ratio = statistics.median(a / b for a, b in zip(figures[ours], figures[key]))
        add(what, f"{number(mine)} {unit}", text, f"{number(statistics.median(figures[key]))} {unit}", f"{ratio:.2f} x")


def compiled(name):
    """A program of one file in bench/ that needs no library."""
    path = scratch / name
    if not path.exists():
        subprocess.run(["c++", "-O2", "-std=c++20", "-pthread", "-o", path, ROOT / f"bench/{name}.cc"], check=True)
    return path


def built(name):
    """A program of bench/ that links ours, or None (and a row that says so) where PUSHMILL_BIN has none."""
    path = programs / name
    if path.exists():
        return path
    add("", "", f"bench/{name}.cc", "not built", "", f"cmake --build ... --target {name}")
    return None


def need(program, how="scripts/setup"):
    if shutil.which(program):
        return True
    add("", "", program, "not installed", "", how)
    return False
