#!/usr/bin/python3
"""Known-bad changes of the cores. The simulation must catch each of them, so that each invariant is known to be able to fail (docs/INVARIANTS.md).

All are built into one program, simulate_mutants, behind a switch: in the text of a change MUTANT stands for "this mutation is the one that runs". That
costs one compilation of each changed file instead of one of each mutation. Without a mutation chosen the program is the simulation as it is.

mutations.py list                  for CMake, a line each: "file FILE" for the files changed, "mutation NAME" for the mutations
mutations.py make FILE ROOT OUT    writes the changed copy of FILE; fails unless each string to be replaced is there exactly once
mutations.py check NAME PROGRAM    runs it as mutation NAME: it must end with status 1 and name the invariant expected, before any other
"""
import dataclasses
import os
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
    expect: str     # a pattern: how the violation begins; "abort: " and a condition for a core's own check
    seeds: int = 300


MUTATIONS = (
    Mutation("success_logged_twice", "sink/core.cc", (
        ("    result.outcome = Outcome::Superseded;\n    log(LogAttempt{", "    if (MUTANT) return log(LogResult{std::move(result), worker, host, 1});\n    result.outcome = Outcome::Superseded;\n    log(LogAttempt{"),
    ), "links", "1: two terminal rows"),
    Mutation("job_before_assign", "ventilator/core.cc", (
        ("effects_->push_back(std::move(jobs));", """effects_->insert(MUTANT ? std::find_if(effects_->begin(), effects_->end(), [](const Effect& e) {
      const auto* send = std::get_if<SendToSink>(&e);
      return send != nullptr && std::holds_alternative<wire::Assign>(send->message);
    }) : effects_->end(), std::move(jobs));"""),
    ), "calm", "2: JOB before its ASSIGN"),
    Mutation("confirm_before_commit", "sink/core.cc", (
        ("  if (open_rows_ > 0 || has_written_) effects_->push_back(Commit{});\n", "  const bool is_late_commit = MUTANT && ventilator_epoch_ != 0 && open_rows_ > 0;\n  if ((open_rows_ > 0 || has_written_) && !is_late_commit) effects_->push_back(Commit{});\n"),
        ("  alive_due_ = false;\n}\n", "  alive_due_ = false;\n  if (is_late_commit) effects_->push_back(Commit{});\n}\n"),
    ), "calm", r"2: (DONE|confirm|REQUEUE) before the commit|2: STORED before the output is"),
    Mutation("dispatch_above_horizon", "ventilator/core.cc", (
        ("if (job > horizon_) {", "if (job > horizon_ + MUTANT) {"),
    ), "calm", "2: dispatch above the horizon"),
    Mutation("requeue_drops_the_job", "ventilator/job_table.cc", (
        ("    assigned_.erase(it);\n    become_back(job, due);\n    return was;", "    assigned_.erase(it);\n    if (!MUTANT) become_back(job, due);\n    return was;"),
    ), "links", r"abort: finished_.contains\(job\) \|\| assigned_.contains\(job\) \|\| is_back\(job\)"),
    Mutation("returned_without_held_list", "sink/core.cc", (
        ("         !std::binary_search(worker.held.begin(), worker.held.end(), live.attempt);", "         (MUTANT || !std::binary_search(worker.held.begin(), worker.held.end(), live.attempt));"),
    ), "links", "3: returned although it was received"),
    Mutation("epoch_forgotten_in_attempts", "ventilator/core.cc", (
        ("const Attempt attempt{job, epoch_, ++last_n_};", "const Attempt attempt{job, MUTANT ? 1 : epoch_, ++last_n_};"),
    ), "head", "4: attempt"),
    Mutation("epoch_not_durable", "tests/support/cluster.cc", (
        ("      ++disk.epoch;\n", "      disk.epoch = MUTANT ? 1 : disk.epoch + 1;\n"),
    ), "head", "4: attempt"),
    Mutation("row_names_newest_attempt", "sink/core.cc", (
        ("    const std::uint64_t ordinal = 1 + record.ended_count() - (ended != nullptr);\n", "    const std::uint64_t ordinal = 1 + record.ended_count() - (ended != nullptr);\n    if (MUTANT) result.attempt = record.current;\n"),
    ), "partitions", "5: a row"),
    Mutation("old_ventilator_obeyed", "sink/core.cc", (
        ("  if (stamp.epoch < ventilator_epoch_) return", "  if (stamp.epoch < ventilator_epoch_ && !MUTANT) return"),
    ), "restarts", "6: the sink obeyed"),
    Mutation("old_sink_obeyed", "ventilator/core.cc", (
        ("|| stamp.sink_epoch < sink_epoch_) return", "|| (stamp.sink_epoch < sink_epoch_ && !MUTANT)) return"),
    ), "restarts", "6: the ventilator obeyed"),
    Mutation("old_state_obeyed", "sink/core.cc", (
        ("  if (std::pair(message.session, message.state_seq) < std::pair(", "  if (!MUTANT && std::pair(message.session, message.state_seq) < std::pair("),
    ), "partitions", "6: the sink obeyed"),
    Mutation("old_generation_obeyed", "worker/core.cc", (
        (" || !is_open_ || generation < generation_)", " || !is_open_ || (generation < generation_ && !MUTANT))"),
    ), "links", "6: a worker obeyed"),
    Mutation("numbers_kept_over_generations", "worker/core.cc", (
        ("    received_ = limit_ = announced_limit_ = measured_limit_ = 0;\n    restart_inputs();\n", "    if (!MUTANT) received_ = limit_ = announced_limit_ = measured_limit_ = 0;\n    restart_inputs();\n"),
    ), "links", "7: a worker refused"),
    Mutation("limit_kept_over_lanes", "ventilator/core.cc", (
        ("  entry.lane = Lane{{epoch_, ++last_g_}, Lane::Phase::Opening, now_};\n", "  const std::uint64_t kept = MUTANT && entry.lane ? entry.lane->limit : 0;\n  entry.lane = Lane{{epoch_, ++last_g_}, Lane::Phase::Opening, now_};\n  entry.lane->limit = kept;\n"),
        ("  if (limit <= lane.limit) return;\n", "  workers_.refresh(entry);\n  if (limit <= lane.limit) return;\n"),
    ), "links", "7: more jobs than the limit"),
    Mutation("superseded_requeue_obeyed", "ventilator/job_table.cc", (
        ("    if (it->second.attempt > attempt) return std::nullopt;", "    if (it->second.attempt > attempt && !MUTANT) return std::nullopt;"),
    ), "links", "8: the requeue of a superseded attempt"),
    Mutation("repeated_result_not_confirmed", "sink/core.cc", (
        ("  }\n  confirm(worker, attempt);\n", "  }\n  if (!MUTANT || !progress_.is_finished(attempt.job)) confirm(worker, attempt);\n"),
    ), "links", "9: no confirm"),
    Mutation("own_pause_counts", "sink/core.cc", (
        ("  now_ = clock_.advance(now);\n", "  now_ = clock_.advance(now);\n  if (MUTANT) now_ = now;\n"),
    ), "pauses", "10: a lease ended"),
    Mutation("judged_before_read", "sink/core.cc", (
        ("  if (event.drained && now_ >= next_judging_) judge_leases();", "  if ((event.drained || MUTANT) && now_ >= next_judging_) judge_leases();"),
    ), "pauses", "10: a lease ended|2: REQUEUE before the commit"),
    Mutation("late_failure_counted", "sink/core.cc", (
        ("const bool is_late = attempt < record.current;", "const bool is_late = attempt < record.current && !MUTANT;"),
    ), "partitions", r"11: a late failure"),
    Mutation("counts_forgotten_at_restart", "sink/core.cc", (
        ("  record.add_ended(ended);\n  record.current = std::max(record.current, ended.attempt);\n", "  if (MUTANT) return;\n  record.add_ended(ended);\n  record.current = std::max(record.current, ended.attempt);\n"),
    ), "all", "11: "),
    Mutation("window_forgets_what_is_held", "worker/core.cc", (
        ("const std::uint64_t limit = received_ + window - held;", "const std::uint64_t limit = received_ + window - (MUTANT ? 0 : held);"),
    ), "calm", "12: "),
    Mutation("no_grace", "ventilator/core.cc", (
        ("is_grace_over_(horizon_ == 0),", "is_grace_over_(horizon_ == 0 || MUTANT),"),
    ), "head-long", "13: job", 600),
    Mutation("leases_not_adopted", "ventilator/core.cc", (
        ("  const JobTable::Adopted adopted = jobs_.adopt(attempt, worker);\n", "  const JobTable::Adopted adopted = MUTANT ? JobTable::Adopted{} : jobs_.adopt(attempt, worker);\n"),
    ), "head-long", "13: job"),
    Mutation("result_dropped_when_read", "worker/core.cc", (
        ("      unconfirmed.next_state = 0;\n      to_send_.push_back(attempt);\n    }\n", """      unconfirmed.next_state = 0;
      to_send_.push_back(attempt);
    }
    if (MUTANT) {
      for (const Attempt& attempt : std::exchange(to_send_, {})) {
        unconfirmed_bytes_ -= unconfirmed_.at(attempt).result.text_bytes();
        unconfirmed_.erase(attempt);
      }
    }
"""),
    ), "head", "13: a worker dropped"),
    Mutation("unconfirmed_not_sent_again", "worker/core.cc", (
        ("unconfirmed.next_state == 0 || unconfirmed.next_state > echoed_) continue;", "unconfirmed.next_state == 0 || unconfirmed.next_state > echoed_ || MUTANT) continue;"),
    ), "head", "14: jobs never end"),
    Mutation("requeue_not_sent", "sink/core.cc", (
        ("  if (!is_late) requeued_.push_back(", "  if (!is_late && !MUTANT) requeued_.push_back("),
    ), "calm", "14: jobs never end"),
    Mutation("row_before_its_output", "sink/core.cc", (
        ("  if (!progress_.is_finished(attempt.job) && !is_whole(result)) {", "  if (!MUTANT && !progress_.is_finished(attempt.job) && !is_whole(result)) {"),
    ), "links", "5: a row without the whole of its output"),
    Mutation("output_written_behind_a_gap", "sink/core_outputs.cc", (
        ("    if (message.offset > length) return void(++ignored_);", "    if (message.offset > length && !MUTANT) return void(++ignored_);"),
    ), "links", "2: STORED before the output is|5: (an output is not written at the end of its file|a row without)"),
    Mutation("output_never_sent_again", "worker/core.cc", (
        ("    outputs_.note_echo(echoed_);", "    if (!MUTANT) outputs_.note_echo(echoed_);"),
    ), "links", "14: jobs never end|14: a role does not end"),
    Mutation("stored_before_it_is", "sink/core_outputs.cc", (
        ("      effects_->push_back(WriteOutput{", "      if (!MUTANT) effects_->push_back(WriteOutput{"),
    ), "calm", "2: STORED before the output is|5: a row without"),
    Mutation("sink_waits_for_close_only", "sink/core.cc", (
        ("  if (now_ - *ended_at_ > policy_.lease) {", "  if (now_ - *ended_at_ > policy_.lease && !MUTANT) {"),
    ), "links", "14: a role does not end: sink"),
    Mutation("uplink_never_renewed", "ventilator/core.cc", (
        ("  effects_->push_back(RenewUplink{});", "  if (!MUTANT) effects_->push_back(RenewUplink{});"),
    ), "strangers", "14: "),
    Mutation("feedback_never_renewed", "sink/core.cc", (
        ("is_feedback_broken_ = true;\n}\n\nvoid Core::on_event(wire::Assign&&", "is_feedback_broken_ = !MUTANT;\n}\n\nvoid Core::on_event(wire::Assign&&"),
    ), "strangers", "14: "),
    Mutation("alive_to_a_ventilator_that_is_not_heard", "sink/core.cc", (
        ("    if (ended_at_ || now_", "    if (MUTANT || ended_at_ || now_"),
    ), "strangers", "14: "),
    Mutation("end_before_end_of_input", "ventilator/core.cc", (
        ("wants_snapshot_, total_, cut_, config_.policy,", "wants_snapshot_, MUTANT && !total_ ? std::optional(jobs_.accepted()) : total_, cut_, config_.policy,"),
    ), "calm", "15: END before the end"),
    Mutation("complete_not_durable", "ventilator/core.cc", (
        ("  effects_->push_back(CommitEnded{total,", "  if (!MUTANT) effects_->push_back(CommitEnded{total,"),
    ), "calm", "15: a worker was told"),
    Mutation("every_failure_retried", "sink/core.cc", (
        ("  return !is_retried || (policy_.retries", "  return (!is_retried && !MUTANT) || (policy_.retries"),
    ), "all", "11: a failure that is not retried"),
    Mutation("delay_forgotten", "ventilator/core.cc", (
        ("  if (!base::is_failure(ended.outcome) ||", "  if (MUTANT || !base::is_failure(ended.outcome) ||"),
    ), "calm", "17: "),
    Mutation("dispatch_not_committed", "ventilator/core.cc", (
        ("  if (config_.policy.at_most_once && !given_.empty()) commit_given();", "  if (config_.policy.at_most_once && !given_.empty() && !MUTANT) commit_given();"),
    ), "once", "2: dispatch before its commit"),
    Mutation("loss_goes_out_again", "sink/core.cc", (
        ("return policy_.at_most_once || (ended.alone", "return (policy_.at_most_once && !MUTANT) || (ended.alone"),
    ), "once", "18: a loss is not the end"),
    Mutation("dispatch_not_recalled", "ventilator/core.cc", (
        ("  if (config_.policy.at_most_once && !is_grace_over_) return", "  if (config_.policy.at_most_once && !is_grace_over_ && !MUTANT) return"),
    ), "once", "18: started again"),
    Mutation("void_attempt_obeyed", "sink/core.cc", (
        ("  if (progress_.is_void(attempt)) return", "  if (progress_.is_void(attempt) && !MUTANT) return"),
    ), "again", "1: a row of an attempt from before"),
    Mutation("end_not_taken_back", "sink/core.cc", (
        ("(message.total != total_ || !message.cut)) {", "(message.total != total_ || !message.cut) && !MUTANT) {"),
    ), "again", "14: |9: "),
    Mutation("overdue_runs_on", "worker/core.cc", (
        ("  if (now >= permits_.soonest()) end_overdue();", "  if (now >= permits_.soonest() && !is_running(\"overdue_runs_on\")) end_overdue();"),
        ("  effects_->push_back(RunUntil{at});", "  if (!is_running(\"overdue_runs_on\") && !is_running(\"stopped_worker_runs_on\")) effects_->push_back(RunUntil{at});"),
    ), "apart", "19: "),
    Mutation("stopped_worker_runs_on", "worker/core.cc", (), "apart", "19: "),  # its change is in the one above
    Mutation("gone_ends_leases_apart", "sink/core.cc", (
        ("worker->second.gone_at && !policy_.no_overlap &&", "worker->second.gone_at && (!policy_.no_overlap || MUTANT) &&"),
    ), "apart", "19: ", 600),
    Mutation("halt_not_heard", "ventilator/core_halt.cc", (
        ("  if (halt.number <= halts_over_ ||", "  if (MUTANT || halt.number <= halts_over_ ||"),
    ), "halt", "20: a job goes out"),
    Mutation("halt_over_while_jobs_are_out", "ventilator/core_halt.cc", (
        ("!jobs_.assigned().empty() ||", "(!jobs_.assigned().empty() && !MUTANT) ||"),
    ), "halt", "20: the run stops while jobs are out"),
    Mutation("halt_counts_forgotten", "sink/core_halt.cc", (
        ("  halt_.failed = progress_.failed();\n", "  halt_.failed = MUTANT ? 0 : progress_.failed();\n"),
    ), "halt", "20: "),
    Mutation("started_with_part_of_its_input", "worker/core_inputs.cc", (
        ("unfed->kept == unfed->length;", "unfed->kept == unfed->length || MUTANT;"),
    ), "calm", "21: started without the whole of its input"),
    Mutation("input_goes_on_in_another_generation", "worker/core_inputs.cc", (
        ("  return_unfed(\"its connection", "  if (!MUTANT) return_unfed(\"its connection"),
    ), "links", "14: jobs never end|21: "),
    Mutation("input_not_dropped", "worker/core.cc", (
        ("  if (config_.input_window > 0) effects_", "  if (config_.input_window > 0 && !MUTANT) effects_"),
    ), "links", "21: the input of an attempt that is not held"),
    Mutation("input_limit_kept_over_lanes", "ventilator/core_inputs.cc", (
        (" || message.generation != entry.lane->generation) return;", " || (message.generation != entry.lane->generation && !MUTANT)) return;"),
    ), "links", "7: more of inputs than the limit"),
    Mutation("faulty_input_leaves_a_hole", "tests/support/cluster_inputs.cc", (
        ("  part.sent = effect.sent + effect.length;\n", "  if (!MUTANT) part.sent = effect.sent + effect.length;\n"),
    ), "calm", "14: jobs never end"),
    Mutation("lane_open_without_its_echo", "ventilator/core.cc", (
        ("session != entry.session || generation != entry.lane->generation) return;", "session != entry.session || (generation != entry.lane->generation && !MUTANT)) return;"),
    ), "links", "7: more jobs than the limit"),
    Mutation("assign_of_an_ended_attempt_not_answered", "sink/core.cc", (
        ("      requeued_.push_back({attempt, ended != nullptr", "      if (!MUTANT) requeued_.push_back({attempt, ended != nullptr"),
    ), "links", "14: jobs never end"),
    Mutation("gap_not_seen_by_the_sink", "sink/core.cc", (
        ("  if (stamp.seq > expected_seq_) needs_snapshot_ = true;", "  if (stamp.seq > expected_seq_ && !MUTANT) needs_snapshot_ = true;"),
    ), "gaps", "14: jobs never end"),
    Mutation("snapshot_not_sent", "sink/core.cc", (
        ("  if (snapshot_due_) send_snapshot();", "  if (MUTANT && snapshot_due_ && has_sent_snapshot_) snapshot_due_ = needs_snapshot_ = false, alive_due_ = true;\n  if (snapshot_due_) send_snapshot();"),
    ), "links", "14: jobs never end"),
    Mutation("not_assigned_again", "ventilator/core.cc", (
        ("RecallDispatches{jobs_.waiting()});\n  assign_again();", "RecallDispatches{jobs_.waiting()});\n  if (!MUTANT) assign_again();"),
    ), "links", "14: jobs never end"),
    Mutation("session_never_renewed", "worker/core.cc", (
        ("session_at_) > session_wait_.current()) {", "session_at_) > session_wait_.current() && !MUTANT) {"),
    ), "strangers", "14: "),
    Mutation("held_jobs_not_in_state", "worker/core.cc", (
        ("  for (const Queued& queued : queue_) state.held.push_back(", "  for (const Queued& queued : queue_) if (!MUTANT) state.held.push_back("),
    ), "links", "3: returned although it was received"),
    Mutation("policy_not_durable", "sink/core.cc", (
        ("    log(LogPolicy{policy_});", "    if (!MUTANT) log(LogPolicy{policy_});"),
    ), "again", "11: failed for good too early"),
    Mutation("returned_counts", "sink/core.cc", (
        ("  ended.counted = !is_late && (base::is_failure(result.outcome) ||", "  ended.counted = !is_late && ((MUTANT && result.outcome == Outcome::Returned) || base::is_failure(result.outcome) ||"),
    ), "all", "11: failed for good too early"),
    Mutation("lost_too_early", "sink/core.cc", (
        ("> policy_.lost_after())", "> (MUTANT ? policy_.lease / 2 : policy_.lost_after()))"),
    ), "apart", "19: "),
)


def changed(file, root):
    original = text = (pathlib.Path(root) / file).read_text()
    for mutation in (m for m in MUTATIONS if m.file == file):
        for old, new in mutation.changes:
            if original.count(old) != 1 or text.count(old) != 1:
                sys.exit(f"mutation {mutation.name}: found {original.count(old)} times in {file} ({text.count(old)} after earlier mutations), must be once:\n{old}")
            text = text.replace(old, new.replace("MUTANT", f'is_running("{mutation.name}")'))
    return 'bool is_running(const char* mutation);\n' + text


def check(mutation, program):
    run = subprocess.run([program, "--class", mutation.faults, "--seeds", str(mutation.seeds)], capture_output=True, text=True,
                         env={**os.environ, "PUSHMILL_MUTATION": mutation.name})
    if mutation.expect.startswith("abort: "):
        found = re.search(r"broken invariant: (.*)", run.stderr)
        caught = run.returncode < 0 and found and re.match(mutation.expect.removeprefix("abort: "), found[1])
    else:
        found = re.search(r"seed \d+: invariant (.*)", run.stdout)
        caught = run.returncode == 1 and found and re.match(mutation.expect, found[1])
    print(f"mutation {mutation.name}: status {run.returncode}, expected '{mutation.expect}' within {mutation.seeds} seeds of '{mutation.faults}'")
    print(run.stdout[:2000] + run.stderr[:2000], end="")
    return 0 if caught else 1


def main():
    arguments = sys.argv[1:]
    if arguments == ["list"]:
        for file in dict.fromkeys(m.file for m in MUTATIONS):
            print("file", file)
        for mutation in MUTATIONS:
            print("mutation", mutation.name)
    elif len(arguments) == 4 and arguments[0] == "make":
        pathlib.Path(arguments[3]).write_text(changed(arguments[1], arguments[2]))
    elif len(arguments) == 3 and arguments[0] == "check":
        return check({m.name: m for m in MUTATIONS}[arguments[1]], arguments[2])
    else:
        sys.exit(__doc__)
    return 0


sys.exit(main())
