"""What must hold after a round of the soak, judged from evidence alone: nothing missing, no terminal row twice, no job whose result was committed run again,
no process left behind. It starts nothing and opens no file, so that its tests can show it any evidence, false ones too.
"""
import collections
import dataclasses


@dataclasses.dataclass
class Evidence:
    """What is left of a round. An attempt is written EPOCH.N; a worker is the process id that it had."""
    jobs: int = 0                                    # asked for: 1..jobs
    outcomes: dict = dataclasses.field(default_factory=dict)   # {job: outcome} of those that are not to be ok
    accepted: int = 0                                # jobs in jobs.db
    results: list = dataclasses.field(default_factory=list)    # (job, attempt, outcome) of results.db, as they stand there
    attempts: list = dataclasses.field(default_factory=list)   # (job, attempt, outcome): the other table
    joblog: list = dataclasses.field(default_factory=list)     # jobs of its lines; None: there was none
    has_journal: bool = True                         # the jobs wrote one
    journal: list = dataclasses.field(default_factory=list)    # (byte at which the line begins, "start" or "end", job, attempt, worker); attempt "-": not known
    seen: list = dataclasses.field(default_factory=list)       # (bytes of the journal, rows): looked at the rows first, then at the journal's length
    killed: set = dataclasses.field(default_factory=set)       # workers that were killed
    silenced: set = dataclasses.field(default_factory=set)     # workers that were stopped for longer than a lease, or nearly
    unwritten: list = dataclasses.field(default_factory=list)  # jobs whose whole output nobody got to read
    statuses: list = dataclasses.field(default_factory=list)   # (program, status, expected status)
    marks: tuple = (0, 0)                            # exit status that jobs.db and results.db name
    status: int = 0                                  # of the run, expected
    damage: list = dataclasses.field(default_factory=list)     # what SQLite's integrity check or a sanitizer said
    left: list = dataclasses.field(default_factory=list)       # processes


def faults(evidence):
    """One line for each thing that does not hold; empty: all is well."""
    return [line for check in (missing, doubled, changed, not_run, run_again_after_commit, run_again_for_nothing, ended_badly) for line in check(evidence)]


def missing(e):
    asked, found = set(range(1, e.jobs + 1)), {job for job, _, _ in e.results}
    for what, jobs in (("without a row", asked - found), ("never asked for", found - asked), ("without a whole output", set(e.unwritten))):
        if jobs:
            yield f"jobs {what}: {sorted(jobs)}"
    if e.joblog is not None and set(e.joblog) != asked:
        yield f"jobs that are in the joblog or among those asked for, not in both: {sorted(set(e.joblog) ^ asked)}"
    if e.accepted != e.jobs:
        yield f"jobs.db has {e.accepted} jobs, not {e.jobs}"


def doubled(e):
    def twice(things):
        return sorted(thing for thing, count in collections.Counter(things).items() if count > 1)

    starts = [(job, attempt) for _, event, job, attempt, _ in e.journal if event == "start" and attempt != "-"]
    for what, things in (("terminal rows twice, of jobs", [job for job, _, _ in e.results]), ("in the joblog twice", e.joblog or ()),
                         ("attempts with two rows", [attempt for _, attempt, _ in e.results + e.attempts]),
                         ("attempts that were started twice", starts)):
        if twice(things):
            yield f"{what}: {twice(things)}"


def changed(e):
    """A terminal row is for ever."""
    final = {job: (attempt, outcome) for job, attempt, outcome in e.results}
    for _, rows in e.seen:
        for job, attempt, outcome in rows:
            if final.get(job) != (attempt, outcome):
                yield f"the row of job {job} was {attempt} {outcome} and is {final.get(job)}"
    for job, attempt, outcome in e.results:
        if outcome != e.outcomes.get(job, "ok"):
            yield f"job {job} is {outcome}, not {e.outcomes.get(job, 'ok')}"


def not_run(e):
    """A row says ok only if its attempt came to its end."""
    if not e.has_journal:
        return
    ended = {(job, attempt) for _, event, job, attempt, _ in e.journal if event == "end"}
    for job, attempt, outcome in e.results:
        if outcome in ("ok", "failed") and (job, attempt) not in ended and (job, "-") not in ended:
            yield f"job {job} has a row of attempt {attempt}, which never ended"


def starts_of(e):
    starts = collections.defaultdict(list)
    for at, event, job, attempt, worker in e.journal:
        if event == "start":
            starts[job].append((at, attempt, worker))
    return starts


def run_again_after_commit(e):
    """Lines that the journal got after a row had been seen. Attempts of one job are two only where a worker was taken for dead: a silenced one may begin what
    it holds when it wakes, and another what was on its way to it."""
    lengths, jobs_seen = [], []
    for length, rows in e.seen:
        lengths.append(length)
        jobs_seen.append({job for job, _, _ in rows})
    first_seen = {}
    for length, jobs in sorted(zip(lengths, jobs_seen), key=lambda pair: pair[0]):
        for job in jobs:
            first_seen.setdefault(job, length)
    had_another = {job for job, _, outcome in e.attempts if outcome != "superseded"}
    for job, starts in starts_of(e).items():
        is_excused = e.silenced and (job in had_another or any(worker in e.silenced for _, _, worker in starts))
        late = [attempt for at, attempt, _ in starts if job in first_seen and at >= first_seen[job]]
        if late and not is_excused:
            yield f"job {job} was run again after its result was committed: {late}"


def run_again_for_nothing(e):
    """Each start but that of the row needs a reason why it came to nothing: its worker was killed, or silent, or it has a row of its own."""
    ended = collections.defaultdict(set)
    for job, attempt, outcome in e.attempts:
        if outcome != "superseded":
            ended[job].add(attempt)
    winners = {job: attempt for job, attempt, _ in e.results}
    for job, starts in starts_of(e).items():
        if any(worker in e.silenced for _, _, worker in starts):
            continue
        if all(attempt == "-" for _, attempt, _ in starts):
            reasons = sum(worker in e.killed for _, _, worker in starts) + len(ended[job])
            for_nothing = len(starts) - 1 > reasons and [attempt for _, attempt, _ in starts]
        else:
            for_nothing = [attempt for _, attempt, worker in starts if attempt != winners.get(job) and attempt not in ended[job] and worker not in e.killed]
        if for_nothing:
            yield f"job {job} was run again for no reason: {for_nothing} beside {winners.get(job)}"


def ended_badly(e):
    for program, status, expected in e.statuses:
        if status != expected:
            yield f"{program} ended with {status}, not {expected}"
    if tuple(e.marks) != (e.status, e.status):
        yield f"the databases say that the run ended with {tuple(e.marks)}, not {e.status}"
    yield from (f"damage: {text}" for text in e.damage)
    if e.left:
        yield f"processes left behind: {e.left}"
