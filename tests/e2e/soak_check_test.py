"""The soak's judge complains of each thing that must not be: it is shown good evidence, and then the same with one thing wrong."""
import copy
import unittest

from soak_check import Evidence, faults


def good():
    """Three jobs. Job 2 failed for good at its second attempt; job 3 was lost with worker 11 and run again."""
    return Evidence(
        jobs=3, outcomes={2: "failed"}, accepted=3, status=1, marks=(1, 1), joblog=[1, 3, 2], killed={11},
        results=[(1, "1.1", "ok"), (2, "1.4", "failed"), (3, "2.1", "ok")],
        attempts=[(2, "1.2", "failed"), (3, "1.3", "lost")],
        journal=[(0, "start", 1, "1.1", 10), (10, "end", 1, "1.1", 10), (20, "start", 2, "1.2", 10), (30, "start", 3, "1.3", 11), (40, "end", 2, "1.2", 10),
                 (50, "start", 2, "1.4", 10), (60, "end", 2, "1.4", 10), (70, "start", 3, "2.1", 10), (80, "end", 3, "2.1", 10)],
        seen=[(20, [(1, "1.1", "ok")]), (70, [(2, "1.4", "failed")]), (90, [(3, "2.1", "ok")])],
        statuses=[("sink", 1, 1), ("ventilator", 1, 1), ("('worker', 0)", 0, 0)])


class Judge(unittest.TestCase):
    def complains(self, evidence, text):
        found = faults(evidence)
        self.assertTrue(any(text in line for line in found), f"no {text!r} in {found}")

    def test_good_evidence_has_no_faults(self):
        self.assertEqual(faults(good()), [])

    def test_a_missing_row(self):
        e = good()
        e.results.pop(1)
        self.complains(e, "jobs without a row: [2]")

    def test_a_row_nobody_asked_for(self):
        e = good()
        e.results.append((4, "2.2", "ok"))
        self.complains(e, "never asked for: [4]")

    def test_a_job_that_was_not_spooled(self):
        e = good()
        e.accepted = 2
        self.complains(e, "jobs.db has 2 jobs")

    def test_a_doubled_row(self):
        e = good()
        e.results.append((1, "1.9", "ok"))
        self.complains(e, "terminal rows twice, of jobs: [1]")

    def test_an_attempt_in_both_tables(self):
        e = good()
        e.attempts.append((1, "1.1", "lost"))
        self.complains(e, "attempts with two rows: ['1.1']")

    def test_a_joblog_with_a_line_too_many_or_too_few(self):
        e = good()
        e.joblog.append(1)
        self.complains(e, "in the joblog twice: [1]")
        e.joblog = [1, 2]
        self.complains(e, "in the joblog or among those asked for")

    def test_an_attempt_that_was_started_twice(self):
        e = good()
        e.journal.append((90, "start", 3, "2.1", 10))
        self.complains(e, "attempts that were started twice: [(3, '2.1')]")

    def test_a_row_that_changed(self):
        e = good()
        e.seen[0] = (20, [(1, "1.0", "ok")])
        self.complains(e, "the row of job 1 was 1.0 ok")

    def test_a_row_that_was_seen_and_is_gone(self):
        e = good()
        e.results.pop(0)
        self.complains(e, "the row of job 1 was 1.1 ok and is None")

    def test_an_outcome_that_cannot_be(self):
        e = good()
        e.results[0] = (1, "1.1", "lost")
        self.complains(e, "job 1 is lost, not ok")

    def test_a_row_of_an_attempt_that_never_ended(self):
        e = good()
        e.journal.remove((80, "end", 3, "2.1", 10))
        self.complains(e, "job 3 has a row of attempt 2.1, which never ended")

    def test_a_job_run_again_after_its_result_was_committed(self):
        e = good()
        e.journal.append((90, "start", 1, "2.2", 10))
        self.complains(e, "job 1 was run again after its result was committed: ['2.2']")

    def test_a_job_run_again_after_commit_though_its_worker_was_killed_or_another_silent(self):
        e = good()
        e.killed.add(10)
        e.journal.append((90, "start", 1, "2.2", 10))
        self.complains(e, "job 1 was run again after its result was committed")
        e.silenced.add(11)
        self.complains(e, "job 1 was run again after its result was committed")

    def test_a_silenced_worker_may_begin_what_it_holds_when_it_wakes(self):
        e = good()
        e.silenced.add(12)
        e.journal.append((90, "start", 3, "1.5", 12))
        self.assertEqual(faults(e), [])

    def test_a_job_run_again_for_no_reason_before_its_commit(self):
        e = good()
        e.journal.insert(0, (0, "start", 1, "1.0", 10))
        self.complains(e, "job 1 was run again for no reason: ['1.0'] beside 1.1")

    def test_a_coprocess_that_got_a_record_again_for_no_reason(self):
        e = good()
        e.journal = [(at, event, job, "-", worker) for at, event, job, _, worker in e.journal]
        self.assertEqual(faults(e), [])
        e.journal.insert(0, (0, "start", 1, "-", 10))
        self.complains(e, "job 1 was run again for no reason")

    def test_an_output_that_nobody_got(self):
        e = good()
        e.unwritten = [2]
        self.complains(e, "without a whole output: [2]")

    def test_a_wrong_exit_status(self):
        e = good()
        e.statuses[0] = ("sink", 0, 1)
        self.complains(e, "sink ended with 0, not 1")

    def test_an_end_that_is_marked_in_one_database_only(self):
        e = good()
        e.marks = (1, None)
        self.complains(e, "the databases say that the run ended with (1, None)")

    def test_a_damaged_database(self):
        e = good()
        e.damage = ["row 3 missing from index"]
        self.complains(e, "row 3 missing from index")

    def test_a_process_left_behind(self):
        e = good()
        e.left = ["123 sleep 100"]
        self.complains(e, "processes left behind: ['123 sleep 100']")

    def test_no_evidence_is_no_proof(self):
        self.assertNotEqual(faults(Evidence(jobs=1, accepted=1)), [])

    def test_judging_changes_nothing(self):
        e = good()
        before = copy.deepcopy(e)
        faults(e)
        self.assertEqual(e, before)


if __name__ == "__main__":
    unittest.main()
