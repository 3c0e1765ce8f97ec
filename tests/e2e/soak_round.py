"""One round of the soak: a plan that follows from its seed alone, played with the real programs, and the evidence that is left for soak_check."""
import collections
import contextlib
import dataclasses
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time

from soak_check import Evidence
from support import KILL_POINTS, MANY_FAILED, SANITIZER_REPORT, SLOWNESS, TERMINATED, EndToEnd, Ring, children, describe, processes_with, query

HEARTBEAT, LEASE = 0.1, min(SLOWNESS, 3)  # a lease that a slowed program keeps
LARGE = 150_000       # bytes of an output that goes to a file
INPUTS = 100, 100_000, 600_000  # bytes of an input that the worker has in memory, that it has in a file, that comes in several messages
NUMBERS = b" ".join(b"%d" % n for n in range(120_000))  # what inputs are made of: no part of it comes twice
DEADLINE = 90 * SLOWNESS


@dataclasses.dataclass
class Fault:
    after: int        # committed rows
    delay: float      # seconds from then
    who: list         # "sink", "ventilator", "run", ("worker", 0), ("keeper", 0)
    pause: float = 0  # seconds; 0: kill -9
    back: float = 0   # seconds until what was killed is started again

    def __str__(self):
        names = "+".join(who if isinstance(who, str) else f"{who[0]}{who[1]}" for who in self.who)
        what = f"stop {names} for {self.pause:.2f} s" if self.pause else f"kill {names}, back after {self.back:.2f} s"
        return f"after {self.after} rows and {self.delay:.3f} s: {what}"


class Plan:
    """What a round does. The same seed gives the same plan."""

    def __init__(self, seed):
        self.seed = seed
        r = random.Random(seed)
        self.is_run = r.random() < 0.25
        self.transport = r.choice(["ipc", "tcp"])
        self.kind = r.choice(["small", "large", "failing", "calls", "coprocess", "pipe"])
        self.workers, self.slots = r.randint(1, 3), r.randint(1, 3)
        self.jobs = r.randint(150, 400) if self.kind == "calls" else r.randint(30, 90)
        self.seconds = r.choice([0, 0.02, 0.05])
        # Jobs that outlast the grace of a restarted ventilator, two leases: those that it must learn of to leave them alone.
        self.long = sorted(r.sample(range(1, self.jobs // 2), 2)) if r.random() < 0.4 and self.kind != "calls" else []
        self.keep_order = r.random() < 0.3
        self.resumes = [r.random() < 0.5 for _ in range(20)]
        # Where the first lives of ventilator and sink end, if they get there. In `run` both are one process.
        self.points = collections.defaultdict(list)
        for role in ("run",) if self.is_run else ("ventilator", "sink"):
            for _ in range(r.choice([0, 0, 1, 1, 2])):
                name = r.choice([p for p in KILL_POINTS if self.is_run or p.startswith(role)])
                rare = name in ("ventilator.spooled", "sink.last_job_done", "sink.end_committed", "ventilator.end_committed")
                self.points[role].append(f"{name}:{1 if rare else r.randint(1, 12)}")
                if name == "sink.output_written":
                    self.kind, self.jobs = "large", min(self.jobs, 90)
                    self.long = [job for job in self.long if job <= self.jobs]
        self.faults = sorted((self.choose_fault(r) for _ in range(r.randint(1, 3))), key=lambda fault: fault.after)

    def choose_fault(self, r):
        workers = [("worker", n) for n in range(self.workers)]
        if self.is_run:
            who = [r.choice(["run", "run", ("keeper", 0)])]
        elif r.random() < 0.15:
            who = [("keeper", r.randrange(self.workers))]
        else:
            roles = r.sample(["ventilator", "sink", "worker"], r.choice([1, 1, 2, 3]))
            who = [x for role in roles for x in (r.sample(workers, r.randint(1, self.workers)) if role == "worker" else [role])]
        # A keeper that is stopped is no fault that anybody notices: it is killed.
        is_pause = r.random() < 0.25 and all(x == "run" or x[0] != "keeper" for x in who)
        pause = r.choice([0.1, 0.3, 1.5 * LEASE]) if is_pause else 0
        return Fault(r.randint(0, self.jobs), r.random() * 0.05, who, pause, r.choice([0, 0, r.random() * 0.5]))

    def __str__(self):
        shape = "run" if self.is_run else f"{self.workers} workers over {self.transport}"
        points = ", ".join(f"{role} at {', '.join(points)}" for role, points in self.points.items() if points)
        return "\n".join([f"seed {self.seed}: {shape}, {self.jobs} jobs ({self.kind}, {self.seconds} s{f', {self.long} long' * bool(self.long)}) in {self.slots} slots{', in order' * self.keep_order}",
                          f"  points: {points or 'none'}", *(f"  {fault}" for fault in self.faults)])

    # ---- the jobs

    def outcome(self, job):
        return "failed" if self.kind == "failing" and job % 7 == 0 else "ok"

    def status(self):
        failed = sum(self.outcome(job) == "failed" for job in range(1, self.jobs + 1))
        return min(failed, MANY_FAILED)

    def output(self, job):
        if self.kind == "large" and job % 3 == 0:
            return b"begin %d\n" % job + (b"%d\n" % job * LARGE)[:LARGE] + b"\nend %d\n" % job
        if self.kind == "pipe":
            return b"%d %s -\n" % (job, hashlib.md5(self.block(job)).hexdigest().encode())
        return b"%d\n" % job

    def block(self, job):
        return NUMBERS[job : job + INPUTS[job % 3]] + b"\n\n"

    def input(self):
        if self.kind == "pipe":
            return b"".join(b"%d\n%s" % (job, self.block(job)) for job in range(1, self.jobs + 1))
        return b"".join(b"%d\n" % job for job in range(1, self.jobs + 1))

    def words(self, journal):
        nap = f"sleep {self.seconds}; " if self.seconds else ""
        for job in self.long:
            nap += f"[ $n != {job} ] || sleep {4 * LEASE}; "
        if self.kind == "calls":
            return ["--call", "echo"]
        if self.kind == "coprocess":
            say = f"$n - $PARALLEL_PID >>{journal}"
            return ["--coprocess", f"while read n; do echo start {say}; {nap}echo end {say}; echo $n; done"]
        say = f"$PUSHMILL_JOB $PUSHMILL_ATTEMPT $PARALLEL_PID >>{journal}"
        if self.kind == "pipe":
            cut = ["--pipe-part", "--block", "1"] if self.is_run else ["--pipe", "-N1"]
            return [*cut, "--recend", r"\n\n", f"read n; echo start {say}; {nap}echo $n $(md5sum); echo end {say}"]
        body = {"small": "echo {}", "failing": "echo {}; [ $(({} % 7)) != 0 ]",
                "large": f"if [ $(({{}} % 3)) = 0 ]; then echo begin {{}}; yes {{}} | head -c {LARGE}; echo; echo end {{}}; else echo {{}}; fi"}[self.kind]
        retries = ["--retries", "2"] if self.kind == "failing" else []
        return [*retries, f"n={{}}; echo start {say}; {nap}( {body} ); s=$?; echo end {say}; exit $s"]


class Timer:
    def __init__(self):
        self.entries = []

    def after(self, seconds, action):
        self.entries.append((time.monotonic() + seconds, action))

    def fire(self):
        now = time.monotonic()
        due = [entry for entry in self.entries if entry[0] <= now]
        self.entries = [entry for entry in self.entries if entry[0] > now]
        for _, action in due:
            action()


class Round(EndToEnd):
    """Plays a plan. The programs are those of a Ring, or one `run`; what died is started again with the command line it had."""

    def __init__(self, plan):
        super().__init__()
        self.plan, self.timer = plan, Timer()
        self.counts = collections.Counter()  # what happened, for the figures
        self.evidence = Evidence(jobs=plan.jobs, status=plan.status(), has_journal=plan.kind != "calls",
                                 outcomes={job: plan.outcome(job) for job in range(1, plan.jobs + 1)})
        self.rows, self.roles, self.lives = {}, {}, collections.Counter()
        self.struck = set()  # processes that we killed
        self.pauses, self.dead = {}, set()  # roles: how long a killed one stays away; those that are away

    def play(self):
        """The evidence. The directory stays until close()."""
        self.setUp()
        (self.path / "plan").write_text(f"{self.plan}\n")
        self.journal_file = self.path / "journal"
        self.journal_file.touch()
        (self.path / "list").write_bytes(self.plan.input())
        self.ring = Ring(self, self.plan.transport, "r")
        try:
            for role in ("run",) if self.plan.is_run else ("sink", "ventilator", *(("worker", n) for n in range(self.plan.workers))):
                self.begin(role)
            faults = list(self.plan.faults)
            deadline = time.monotonic() + DEADLINE
            while not self.has_ended():
                self.observe()
                while faults and faults[0].after <= len(self.rows):
                    fault = faults.pop(0)
                    self.timer.after(fault.delay, lambda fault=fault: self.strike(fault))
                self.timer.fire()
                self.tend()
                if time.monotonic() > deadline:
                    self.evidence.damage.append(f"the run did not end in {DEADLINE} s; {len(self.rows)} of {self.plan.jobs} rows")
                    break
                time.sleep(0.005)
            self.send_workers_home()
        finally:
            self.collect()
        return self.evidence

    def close(self, keep):
        self.doCleanups()
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)

    # ---- programs

    def begin(self, role):
        name = role if isinstance(role, str) else role[0]
        points = self.plan.points[name]
        with self.dying_at(points[self.lives[role]]) if self.lives[role] < len(points) else contextlib.nullcontext():
            self.lives[role] += 1
            self.roles[role] = getattr(self, f"begin_{name}")()

    def begin_sink(self):
        order = ["--keep-order"] if self.plan.keep_order else []
        return self.ring.start_sink("--durability", "process", "--joblog", self.path / "joblog", *order)

    def begin_ventilator(self):
        return self.ring.start_ventilator("--durability", "process", "--heartbeat", f"{HEARTBEAT}s", "--lease", f"{LEASE}s",
                                          *self.plan.words(self.journal_file), records=self.plan.input())

    def begin_worker(self):
        return self.ring.start_worker(f"-j{self.plan.slots}")

    def begin_run(self):
        life = self.lives["run"] - 2
        if life >= 0 and self.plan.resumes[life % len(self.plan.resumes)] and self.has_origin():
            return self.start("pushmill", "resume", "r")
        order = ["-k"] if self.plan.keep_order else []
        return self.start("pushmill", "run", "--run-dir", "r", f"-j{self.plan.slots}", "--keep-output", "all", "--joblog", self.path / "joblog", *order,
                          "-a", "list", *self.plan.words(self.journal_file))

    def has_origin(self):
        """A run that was killed before it had said what it is can only be begun again."""
        return query(self.path / "r", "SELECT 1 FROM meta WHERE key = 'origin'", file="jobs.db")

    def tend(self):
        """What was killed, by us or by its point, is started again."""
        for role, program in self.roles.items():
            status = program.process.poll()
            if status != -signal.SIGKILL or role in self.dead:
                continue
            if program.pid not in self.struck:
                self.note_point(role)
            self.dead.add(role)
            self.timer.after(self.pauses.pop(role, 0), lambda role=role: self.bring_back(role))

    def note_point(self, role):
        name = role if isinstance(role, str) else role[0]
        point = self.plan.points[name][self.lives[role] - 1 : self.lives[role]]
        if point:
            self.counts[f"killed at {point[0].partition(':')[0]}"] += 1
            if role == "run":
                self.evidence.killed.add(self.roles[role].pid)
        else:
            self.evidence.statuses.append((str(role), -signal.SIGKILL, "no death of its own"))

    def bring_back(self, role):
        self.dead.remove(role)
        self.begin(role)

    def strike(self, fault):
        for who in fault.who:
            is_keeper = who[0] == "keeper"
            program = self.roles["run" if who == "run" or self.plan.is_run else ("worker", who[1]) if is_keeper else who]
            if not program.is_running():
                continue
            name = who if isinstance(who, str) else who[0]
            if is_keeper:
                for keeper in children(program.pid, "keeper")[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(keeper, signal.SIGKILL)
                        self.counts["kills of a keeper"] += 1
            elif fault.pause:
                program.send(signal.SIGSTOP)
                self.counts[f"stops of a {name}{', longer than a lease' if fault.pause > LEASE else ''}"] += 1
                if name == "worker" and fault.pause > 0.5 * LEASE:
                    self.evidence.silenced.add(program.pid)
                self.timer.after(fault.pause, lambda program=program: program.send(signal.SIGCONT))
            else:
                self.counts[f"kills of a {name}"] += 1
                self.struck.add(program.pid)
                self.pauses[who] = fault.back
                if name in ("worker", "run"):
                    self.evidence.killed.add(program.pid)
                program.process.kill()

    def has_ended(self):
        heads = ["run"] if self.plan.is_run else ["sink", "ventilator"]
        return not self.dead and all(self.roles[role].process.poll() not in (None, -signal.SIGKILL) for role in heads)

    def send_workers_home(self):
        """One that was away when the end was told hears nothing more of it, and is stopped, as a user would."""
        for role, program in self.roles.items():
            expected = self.plan.status() if isinstance(role, str) else 0
            program.send(signal.SIGCONT)
            if program.is_running() and not isinstance(role, str):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.process.wait(3 * HEARTBEAT)
                if program.is_running():
                    program.send(signal.SIGTERM)
                    expected = TERMINATED
            try:
                status = program.process.wait(20 * SLOWNESS)
            except subprocess.TimeoutExpired:
                status = "not at all"
            if expected == TERMINATED and status == 0:
                expected = 0  # told just then
            if status == -signal.SIGKILL and not isinstance(role, str):
                continue  # killed, and not wanted again
            self.evidence.statuses.append((str(role), status, expected))

    # ---- evidence

    def observe(self):
        try:
            rows = query(self.path / "r", "SELECT job, epoch || '.' || n, outcome FROM results WHERE seq > ?", len(self.rows), timeout=0)
        except sqlite3.OperationalError as error:
            if "locking protocol" not in str(error) and "locked" not in str(error):
                raise
            return  # its owner was stopped while it opened the database, and only we let it go on
        length = self.journal_file.stat().st_size
        self.rows.update({job: row for job, *row in rows})
        if rows:
            self.evidence.seen.append((length, rows))

    def collect(self):
        e, run = self.evidence, self.path / "r"
        for program in self.programs:
            program.send(signal.SIGCONT)
        left_by = time.monotonic() + 10
        wanted = {program.pid for program in self.programs if program.is_running()}
        while time.monotonic() < left_by and set(processes_with(self.mark)) - wanted:
            time.sleep(0.02)
        e.left = [describe(pid) for pid in processes_with(self.mark)]
        for pid in processes_with(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for program in self.programs:
            program.kill()
            if SANITIZER_REPORT.search(program.err) or "broken invariant" in program.err:
                e.damage.append(program.err)
        e.results = query(run, "SELECT job, epoch || '.' || n, outcome FROM results")
        e.attempts = query(run, "SELECT job, epoch || '.' || n, outcome FROM attempts")
        e.journal, at = [], 0
        for line in self.journal_file.read_bytes().splitlines(keepends=True):
            event, job, attempt, worker = line.decode().split()
            e.journal.append((at, event, int(job), attempt, int(worker)))
            at += len(line)
        joblog = self.path / "joblog"
        e.joblog = [int(line.split("\t")[0]) for line in joblog.read_text().splitlines()[1:]] if joblog.exists() else []
        for file in "jobs.db", "results.db":
            e.damage += [f"{file}: {text}" for (text,) in query(run, "PRAGMA integrity_check", file=file) if text != "ok"]
        e.accepted = len(query(run, "SELECT job FROM jobs", file="jobs.db"))
        e.marks = tuple(value for key, file in (("ended", "jobs.db"), ("ended_status", "results.db"))
                        for (value,) in query(run, "SELECT value FROM meta WHERE key = ?", key, file=file) or [(None,)])
        e.unwritten = self.unwritten()
        self.counts["jobs"] += e.jobs
        self.counts.update(f"attempts {outcome}" for _, _, outcome in e.attempts)
        self.counts["starts"] += sum(event == "start" for _, event, _, _, _ in e.journal)

    def unwritten(self):
        """Jobs whose whole output is in no stdout, or not in the run directory."""
        outs = [program.out for program in self.programs if program.name in ("sink", "pushmill")]
        lines = [set(out.split(b"\n")) for out in outs]
        missing = set()
        for job in range(1, self.plan.jobs + 1):
            output = self.plan.output(job)
            is_large = len(output) > 100
            if not any(output in out if is_large else output[:-1] in found for out, found in zip(outs, lines)):
                missing.add(job)
        for job, inline, file in query(self.path / "r", "SELECT job, stdout, stdout_file FROM results WHERE outcome <> 'lost'"):
            there = (self.path / "r" / file).read_bytes() if file else inline
            if there != self.plan.output(job):
                missing.add(job)
        return sorted(missing)


def play(seed, keep_all=False):
    """(plan, faults, counts, directory or None) of the round with this seed."""
    from soak_check import faults
    plan = Plan(seed)
    round_ = Round(plan)
    found = ["the round itself broke"]
    try:
        found = faults(round_.play())
    finally:
        keep = bool(found) or keep_all
        round_.close(keep)
        if keep:
            (round_.path / "faults").write_text("\n".join(found) + "\n")
    return plan, found, round_.counts, round_.path if keep else None
