// What travels of each struct of messages.h, in the order of the wire, and the number of each message. Writer and Reader both follow these lists, so
// that they cannot disagree. Changing a list changes the protocol: new members go to the end of their struct, and PROTOCOL.md and the golden frames follow.
#pragma once

#include <tuple>

#include "wire/limits.h"
#include "wire/messages.h"

namespace wire {

// How a member travels when its type alone does not say it. A plain std::string is bytes (bin) of at most kMaxString.
template <typename S>
struct Name {  // text of the protocol (str) of at most kMaxName bytes
  std::string S::*member;
};
template <typename S>
struct Bytes {  // bytes with a limit of their own
  std::string S::*member;
  std::size_t limit;
};
template <typename S>
struct Period {  // a duration that must be above zero
  base::Duration S::*member;
};
template <typename S, typename E>
struct Choice {  // an enum of which a receiver accepts 0 to `most`
  E S::*member;
  E most;
};
template <typename S>
struct OwnOutcome {  // one that a worker may tell: Superseded is the sink's word
  Outcome S::*member;
};

// Above this a sum of times could overflow: about 31 years.
inline constexpr base::Duration kMaxDuration{1'000'000'000'000'000};

template <typename S>
inline constexpr auto kFields = std::tuple{};

template <>
inline constexpr auto kFields<base::Attempt> = std::tuple{&Attempt::job, &Attempt::epoch, &Attempt::n};
template <>
inline constexpr auto kFields<base::Generation> = std::tuple{&Generation::epoch, &Generation::g};
template <>
inline constexpr auto kFields<Stamp> = std::tuple{&Stamp::epoch, &Stamp::sink_epoch, &Stamp::seq};
template <>
inline constexpr auto kFields<base::CauseRange> = std::tuple{&base::CauseRange::first, &base::CauseRange::last};
template <>
inline constexpr auto kFields<HaltRule> = std::tuple{
    Choice<HaltRule, HaltRule::When>{&HaltRule::when, HaltRule::When::Now}, Choice<HaltRule, HaltRule::Of>{&HaltRule::of, HaltRule::Of::Done},
    &HaltRule::count, &HaltRule::is_percent};
template <>
inline constexpr auto kFields<Halt> = std::tuple{&Halt::number, Choice<Halt, HaltRule::When>{&Halt::when, HaltRule::When::Now}, &Halt::status};
template <>
inline constexpr auto kFields<Policy> =
    std::tuple{&Policy::retries, &Policy::crash_limit, Period<Policy>{&Policy::heartbeat}, Period<Policy>{&Policy::lease}, &Policy::retry_on,
               &Policy::at_most_once, &Policy::no_overlap, &Policy::halt};
template <>
inline constexpr auto kFields<Held> = std::tuple{&Held::attempt, Choice<Held, Held::Phase>{&Held::phase, Held::Phase::Unconfirmed}};
template <>
inline constexpr auto kFields<Result> = std::tuple{
    &Result::attempt, OwnOutcome<Result>{&Result::outcome}, &Result::exit_code, &Result::signal, &Result::slot, &Result::started_at, &Result::finished_at,
    &Result::runtime_us, &Result::user_us, &Result::system_us, &Result::max_rss_kb,
    Bytes<Result>{&Result::out, kInlineOutput}, Bytes<Result>{&Result::err, kInlineOutput},
    &Result::out_bytes, &Result::err_bytes, &Result::command, &Result::reason, &Result::label};
template <>
inline constexpr auto kFields<Assigned> = std::tuple{&Assigned::attempt, &Assigned::alone, &Assigned::command, &Assigned::label};
template <>
inline constexpr auto kFields<Limit> = std::tuple{&Limit::worker, &Limit::session, &Limit::generation, &Limit::limit};
template <>
inline constexpr auto kFields<Confirms> = std::tuple{&Confirms::worker, &Confirms::attempts};
template <>
inline constexpr auto kFields<Requeued> =
    std::tuple{&Requeued::attempt, Choice<Requeued, Outcome>{&Requeued::outcome, Outcome::Oom}, &Requeued::alone, &Requeued::failures};
template <>
inline constexpr auto kFields<Lease> = std::tuple{&Lease::attempt, &Lease::worker};
template <>
inline constexpr auto kFields<StoredOutput> = std::tuple{
    &StoredOutput::attempt, Choice<StoredOutput, OutputStream>{&StoredOutput::stream, OutputStream::Err}, &StoredOutput::length};
template <>
inline constexpr auto kFields<StoredOutputs> = std::tuple{&StoredOutputs::worker, &StoredOutputs::items};
template <>
inline constexpr auto kFields<JobItem> = std::tuple{&JobItem::attempt, Bytes<JobItem>{&JobItem::spec, kMaxJob}, &JobItem::input};

template <>
inline constexpr auto kFields<State> = std::tuple{
    &State::worker, &State::session, &State::state_seq, Name<State>{&State::endpoint}, Name<State>{&State::key},
    Name<State>{&State::host}, &State::slots, &State::generation, &State::limit, &State::held,
    &State::input_limit};
template <>
inline constexpr auto kFields<Results> = std::tuple{
    &Results::worker, &Results::session, &Results::generation, &Results::limit, Name<Results>{&Results::host}, &Results::items};
template <>
inline constexpr auto kFields<Output> = std::tuple{
    &Output::worker, &Output::attempt, Choice<Output, OutputStream>{&Output::stream, OutputStream::Err}, &Output::offset,
    Bytes<Output>{&Output::bytes, kMaxOutput}};
template <>
inline constexpr auto kFields<Bye> = std::tuple{&Bye::worker, &Bye::session};
template <>
inline constexpr auto kFields<Open> = std::tuple{
    &Open::stamp, Name<Open>{&Open::endpoint}, &Open::want_snapshot, &Open::total, &Open::cut, &Open::policy, &Open::halts_over};
template <>
inline constexpr auto kFields<Assign> = std::tuple{&Assign::stamp, &Assign::worker, &Assign::session, &Assign::generation, &Assign::items};
template <>
inline constexpr auto kFields<Gone> = std::tuple{&Gone::stamp, &Gone::worker, &Gone::generation};
template <>
inline constexpr auto kFields<Close> = std::tuple{&Close::stamp, &Close::is_halted};

template <>
inline constexpr auto kFields<Worker> = std::tuple{
    &Worker::stamp, &Worker::worker, &Worker::session, &Worker::state_seq, Name<Worker>{&Worker::endpoint},
    Name<Worker>{&Worker::key}, Name<Worker>{&Worker::host}, &Worker::slots, &Worker::generation, &Worker::limit,
    &Worker::leases, &Worker::bye, &Worker::input_limit};
template <>
inline constexpr auto kFields<Done> = std::tuple{&Done::stamp, &Done::jobs, &Done::limits, &Done::confirms};
template <>
inline constexpr auto kFields<Requeue> = std::tuple{&Requeue::stamp, &Requeue::items};
template <>
inline constexpr auto kFields<Snapshot> = std::tuple{
    &Snapshot::stamp, &Snapshot::first_job, Bytes<Snapshot>{&Snapshot::finished, kSnapshotBytes}, &Snapshot::leases,
    &Snapshot::ended, &Snapshot::last, &Snapshot::halt};
template <>
inline constexpr auto kFields<End> = std::tuple{&End::stamp, &End::total, &End::failed, &End::cut, &End::halt};
template <>
inline constexpr auto kFields<Stored> = std::tuple{&Stored::stamp, &Stored::workers};
template <>
inline constexpr auto kFields<Alive> = std::tuple{&Alive::stamp, &Alive::halt};

template <>
inline constexpr auto kFields<Job> = std::tuple{&Job::worker, &Job::session, &Job::generation, &Job::limit, &Job::first_seq, &Job::items};
template <>
inline constexpr auto kFields<Ctrl> = std::tuple{
    &Ctrl::worker, &Ctrl::session, &Ctrl::generation, &Ctrl::limit, &Ctrl::state_seq, &Ctrl::confirms, &Ctrl::complete,
    Period<Ctrl>{&Ctrl::heartbeat}, Period<Ctrl>{&Ctrl::lease}, &Ctrl::no_overlap,
    Choice<Ctrl, HaltRule::When>{&Ctrl::halt, HaltRule::When::Now}};
template <>
inline constexpr auto kFields<Free> = std::tuple{&Free::worker, &Free::session, &Free::generation, &Free::items};
template <>
inline constexpr auto kFields<Input> = std::tuple{
    &Input::worker, &Input::session, &Input::generation, &Input::sent, &Input::attempt, &Input::offset, Bytes<Input>{&Input::bytes, kMaxInput},
    Bytes<Input>{&Input::fault, kMaxReason}};
template <>
inline constexpr auto kFields<Refused> = std::tuple{&Refused::worker, &Refused::reason};

// A command, a call and a record as they stand in a spec, behind its head.
template <>
inline constexpr auto kFields<base::InputFile> = std::tuple{&base::InputFile::path, &base::InputFile::offset, &base::InputFile::length, &base::InputFile::mark};
template <>
inline constexpr auto kFields<base::Command> = std::tuple{
    &base::Command::line, &base::Command::argv, &base::Command::shell, &base::Command::stdin_bytes, &base::Command::directory,
    &base::Command::environment, &base::Command::term_seq, &base::Command::kill_leftovers, &base::Command::slot_marks,
    &base::Command::nice, &base::Command::live, &base::Command::input};
template <>
inline constexpr auto kFields<base::Call> = std::tuple{Name<base::Call>{&base::Call::handler}, &base::Call::version, &base::Call::arguments};
template <>
inline constexpr auto kFields<base::Record> = std::tuple{
    &base::Record::program, &base::Record::input, Choice<base::Record, base::Framing>{&base::Record::framing, base::Framing::Json}};

// The value of JobSpec::label.
template <>
inline constexpr auto kFields<base::Label> = std::tuple{&base::Label::number, &base::Label::tag, &base::Label::destination, &base::Label::values};

template <typename S>
inline constexpr std::size_t kFieldCount = std::tuple_size_v<std::remove_const_t<decltype(kFields<S>)>>;

// How many of the last fields were added when others spoke the protocol already: those leave them out, and then they have their defaults.
template <typename S>
inline constexpr std::size_t kAdded = 0;
template <>
inline constexpr std::size_t kAdded<State> = 1;
template <>
inline constexpr std::size_t kAdded<Worker> = 1;
template <>
inline constexpr std::size_t kAdded<JobItem> = 1;
template <typename S>
inline constexpr std::size_t kLeastFields = kFieldCount<S> - kAdded<S>;

// The number and the name of each message.
struct Type {
  std::uint64_t number;
  const char* name;
};
template <typename M>
inline constexpr Type kType{};
template <> inline constexpr Type kType<State>{1, "STATE"};
template <> inline constexpr Type kType<Results>{2, "RESULT"};
template <> inline constexpr Type kType<Bye>{3, "BYE"};
template <> inline constexpr Type kType<Output>{4, "OUTPUT"};
template <> inline constexpr Type kType<Open>{16, "OPEN"};
template <> inline constexpr Type kType<Assign>{17, "ASSIGN"};
template <> inline constexpr Type kType<Gone>{18, "GONE"};
template <> inline constexpr Type kType<Close>{19, "CLOSE"};
template <> inline constexpr Type kType<Worker>{32, "WORKER"};
template <> inline constexpr Type kType<Done>{33, "DONE"};
template <> inline constexpr Type kType<Requeue>{34, "REQUEUE"};
template <> inline constexpr Type kType<Snapshot>{35, "SNAPSHOT"};
template <> inline constexpr Type kType<End>{36, "END"};
template <> inline constexpr Type kType<Alive>{37, "ALIVE"};
template <> inline constexpr Type kType<Stored>{38, "STORED"};
template <> inline constexpr Type kType<Job>{48, "JOB"};
template <> inline constexpr Type kType<Ctrl>{49, "CTRL"};
template <> inline constexpr Type kType<Refused>{50, "REFUSED"};
template <> inline constexpr Type kType<Free>{51, "FREE"};
template <> inline constexpr Type kType<Input>{52, "INPUT"};

}  // namespace wire
