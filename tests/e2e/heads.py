"""What the tests that kill ventilator or sink have in common: a run under which they are killed, and what must hold afterwards."""
import signal
import time

from support import EndToEnd, Ring, is_finished, query, wait_until


class KillHead(EndToEnd):
    """The victims are killed -9 and started again with the command lines they had."""

    def restart(self, ring, victims):
        for name in victims:
            getattr(ring, name).kill()
        for name in victims:
            getattr(ring, f"start_{name}")()

    def kill_at_random_moments(self, victims, transport, jobs=200, kills=2):
        journal, ring = self.journal(), Ring(self, transport)
        ring.start(journal.job("sleep 0.01; echo {}"), records=range(jobs), workers=2)
        self.kill_and_go_on(ring, journal, victims, jobs, kills)
        self.assert_all_ok(ring.run, jobs, journal)
        return ring

    def kill_and_go_on(self, ring, journal, victims, jobs, kills=2):
        """At random moments, until the end; then: what was committed and what ran in living workers has not run again."""
        done = {}
        for moment in sorted(self.random.sample(range(1, jobs - 20), kills)):
            wait_until(lambda: not ring.sink.is_running() or is_finished(ring.run, moment)(), f"{moment} results")
            for name in victims:
                getattr(ring, name).kill()
            # What is committed now is not to run again, and of what has begun nothing twice: its workers live.
            committed = {job for (job,) in query(ring.run, "SELECT job FROM results")}
            starts = journal.starts()
            done.update({job: starts[job] for job in committed})
            for name in victims:
                getattr(ring, f"start_{name}")()
        ring.wait()
        starts = journal.starts()
        self.assertEqual({job: starts[job] for job in done}, done, f"committed jobs that were run again (PUSHMILL_E2E_SEED={self.seed})")
        self.assertEqual({job: count for job, count in starts.items() if count > 1}, {}, f"jobs of living workers that were run again (PUSHMILL_E2E_SEED={self.seed})")
        self.assertEqual(query(ring.run, "SELECT job, outcome, reason FROM attempts WHERE outcome NOT IN ('returned')"), [])

    def keep_running_jobs(self, victims, silence=0):
        """Jobs that run while the head is away are not run again: shown when all others are done, and the head so knows of these and hands out.
        `silence`: seconds for which their worker says nothing after the restart, while another, idle one is there."""
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(f"[ {{}} -gt 1 ] || {{ {wait}; }}"), records=range(12), workers=1)  # jobs 1 and 2 wait
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        if silence:
            ring.workers[0].pause()
        self.restart(ring, victims)
        ring.start_worker()
        if silence:
            time.sleep(silence)
            ring.workers[0].send(signal.SIGCONT)
        wait_until(is_finished(ring.run, 10), "the other jobs")
        self.assertEqual(journal.running(), {1, 2})
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 12, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 13)})

    def finish_while_away(self, victims):
        """Results of jobs that end while the head is away are kept and told to it when it is back."""
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(wait), records=range(4), workers=2)
        wait_until(lambda: len(journal.running()) == 4, "four jobs")
        for name in victims:
            getattr(ring, name).kill()
        go()
        wait_until(lambda: not journal.running(), "the end of the jobs")
        for name in reversed(victims):
            getattr(ring, f"start_{name}")()
        ring.wait()
        self.assert_all_ok(ring.run, 4, journal)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1, 4: 1})
