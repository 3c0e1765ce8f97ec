"""Throughput of --pipe and --pipe-part against GNU parallel's, and the bounds on memory and disk of a large stream."""
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from harness import add, environment, need, number, pushmill, quick, rounds_of, scratch

LINE = "%d the quick brown fox jumps over the lazy dog, and a little more of it, %d\n"


def stream(megabytes):
    """A file of lines of so many megabytes."""
    path = scratch / f"stream-{megabytes}"
    if not path.exists():
        with open(path, "w") as file:
            n = 0
            while file.tell() < megabytes << 20:
                file.write("".join(LINE % (i, i * 7) for i in range(n, n + 10_000)))
                n += 10_000
    return path


def rate(argv, path, stdin=True):
    def megabytes_a_second():
        started = time.monotonic()
        with open(path if stdin else os.devnull, "rb") as file:
            subprocess.run([os.fspath(word) for word in argv], stdin=file, stdout=subprocess.DEVNULL, env=environment, check=True)
        return path.stat().st_size / (time.monotonic() - started) / 1e6

    return megabytes_a_second


def size_of(folder):
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                pass
    return total


def large_stream(gigabytes):
    """So many gigabytes through --pipe -k cat: the checksums before and behind it, the most memory and the most disk."""
    piece = stream(64)
    runs = tempfile.mkdtemp(dir=scratch)
    feed = f"i=0; while [ $i -lt {gigabytes * 16} ]; do cat {piece}; i=$((i+1)); done"
    expected = subprocess.run(["sh", "-c", f"({feed}) | cksum"], stdout=subprocess.PIPE, check=True).stdout
    producer = subprocess.Popen(["sh", "-c", feed], stdout=subprocess.PIPE)
    started = time.monotonic()
    program = subprocess.Popen([os.fspath(pushmill), "run", "--pipe", "-k", "-j2", "cat"], stdin=producer.stdout, stdout=subprocess.PIPE,
                               env={**environment, "PUSHMILL_STATE": runs})
    check = subprocess.Popen(["cksum"], stdin=program.stdout, stdout=subprocess.PIPE)
    producer.stdout.close()
    program.stdout.close()
    most = {"disk": 0, "memory": 0}

    def watch():
        while program.poll() is None:
            most["disk"] = max(most["disk"], size_of(runs))
            try:
                status = pathlib.Path(f"/proc/{program.pid}/status").read_text()
                most["memory"] = max([most["memory"], *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
            except OSError:
                pass
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    got = check.communicate()[0]
    seconds = time.monotonic() - started
    producer.wait()
    status = program.wait()
    watcher.join()
    shutil.rmtree(runs, ignore_errors=True)
    same = got == expected and status == 0
    what = f"{gigabytes} GiB through `run --pipe -k cat`"
    add(what, "the same bytes" if same else "OTHER BYTES", "", "", "", "the same", same)
    add(f"{what}, MB/s", number(gigabytes * 1024 ** 3 / seconds / 1e6), "", "", "", "", None)
    add(f"{what}, most on the disk", f"{most['disk'] >> 20} MiB", "", "", "", "<= 600 MiB", most["disk"] < 600 << 20)
    add(f"{what}, most memory of `run`", f"{most['memory'] >> 10} MiB", "", "", "", "<= 100 MiB", most["memory"] < 100 << 10)


def against_parallel(what, ours, theirs, path, few, rounds, stdin=True):
    """`theirs` gets less of it, for its time."""
    tools = {"ours": rate([pushmill, "run", *ours], path, stdin)}
    if need("parallel"):
        tools["theirs"] = rate(["parallel", "--will-cite", *theirs], few, stdin)
    figures = rounds_of(tools, rounds)
    mine = f"{number(statistics.median(figures['ours']))} MB/s"
    if "theirs" not in figures:
        return add(what, mine, "", "", "")
    ratio = statistics.median(a / b for a, b in zip(figures["ours"], figures["theirs"]))
    return add(what, mine, f"parallel, {few.stat().st_size >> 20} MiB", f"{number(statistics.median(figures['theirs']))} MB/s", f"{ratio:.2f} x", ">= 2 x", ratio >= 2)


def part_pipe():
    path, few, rounds = (stream(64), stream(8), 2) if quick else (stream(512), stream(64), 3)
    for words in ["wc -c"], ["-k", "cat"], ["--block", "10M", "wc -c"]:
        words = ["--pipe", "-j2", *words]
        against_parallel(f"`{' '.join(words)}`", words, words, path, few, rounds)
    words = ["--pipe-part", "-j2", "-a"]
    against_parallel("`--pipe-part -j2 wc -c`", [*words, path, "wc -c"], [*words, few, "wc -c"], path, few, rounds, stdin=False)
    large_stream(1 if quick else 5)
