#!/usr/bin/python3
"""Known-bad changes of the cores. The simulation must catch each of them, so that each invariant is known to be able to fail (docs/INVARIANTS.md).

mutations.py list                 NAME;FILE of each, for CMake
mutations.py make NAME ROOT OUT   writes the changed copy of its file; fails unless each string to be replaced is there exactly once
mutations.py check NAME PROGRAM   runs the mutant: it must end with status 1 and name the invariant expected, before any other
"""
import dataclasses
import pathlib
import re
import subprocess
import sys


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    changes: tuple  # of (old, new)
    faults: str     # the fault class that shows it
    expect: str     # how the violation begins; a core's own check is "abort: " and its condition
    seeds: int = 300


MUTATIONS = (
    Mutation("success_logged_twice", "sink/core.cc", (
        ("result.outcome = Outcome::Superseded;\n    log(LogAttempt{std::move(result), worker, host, 0, false, false});", "log(LogResult{std::move(result), worker, host, 1});"),
    ), "links", "1: two terminal rows"),
    Mutation("job_before_assign", "ventilator/core.cc", (
        ("effects_->push_back(std::move(jobs));", """effects_->insert(std::find_if(effects_->begin(), effects_->end(), [](const Effect& e) {
      const auto* send = std::get_if<SendToSink>(&e);
      return send != nullptr && std::holds_alternative<wire::Assign>(send->message);
    }), std::move(jobs));"""),
    ), "calm", "2: JOB before its ASSIGN"),
    Mutation("confirm_before_commit", "sink/core.cc", (
        ("  if (open_rows_ > 0) effects_->push_back(Commit{});\n  open_rows_ = 0;\n", "  const bool commits = std::exchange(open_rows_, 0) > 0;\n  if (commits && ventilator_epoch_ == 0) effects_->push_back(Commit{});\n"),
        ("  alive_due_ = false;\n}\n", "  alive_due_ = false;\n  if (commits) effects_->push_back(Commit{});\n}\n"),
    ), "calm", r"2: (DONE|confirm|REQUEUE) before the commit"),
    Mutation("dispatch_above_horizon", "ventilator/core.cc", (
        ("if (job > horizon_) {", "if (job > horizon_ + 1) {"),
    ), "calm", "2: dispatch above the horizon"),
    Mutation("requeue_drops_the_job", "ventilator/job_table.cc", (
        ("    assigned_.erase(it);\n    requeued_.insert(job);\n    return was;", "    assigned_.erase(it);\n    return was;"),
    ), "links", "abort: finished_.contains(job) || assigned_.contains(job) || requeued_.contains(job)"),
    Mutation("returned_without_held_list", "sink/core.cc", (
        (" &&\n         !std::binary_search(worker.held.begin(), worker.held.end(), live.attempt);", ";"),
    ), "links", "3: returned although it was received"),
    Mutation("epoch_forgotten_in_attempts", "ventilator/core.cc", (
        ("const Attempt attempt{job, epoch_, ++last_n_};", "const Attempt attempt{job, 1, ++last_n_};"),
    ), "head", "4: attempt"),
    Mutation("epoch_not_durable", "tests/support/cluster.cc", (
        ("      ++disk.epoch;\n", "      disk.epoch = 1;\n"),
    ), "head", "4: attempt"),
    Mutation("row_names_newest_attempt", "sink/core.cc", (
        ("    const std::uint64_t ordinal = 1 + record.ended.size() - (ended != nullptr);\n", "    const std::uint64_t ordinal = 1 + record.ended.size() - (ended != nullptr);\n    result.attempt = record.current;\n"),
    ), "all", "5: a row"),
    Mutation("old_ventilator_obeyed", "sink/core.cc", (
        ("  if (stamp.epoch < ventilator_epoch_) return ++ignored_, false;\n", ""),
    ), "head", "6: the sink obeyed"),
    Mutation("old_sink_obeyed", "ventilator/core.cc", (
        (" || stamp.sink_epoch < sink_epoch_) return ++ignored_, false;", ") return ++ignored_, false;"),
    ), "head", "6: the ventilator obeyed"),
    Mutation("old_state_obeyed", "sink/core.cc", (
        ("< std::pair(worker.session, worker.state_seq)) return void(++ignored_);", "< std::pair(std::uint64_t{0}, std::uint64_t{0})) return void(++ignored_);"),
    ), "partitions", "6: the sink obeyed"),
    Mutation("old_generation_obeyed", "worker/core.cc", (
        (" || !is_open_ || generation < generation_)", " || !is_open_)"),
    ), "links", "6: a worker obeyed"),
    Mutation("numbers_kept_over_generations", "worker/core.cc", (
        ("    received_ = limit_ = announced_limit_ = measured_limit_ = 0;\n    raise_limit();", "    raise_limit();"),
    ), "links", "7: a worker refused"),
    Mutation("limit_kept_over_lanes", "ventilator/core.cc", (
        ("  entry.lane = Lane{{epoch_, ++last_g_}, Lane::Phase::Opening, now_};\n", "  const std::uint64_t limit = entry.lane ? entry.lane->limit : 0;\n  entry.lane = Lane{{epoch_, ++last_g_}, Lane::Phase::Opening, now_};\n  entry.lane->limit = limit;\n"),
    ), "links", "7: more jobs than the limit"),
    Mutation("superseded_requeue_obeyed", "ventilator/job_table.cc", (
        ("    if (it->second.attempt > attempt) return std::nullopt;  // superseded: a later one is out\n", ""),
    ), "links", "8: the requeue of a superseded attempt"),
    Mutation("repeated_result_not_confirmed", "sink/core.cc", (
        ("  confirm(worker, attempt);\n  if (progress_.is_finished(attempt.job)) {", "  if (!progress_.is_finished(attempt.job)) confirm(worker, attempt);\n  if (progress_.is_finished(attempt.job)) {"),
    ), "links", "9: no confirm"),
    Mutation("own_pause_counts", "sink/core.cc", (
        ("  now_ = clock_.advance(now);\n", "  now_ = now;\n"),
        ("  return clock_.real(std::min({next_judging_, next_heartbeat_, confirms_due_}));", "  return std::min({next_judging_, next_heartbeat_, confirms_due_});"),
    ), "pauses", "10: a lease ended"),
    Mutation("judged_before_read", "sink/core.cc", (
        ("  now_ = clock_.advance(now);\n", "  now_ = now;\n"),
        ("  if (event.drained && now_ >= next_judging_) judge_leases();", "  if (now_ >= next_judging_) judge_leases();"),
    ), "pauses", "10: a lease ended"),
    Mutation("late_failure_counted", "sink/core.cc", (
        ("const bool is_late = attempt < record.current;", "const bool is_late = false;"),
    ), "partitions", r"11: (a late failure|more failures)"),
    Mutation("counts_forgotten_at_restart", "sink/core.cc", (
        ("  record.ended.push_back(ended);\n  record.current = std::max(record.current, ended.attempt);\n", ""),
    ), "all", "11: "),
    Mutation("window_forgets_what_is_held", "worker/core.cc", (
        ("const std::uint64_t limit = received_ + window - held;", "const std::uint64_t limit = received_ + window;"),
    ), "calm", "12: "),
    Mutation("no_grace", "ventilator/core.cc", (
        ("is_grace_over_(horizon_ == 0) {", "is_grace_over_(true) {"),
    ), "head", "13: job"),
    Mutation("leases_not_adopted", "ventilator/core.cc", (
        ("  const JobTable::Adopted adopted = jobs_.adopt(attempt, worker);\n", "  const JobTable::Adopted adopted;\n"),
    ), "head-long", "13: job"),
    Mutation("result_dropped_when_read", "worker/core.cc", (
        ("      unconfirmed.next_state = 0;\n      to_send_.push_back(attempt);\n    }\n", """      unconfirmed.next_state = 0;
      to_send_.push_back(attempt);
    }
    for (const Attempt& attempt : std::exchange(to_send_, {})) {
      unconfirmed_bytes_ -= unconfirmed_.at(attempt).result.out.size() + unconfirmed_.at(attempt).result.err.size();
      unconfirmed_.erase(attempt);
    }
"""),
    ), "head", "13: a worker dropped"),
    Mutation("unconfirmed_not_sent_again", "worker/core.cc", (
        ("      unconfirmed.next_state = 0;\n      to_send_.push_back(attempt);\n", ""),
    ), "head", "14: jobs never end"),
    Mutation("requeue_not_sent", "sink/core.cc", (
        ("  if (!is_late) requeued_.push_back(", "  if (false) requeued_.push_back("),
    ), "calm", "14: jobs never end"),
    Mutation("end_said_once", "sink/core.cc", (
        ("  if (alive_due_ && ended_at_) send(", "  if (alive_due_ && ended_at_ == now_) send("),
        ("  else if (alive_due_) send(wire::Alive{});", "  else if (alive_due_ && !ended_at_) send(wire::Alive{});"),
    ), "head", "14: "),
    Mutation("end_before_end_of_input", "ventilator/core.cc", (
        ("wants_snapshot_, total_, cut_, config_.policy}", "wants_snapshot_, total_ ? *total_ : jobs_.accepted(), cut_, config_.policy}"),
    ), "calm", "15: END before the end"),
    Mutation("complete_not_durable", "ventilator/core.cc", (
        ("  effects_->push_back(CommitEnded{total, failed, cut});\n", ""),
    ), "calm", "15: a worker was told"),
)


def changed(mutation, root):
    text = (pathlib.Path(root) / mutation.file).read_text()
    for old, new in mutation.changes:
        if text.count(old) != 1:
            sys.exit(f"mutation {mutation.name}: found {text.count(old)} times in {mutation.file}, it must be once:\n{old}")
        text = text.replace(old, new)
    return text


def check(mutation, program):
    run = subprocess.run([program, "--class", mutation.faults, "--seeds", str(mutation.seeds)], capture_output=True, text=True)
    found = re.search(r"seed \d+: invariant (.*)", run.stdout)
    aborted = re.search(r"broken invariant: (.*)", run.stderr)
    if mutation.expect.startswith("abort: "):
        caught = run.returncode < 0 and aborted and aborted[1] == mutation.expect.removeprefix("abort: ")
    else:
        caught = run.returncode == 1 and found and re.match(mutation.expect, found[1])
    print(f"mutation {mutation.name}: status {run.returncode}, expected '{mutation.expect}' within {mutation.seeds} seeds of '{mutation.faults}'")
    print(run.stdout[:2000] + run.stderr[:2000], end="")
    return 0 if caught else 1


def main():
    if sys.argv[1:] == ["list"]:
        print("\n".join(f"{m.name};{m.file}" for m in MUTATIONS))
        return 0
    if len(sys.argv) < 4 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    mutation = next((m for m in MUTATIONS if m.name == sys.argv[2]), None)
    if mutation is None:
        sys.exit(f"no mutation is called {sys.argv[2]}")
    if sys.argv[1] == "check":
        return check(mutation, sys.argv[3])
    pathlib.Path(sys.argv[4]).write_text(changed(mutation, sys.argv[3]))
    return 0


sys.exit(main())
