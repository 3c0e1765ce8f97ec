"""What the end-to-end tests share: programs started from $PUSHMILL_BIN in a directory of the test's own, waited for by conditions with deadlines, and
at the end of each test the proof that no process of it is left.

Every process carries a marker of its test in its environment, jobs and their descendants too, and nothing else is ever killed.
"""
import collections
import collections.abc
import contextlib
import ctypes
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
import uuid

BIN = pathlib.Path(os.environ["PUSHMILL_BIN"])
FAULTY_DISK = (BIN / "libfaulty_disk.so").resolve()
LIBC = ctypes.CDLL(None)
KILL_POINTS = re.findall(r'"((?:sink|ventilator)\.\w+)"', (pathlib.Path(__file__).parents[2] / "shared/base/kill_point.h").read_text())
MARK = "PUSHMILL_TEST_MARK"
SLOWNESS = int(os.environ.get("PUSHMILL_TIME_FACTOR", 1))  # how many times longer than usual the programs may take
PATIENCE = 40 * SLOWNESS  # seconds; only a failing test waits so long, and less than the budget of its suite

# What a sanitizer says when it found something. It also changes the exit status, but not of a program that a test kills, nor of the keeper.
SANITIZER_REPORT = re.compile(r"(WARNING|ERROR): \w+Sanitizer|: runtime error: ")

# Exit statuses, as shared/cli/exit_status.h has them.
MANY_FAILED, USAGE, STORAGE, INPUT_CUT, HEAD_NOT_FOUND, IN_USE, INTERRUPTED, READER_LEFT, TERMINATED = 101, 102, 103, 104, 105, 106, 130, 141, 143


def wait_until(condition, what, seconds=PATIENCE):
    """The first true value of `condition`, which is asked often; AssertionError naming `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what() if callable(what) else what}")
        time.sleep(0.01)


def processes_with(text):
    """Process ids whose environment holds `text`, zombies not among them."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environ:
            if text.encode() in environ.read():
                found.append(int(entry))
    return found


def describe(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as cmdline:
        return f"{pid} {cmdline.read().replace(bytes(1), b' ').decode(errors='replace')}"
    return str(pid)


def children(pid, name):
    """Living children of `pid` whose program is called `name`."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
            head, _, rest = stat.read().rpartition(")")
            state, parent = rest.split()[:2]
            if int(parent) == pid and head.partition("(")[2] == name and state != "Z":
                found.append(int(entry))
    return found


def peak_megabytes(pid):
    """The most memory that it ever had resident, since its exec."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def processor_time(pid):
    """Seconds that it has had of a processor."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_kill_points():
    """Only some presets build them in."""
    return b"PUSHMILL_KILL_POINT" in (BIN / "sink").read_bytes()


class Program:
    """One started program. Its stdout and stderr go to files, so that nobody has to read them for it to go on."""

    def __init__(self, test, words, stdin=None, env=None, preexec=None, stdout=None):
        self.name, self.test = pathlib.Path(words[0]).name, test
        base = test.path / f"{len(test.programs):02}-{self.name}"
        self.out_file, self.err_file = base.with_suffix(".out"), base.with_suffix(".err")

        def prepare():  # as from an interactive shell, whoever started the tests; and it ends with them, should they be killed
            LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.umask(0o022)
            if preexec:
                preexec()

        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self.process = subprocess.Popen([os.fspath(word) for word in words], stdin=stdin if stdin is not None else subprocess.DEVNULL,
                                            stdout=stdout or out, stderr=err, env=env or test.env, cwd=test.path, preexec_fn=prepare)
        self.pid = self.process.pid
        test.programs.append(self)

    @property
    def out(self):
        return self.out_file.read_bytes()

    @property
    def err(self):
        return self.err_file.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait(self, status=None, seconds=PATIENCE):
        """Its exit status, which must be `status` if that is given."""
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {seconds} s; it said:\n{self.err}") from None
        if status is not None and got != status:
            raise AssertionError(f"{self.name} ended with {got}, not {status}; it said:\n{self.err}")
        return got

    def wait_for(self, text, seconds=PATIENCE):
        """Until stderr has `text`."""
        wait_until(lambda: text in self.err or not self.is_running(), f"{text!r} from {self.name}", seconds)
        if text not in self.err:
            raise AssertionError(f"{self.name} ended with {self.process.poll()} and never said {text!r}, but:\n{self.err}")

    def send(self, number):
        self.process.send_signal(number)

    def pause(self):
        """SIGSTOP, and all of its threads have stopped: one that the signal has not reached yet still acts."""
        self.send(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        wait_until(lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()), "the stop of all threads")

    def stop(self, number=signal.SIGTERM, status=TERMINATED):
        self.send(number)
        self.wait(status)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Journal:
    """What the jobs of a test did, told by themselves: a file to which each attempt appends a line when it begins and when it ends."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def job(self, body=":"):
        """A command line that does `body` between its two lines."""
        say = f'$PUSHMILL_JOB $PUSHMILL_ATTEMPT >>{self.path}'
        return f"echo start {say}; ( {body} ); s=$?; echo end {say}; exit $s"

    def attempts(self, word):
        """{job: [attempt, ...]} of the lines that begin with `word`."""
        found = collections.defaultdict(list)
        for line in self.path.read_text().splitlines():
            event, job, attempt = line.split()
            if event == word:
                found[int(job)].append(attempt)
        return found

    def running(self):
        """Jobs that have begun and not ended."""
        ended = self.attempts("end")
        return {job for job, attempts in self.attempts("start").items() if set(attempts) - set(ended[job])}

    def starts(self):
        """{job: how often it was started}"""
        return collections.Counter({job: len(attempts) for job, attempts in self.attempts("start").items()})


def query(run, sql, *values, file="results.db", timeout=20):
    """Rows of results.db, or of jobs.db; none if it is not there yet. timeout: seconds to wait for a lock."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{run}/{file}?mode=ro", uri=True, timeout=timeout)) as database:
            database.text_factory = lambda text: text.decode(errors="surrogateescape")
            return database.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return []
        raise


def finished(run):
    """Numbers of the jobs whose result is committed."""
    return {job for (job,) in query(run, "SELECT job FROM results")}


def is_finished(run, count):
    return lambda: len(finished(run)) >= count


class EndToEnd(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        seed = int(os.environ.get("PUSHMILL_E2E_SEED", random.SystemRandom().randrange(1 << 32)))
        self.seed, self.random = seed, random.Random(seed)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="pm-", dir="/tmp"))  # short, for the paths of sockets
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.state = self.path / "state"
        self.programs, self.has_failed = [], False
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", "HOME": str(self.path / "home"),
                    "XDG_RUNTIME_DIR": str(self.path), "PUSHMILL_STATE": str(self.state), "PUSHMILL_HOST_DIRECTORY": str(self.path / "host"),
                    MARK: self.mark.partition("=")[2]}
        self.env |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        (self.path / "home").mkdir()
        if "PUSHMILL_E2E_TIMES" in os.environ:
            begun = time.monotonic()
            self.addCleanup(lambda: print(f"{time.monotonic() - begun:6.2f} s {self.id()}"))

    def tearDown(self):
        running = [f"{program.name}, which said:\n{program.err}" for program in self.programs if program.is_running()]
        for program in self.programs:
            if program.is_running():
                program.kill()
        left = []
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not processes_with(self.mark), "the end of all processes", 10)
        for pid in processes_with(self.mark):
            left.append(describe(pid))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        aborted = [program for program in self.programs if program.process.returncode in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)]
        reported = [program for program in self.programs if SANITIZER_REPORT.search(program.err)]
        shown = "\n".join(f"--- {program.name} {program.pid}:\n{program.err}" for program in {*aborted, *reported})
        shutil.rmtree(self.path, ignore_errors=True)
        self.assertEqual([program.name for program in reported], [], shown)
        if self.has_failed:
            return  # it says enough
        self.assertEqual(running, [], f"still running at the end of the test (PUSHMILL_E2E_SEED={self.seed})")
        self.assertEqual(left, [], f"processes left behind (PUSHMILL_E2E_SEED={self.seed})")
        self.assertEqual(aborted, [], shown)

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except BaseException:
            self.has_failed = True
            raise

    # ---- starting things

    @contextlib.contextmanager
    def dying_at(self, point):
        """What is started herein dies at this point (shared/base/kill_point.h), or is held there: NAME:PASS[:hold]."""
        usual = self.env
        self.env = usual | {"PUSHMILL_KILL_POINT": point}
        try:
            yield
        finally:
            self.env = usual

    @contextlib.contextmanager
    def faulty_disk(self, fault):
        """What is started herein has a disk with this fault (tests/support/faulty_disk.h) while the test has a file `faulty`."""
        usual = self.env
        self.env = usual | {"LD_PRELOAD": str(FAULTY_DISK), "DISK_FAULT": fault, "DISK_FAULT_WHILE": str(self.path / "faulty"),
                            "ASAN_OPTIONS": usual.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        try:
            yield
        finally:
            self.env = usual

    def start(self, name, *words, **more):
        """Starts `name` of $PUSHMILL_BIN. stdin: a file, a descriptor, bytes or records to make lines of; env, preexec and stdout as Program has them."""
        if isinstance(more.get("stdin"), collections.abc.Iterable) and not hasattr(more["stdin"], "fileno"):
            more["stdin"] = self.lines(more["stdin"])
        return Program(self, [BIN / name, *words], **more)

    def run_to_end(self, *words, status=0, **more):
        """`pushmill WORDS...`, which must end with `status`."""
        program = self.start("pushmill", *words, **more)
        program.wait(status)
        return program

    def lines(self, records):
        """An open file of lines."""
        data = records if isinstance(records, bytes) else b"".join((r if isinstance(r, bytes) else str(r).encode()) + b"\n" for r in records)
        file = tempfile.TemporaryFile(dir=self.path)
        file.write(data)
        file.seek(0)
        self.addCleanup(file.close)
        return file

    def journal(self):
        return Journal(self.path / "journal")

    def runs(self):
        """Directories of runs without a name."""
        return sorted(self.state.iterdir()) if self.state.exists() else []

    def gate(self, name="gate"):
        """A file that jobs wait for: (what a job does to wait, what the test does to let them go)."""
        path = self.path / name
        return f"while [ ! -e {path} ]; do sleep 0.02; done", path.touch

    # ---- looking at a run

    def assert_each_once(self, run, jobs, journal=None):
        """Jobs 1..jobs have one row each, no attempt occurs twice, and the journal agrees."""
        rows = query(run, "SELECT job, epoch, n, attempt, outcome FROM results")
        self.assertEqual(sorted(row[0] for row in rows), list(range(1, jobs + 1)), f"PUSHMILL_E2E_SEED={self.seed}")
        others = query(run, "SELECT job, epoch, n, outcome FROM attempts")
        issued = [row[1:3] for row in rows] + [row[1:3] for row in others]
        self.assertEqual([a for a, count in collections.Counter(issued).items() if count > 1], [], "attempts that are there twice")
        ended = collections.Counter(row[0] for row in others if row[3] != "superseded")
        self.assertEqual([(row, ended[row[0]]) for row in rows if row[3] != 1 + ended[row[0]]], [], "rows whose ordinal is wrong")
        if journal is not None:
            ends, starts = journal.attempts("end"), journal.attempts("start")
            self.assertEqual([row for row in rows if row[4] == "ok" and f"{row[1]}.{row[2]}" not in ends[row[0]]], [], "rows of attempts that never ended")
            twice = [(job, attempt) for job, list_ in starts.items() for attempt, count in collections.Counter(list_).items() if count > 1]
            self.assertEqual(twice, [], "attempts that were started twice")

    def assert_all_ok(self, run, jobs, journal=None):
        self.assert_each_once(run, jobs, journal)
        self.assertEqual(query(run, "SELECT job, outcome, reason FROM results WHERE outcome <> 'ok'"), [])


class Ring:
    """The role programs of one run, over ipc or tcp. A program that is started again gets the command line it had before."""

    QUICK = ("--heartbeat", "200ms", "--lease", "2s")

    def __init__(self, test, transport="ipc", name="ring"):
        self.test, self.run = test, test.path / name
        self.insecure = ["--insecure"] if transport == "tcp" else []
        self.endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{test.path}/{name}.sock"
        self.sink_options, self.ventilator_options, self.input = [], [], None
        self.workers = []

    def start_sink(self, *options, stdout=None):
        self.sink_options = list(options) or self.sink_options
        self.sink = self.test.start("sink", "--listen", self.endpoint, "--run-dir", self.run, *self.insecure, *self.sink_options, stdout=stdout)
        if self.endpoint.endswith(":*"):
            said = "sink: listening on "
            self.sink.wait_for(said)
            self.endpoint = self.sink.err.partition(said)[2].split()[0]
        return self.sink

    def start_ventilator(self, *options, records=None):
        """`records`: bytes or lines of its input, the same again when it is started again."""
        self.ventilator_options = list(options) or self.ventilator_options
        self.input = records if records is not None else self.input
        self.ventilator = self.test.start("ventilator", "--sink", self.endpoint, "--run-dir", self.run, *self.insecure, *self.ventilator_options,
                                          stdin=self.input if isinstance(self.input, bytes) else list(self.input))
        return self.ventilator

    def start_worker(self, *options):
        worker = self.test.start("worker", "--sink", self.endpoint, *self.insecure, *(options or ("-j2",)))
        self.workers.append(worker)
        return worker

    def start(self, *command, records, workers=2, options=(), slots=2):
        """All of them, with short heartbeats."""
        self.start_sink("--durability", "process")
        self.start_ventilator(*self.QUICK, "--durability", "process", *options, *command, records=records)
        for _ in range(workers):
            self.start_worker(f"-j{slots}")
        return self

    def kill_worker(self, index=0):
        """Kill -9, and this ring forgets it."""
        self.workers.pop(index).kill()

    def stop(self):
        """Ends what is running, by SIGTERM, the workers first."""
        for program in (*self.workers, self.ventilator, self.sink):
            if program.is_running():
                program.stop()

    def wait(self, status=0, all_told=False):
        """Until the run is complete. A worker that is not told so in the two (short) heartbeats for which the ventilator stays is stopped."""
        self.sink.wait(status)
        self.ventilator.wait(status)
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(3)
            if worker.is_running() and not all_told:
                worker.send(signal.SIGTERM)
                self.test.assertIn(worker.wait(), (0, TERMINATED))  # 0: it is being told now
            else:
                worker.wait(0)
