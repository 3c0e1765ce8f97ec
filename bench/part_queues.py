"""Echo calls through three processes against queues that others wrote, each on loopback with a producer, two workers and a collector of answers.

Both are driven by queue_peer.cc. Gearman's own command line tools are no comparison for calls: their worker answers only with the output of a command."""
import contextlib
import shutil
import socket
import subprocess
import time

from harness import Run, add_rates, compiled, fail, lines_file, need, quick, rounds_of, scratch
from ring import tcp_rate


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(command, port):
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                fail(f"{command[0]} does not answer")
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def peer(kind, count, command):
    """A function for rounds_of(): jobs per second through a fresh server, and none of its start. `command`: of (port, directory of its own)."""
    program = compiled("queue_peer")

    def measure():
        port, directory = free_port(), scratch / f"queue-{time.monotonic_ns()}"
        directory.mkdir()
        with server(command(port, directory), port):
            rate = count / Run([program, kind, port, count, "16"]).seconds
        shutil.rmtree(directory)
        return rate
    return measure


def part_queues():
    count, rounds = (20_000, 3) if quick else (200_000, 3)
    lines, ours = lines_file(count, 16), "pushmill"
    tools = {ours: lambda: tcp_rate(lines, count, "--call", "echo")}
    others = {}

    def tool(key, text, measure):
        tools[key] = measure
        others[key] = text

    if need("beanstalkd", "apt-get install beanstalkd"):
        def beanstalkd(*with_log):
            def command(port, directory):
                return ["beanstalkd", "-l", "127.0.0.1", "-p", port, *(["-b", directory] if with_log else []), *with_log]
            return peer("beanstalkd", count, command)

        tool("memory", "beanstalkd, in memory", beanstalkd())
        tool("log", "beanstalkd -b -F, a log as durable as ours here", beanstalkd("-F"))
        tool("synced", "beanstalkd -b, fsync each 50 ms", beanstalkd("-f50"))
    if need("gearmand", "apt-get install gearman-job-server"):
        tool("gearmand", "gearmand, in memory", peer("gearman", count, lambda port, _: ["gearmand", "-L", "127.0.0.1", "-p", port, "-l", "none"]))
    if others:
        add_rates(f"{count:,} echo calls of 16 B, three processes over TCP", rounds_of(tools, rounds), ours, others)
