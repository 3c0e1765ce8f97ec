"""A run of three programs over TCP on loopback, class `process` as in the embedded run."""
import shutil
import subprocess
import time

from harness import environment, fail, pushmill, scratch


class Ring:
    """Sink, workers and ventilator, started in this order. `workers`: a list of what follows `--sink ENDPOINT` for each, or a function that gives a whole
    command line for the endpoint. Leaving the `with` ends them all and removes the run directory."""

    def __init__(self, work, workers, stdin, stdout):
        self.directory = scratch / f"run-{time.monotonic_ns()}"
        self.processes = []
        try:
            self.sink = self._start("sink", "--listen", "tcp://127.0.0.1:*", "--run-dir", self.directory, "--durability", "process", stdout=stdout,
                                    stderr=subprocess.PIPE)
            self.endpoint = self.sink.stderr.readline().split()[-1].decode()
            for words in workers:
                if callable(words):
                    self.processes.append(subprocess.Popen([str(word) for word in words(self.endpoint)], stderr=subprocess.DEVNULL))
                else:
                    self._start("worker", "--sink", self.endpoint, *words, stderr=subprocess.DEVNULL)
            self.began = time.perf_counter()
            self.ventilator = self._start("ventilator", "--sink", self.endpoint, "--run-dir", self.directory, "--durability", "process", *work, stdin=stdin,
                                          stderr=subprocess.DEVNULL)
        except BaseException:
            self.__exit__()
            raise

    def _start(self, program, *words, **files):
        process = subprocess.Popen([str(word) for word in (pushmill, program, *words, "--insecure")], env=environment, **files)
        self.processes.append(process)
        return process

    def wait(self):
        """Seconds from the start of the ventilator until all have left."""
        statuses = [process.wait(timeout=300) for process in self.processes]
        seconds = time.perf_counter() - self.began
        if any(statuses):
            fail(f"the programs of the ring ended with {statuses}")
        return seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def tcp_rate(lines, count, *work):
    """Jobs per second through three processes, one of them a worker of two slots."""
    with open(scratch / "output", "wb") as output, open(lines, "rb") as source, Ring(work, [["-j", "2"]], source, output) as ring:
        return count / ring.wait()
