"""Memory while lines wait."""
import pathlib
import shutil
import signal
import subprocess
import time

from harness import add, environment, fail, lines_file, pushmill, quick, scratch


def queued_memory(count):
    """Peak MB while `count` lines wait behind a first job that sleeps, and how many of them were read before --spool stopped the reading."""
    directory = scratch / "queue"
    with open(lines_file(count, 16), "rb") as source:
        process = subprocess.Popen([pushmill, "run", "-j1", "--run-dir", directory, "sleep"], stdin=source, env=environment, stderr=subprocess.DEVNULL)
    try:
        accepted, since, deadline = -1, time.monotonic(), time.monotonic() + 300
        while time.monotonic() < deadline and time.monotonic() - since < 3:  # it has stopped reading
            if process.poll() is not None:
                fail(f"pushmill run ended with {process.returncode} while its jobs slept")
            query = subprocess.run(["sqlite3", "-readonly", directory / "jobs.db", "SELECT max(job) FROM jobs"], capture_output=True, text=True)
            found = int(query.stdout.strip() or 0)
            if found == count:
                accepted = count
                break
            if found != accepted:
                accepted, since = found, time.monotonic()
            time.sleep(0.2)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    shutil.rmtree(directory)
    return peak, accepted


def part_memory():
    few, many = (50_000, 300_000) if quick else (1_000_000, 10_000_000)
    small, _ = queued_memory(few)
    peak, accepted = queued_memory(many)
    add(f"memory, {accepted:,} of {many:,} lines queued behind a job that sleeps", f"{peak:.0f} MB", f"{few:,} lines", f"{small:.0f} MB",
        f"{peak / small:.2f} x", "64 MB, flat", peak <= 64)
