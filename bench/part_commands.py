"""Commands against other runners, and the start of one job."""
import statistics

from harness import Run, add, command_rate, compare, compiled, lines_file, need, number, pushmill, quick, rounds_of, scratch


def commands(what, template, xargs, expect):
    """template: for pushmill and parallel; xargs: name -> its command; the other two run the first of these."""
    jobs, parallel_jobs, rounds = (300, 80, 3) if quick else (3000, 1000, 5)
    lines, few = lines_file(jobs), lines_file(parallel_jobs)
    plain = next(iter(xargs.values()))
    makefile = scratch / "Makefile"
    makefile.write_text("all:" + "".join(f" j{n}" for n in range(1, jobs + 1)) + f"\n.PHONY: all\nj%:\n\t@{' '.join(plain)} $*\n")
    ours = "pushmill run -j2"

    def rate(argv, stdin, count):
        return command_rate(argv, stdin, count, count if expect else None)

    tools = {ours: rate([pushmill, "run", "-j2", *template], lines, jobs)}
    for name, command in xargs.items():
        tools[name] = rate(["xargs", "-P2", "-n1", *command], lines, jobs)
    if need("make"):
        tools["make -j2"] = rate(["make", "-s", "-j2", "-f", makefile], "/dev/null", jobs)
    tools["bare posix_spawn loop, 2 in flight"] = rate([compiled("spawn_loop"), 2, jobs, *plain], "/dev/null", jobs)
    if need("parallel"):
        tools["parallel -j2"] = rate(["parallel", "--will-cite", "-j2", *template], few, parallel_jobs)
    compare(what, rounds_of(tools, rounds), ours, dict.fromkeys(xargs, 1.5) | {"parallel -j2": 10})


def part_commands():
    commands("`/bin/true`, commands/s and CPU", ["/bin/true"], {"xargs -P2 -n1": ["/bin/true"]}, False)
    commands("`echo {}`, a builtin: pushmill and parallel start a shell", ["echo", "{}"],
             {"xargs -P2 -n1, no shell": ["/bin/echo"], "xargs -P2 -n1 sh -c": ["sh", "-c", 'echo "$0"']}, True)
    commands("`/bin/echo {}`, no shell", ["/bin/echo", "{}"], {"xargs -P2 -n1": ["/bin/echo"]}, True)


def part_order():
    jobs, parallel_jobs, rounds = (1000, 80, 3) if quick else (20_000, 1000, 3)
    lines, few = lines_file(jobs), lines_file(parallel_jobs)
    ours = "pushmill run -j2 -k"
    tools = {ours: command_rate([pushmill, "run", "-j2", "-k", "echo", "{}"], lines, jobs, jobs),
             "xargs -P2 -n1 (any order)": command_rate(["xargs", "-P2", "-n1", "/bin/echo"], lines, jobs, jobs)}
    if need("parallel"):
        tools[f"parallel -j2 -k ({parallel_jobs:,} jobs)"] = command_rate(
            ["parallel", "--will-cite", "-j2", "-k", "echo", "{}"], few, parallel_jobs, parallel_jobs)
    compare(f"{jobs:,} x `echo {{}}` in order, commands/s and CPU", rounds_of(tools, rounds), ours, {})


def part_cold():
    rounds = 5 if quick else 20
    tools = {"pushmill": lambda: 1000 * Run([pushmill, "run", "true", ":::", "1"]).seconds,
             "sh -c true": lambda: 1000 * Run(["sh", "-c", "true"]).seconds}
    if need("parallel"):
        tools["parallel true ::: 1"] = lambda: 1000 * Run(["parallel", "--will-cite", "true", ":::", "1"]).seconds
    figures = rounds_of(tools, rounds)
    mine = statistics.median(figures["pushmill"])
    add("`pushmill run true ::: 1`, cold start to exit", f"{mine:.1f} ms", "", "", "", "<= 15 ms, then 10", mine <= 15)
    for name, values in figures.items():
        if name == "pushmill":
            continue
        ratio = statistics.median(a / b for a, b in zip(figures["pushmill"], values))
        is_parallel = name.startswith("parallel")
        add("the same", f"{mine:.1f} ms", name, f"{number(statistics.median(values))} ms", f"{ratio:.2f} x", "<= 0.1 x" if is_parallel else "",
            ratio <= 0.1 if is_parallel else None)
