#include "tests/support/cluster.h"

#include <algorithm>
#include <utility>

#include "wire/codec.h"

namespace support {

using base::Attempt;
using base::JobId;
using base::Outcome;
using base::WorkerId;

namespace {
constexpr std::uint64_t kOutputWindow = 12;  // bytes; jobs write up to three times as many
constexpr std::uint64_t kInputWindow = 16;  // bytes
constexpr std::int32_t kRetried = 3, kNotRetried = 4;  // exit codes of failing jobs
constexpr std::int64_t kHoldTicks = 2500;  // of a worker with results that nobody takes; longer than any role is down
}

Cluster::Cluster(const Faults& faults, std::uint64_t seed) : faults_(faults), random_(seed) {
  for (auto& byte : run_.bytes) byte = static_cast<std::uint8_t>(random_.next());
  total_ = between(3, 14);
  policy_.retries = static_cast<std::uint32_t>(between(1, 3));
  policy_.crash_limit = 5;
  policy_.at_most_once = faults.at_most_once;
  policy_.no_overlap = faults.no_overlap;
  if (faults.halts) {
    using wire::HaltRule;
    policy_.halt = {chance(500) ? HaltRule::When::Soon : HaltRule::When::Now, static_cast<HaltRule::Of>(between(0, 2)), static_cast<std::uint32_t>(between(1, 3)), false};
  }
  if (chance(300)) policy_.retry_on = {{{kRetried, kRetried}}};
  if (chance(300)) retry_delay_ = kTick * static_cast<std::int64_t>(between(5, 40));
  fail_chance_ = faults.halts ? 500 : faults.jobs_fail && chance(500) ? 300 : 0;
  fault_chance_ = fail_chance_ > 0 ? 20 : 0;
  input_seed_ = chance(500) ? random_.next() : 0;
  faults_end_ = between(100, 700);
  retries_left_ = faults.retry > 0 ? between(1, 2) : 0;
  ventilator_at_ = between(0, 60);
  sink_at_ = between(0, 60);
  for (std::uint64_t n = between(1, 3); n > 0; --n) workers_at_.push_back(between(0, 60));
}

std::string Cluster::where(const std::string& what) const { return what + " (tick " + std::to_string(tick_) + ")"; }

// ---- the network

Cluster::StreamPtr Cluster::connect(const std::string& to) {
  auto stream = std::make_shared<Stream>();
  stream->to = to;
  streams_.push_back(stream);
  return stream;
}

void Cluster::push(const StreamPtr& stream, std::string frame) {
  if (!stream || !stream->is_open || stream->is_dead) return;
  stream->last_at = std::max(stream->last_at, tick_ + between(0, faults_.delay));
  stream->frames.emplace_back(stream->last_at, std::move(frame));
}

void Cluster::cut(const StreamPtr& stream, std::deque<std::string>* survivors) {
  if (!stream || !stream->is_open) return;
  stream->is_open = false;
  const std::size_t keep = between(0, stream->frames.size());
  // What a reconnecting sender still had itself goes out again on the next connection; what was in between is lost.
  const std::size_t lost_to = keep + between(0, stream->frames.size() - keep);
  if (survivors != nullptr) {
    for (std::size_t i = stream->frames.size(); i > lost_to; --i) survivors->push_front(stream->frames[i - 1].second);
  }
  stream->frames.resize(keep);
}

void Cluster::close_endpoint(const std::string& to) {
  for (const StreamPtr& stream : streams_) {
    if (stream->to != to) continue;
    stream->is_open = false;
    stream->frames.clear();
  }
}

void Cluster::send_up(Uplink& up, std::string frame) {
  if (up.is_dead) return;
  if (up.stream && up.stream->is_open) push(up.stream, std::move(frame));
  else up.waiting.push_back(std::move(frame));
}

void Cluster::break_uplink(Uplink& up) {
  if (up.is_dead || !up.stream || !up.stream->is_open) return;
  cut(up.stream, &up.waiting);
  up.retry_at = tick_ + between(1, faults_.outage);
}

void Cluster::tick_uplink(Uplink& up) {
  if (up.is_dead || (up.stream && up.stream->is_open) || !sink_ || tick_ < up.retry_at) return;
  up.stream = connect("sink");
  for (std::string& frame : up.waiting) push(up.stream, std::move(frame));
  up.waiting.clear();
}

void Cluster::deliver() {
  auto streams = streams_;
  for (std::size_t i = streams.size(); i > 1; --i) std::swap(streams[i - 1], streams[random_.below(i)]);
  for (const StreamPtr& stream : streams) {
    while (!stream->frames.empty() && stream->frames.front().first <= tick_ && chance(800)) {
      const auto worker = std::find_if(workers_.begin(), workers_.end(), [&](const auto& w) { return w.second->endpoint == stream->to; });
      const std::uint64_t paused = stream->to == "sink" ? (sink_ ? sink_->paused_until : 0) : worker != workers_.end() ? worker->second->paused_until
                                   : ventilator_        ? ventilator_->paused_until : 0;
      if (tick_ < paused) break;
      if (stream->to == "sink" && sink_ && tick_ < sink_->slow_until && !chance(100)) break;
      const std::string frame = std::move(stream->frames.front().second);
      stream->frames.pop_front();
      try {
        if (stream->to == "sink" && sink_) deliver_to_sink(frame);
        else if (ventilator_ && stream->to == ventilator_->endpoint) deliver_to_ventilator(frame);
        else if (worker != workers_.end()) deliver_to_worker(*worker->second, frame);
        else cut(stream);
      } catch (const Crash& crash) {
        crash.who == "ventilator" ? crash_ventilator() : crash_sink();
      }
    }
  }
  std::erase_if(streams_, [](const StreamPtr& stream) { return !stream->is_open && stream->frames.empty(); });
}

void Cluster::deliver_to_sink(const std::string& frame) {
  auto decoded = wire::decode_to_sink(frame, run_);
  if (!decoded) {  // only a worker that no lane has told the run may name none
    decoded = wire::decode_to_sink(frame, {});
    if (!decoded || !decoded->run.is_zero() || !std::holds_alternative<wire::State>(decoded->message)) throw Violation(where("undecodable frame to the sink"));
  }
  if (!sink_) return;
  const bool is_stale = observe_arrival(decoded->message);
  const std::uint64_t ignored = sink_->core.ignored();
  const wire::ToSink copy = decoded->message;
  if (!is_stale) note_seen(copy, false);
  std::visit([this](auto&& m) { feed(sink::Event(std::move(m))); }, std::move(decoded->message));
  if (is_stale && sink_ && sink_->core.ignored() == ignored) throw Violation(where("6: the sink obeyed a stale frame"));
  if (sink_) note_seen(copy, true);
}

void Cluster::deliver_to_ventilator(const std::string& frame) {
  auto decoded = wire::decode_to_ventilator(frame, run_);
  if (!decoded) throw Violation(where("undecodable frame to the ventilator: " + decoded.error().message));
  const Arrival arrival = observe_arrival(decoded->message);
  std::visit([this](auto&& m) { feed(ventilator::Event(std::move(m))); }, std::move(decoded->message));
  if (ventilator_) check_arrival(arrival);
}

void Cluster::deliver_to_worker(WorkerNode& worker, const std::string& frame) {
  auto decoded = wire::decode_to_worker(frame, run_);
  if (!decoded) throw Violation(where("undecodable frame to a worker: " + decoded.error().message));
  const WorkerId id = worker.id;
  const ToWorkerArrival arrival = observe_arrival(worker, decoded->message);
  std::visit([&](auto&& m) { feed(worker, worker::Event(std::move(m))); }, std::move(decoded->message));
  if (workers_.contains(id)) check_arrival(worker, arrival);
}

// ---- roles: events in, effects out

void Cluster::may_crash(const char* who, unsigned chance_of) {
  if (tick_ < faults_end_ && chance_of > 0 && chance(chance_of)) throw Crash{who};
}

void Cluster::feed(const ventilator::Event& event) {
  if (!ventilator_) return;
  ventilator::Effects effects;
  ventilator_->core.on(event, now(), effects);
  ventilator_->core.check_invariants();
  for (ventilator::Effect& effect : effects) {
    may_crash("ventilator", faults_.ventilator);
    if (!carry_out(effect)) return;
  }
}

bool Cluster::carry_out(ventilator::Effect& effect) {
  VentilatorNode& node = *ventilator_;
  std::string frame;
  if (auto* send = std::get_if<ventilator::SendToSink>(&effect)) {
    if (const auto* assign = std::get_if<wire::Assign>(&send->message)) {
      for (const wire::Assigned& item : assign->items) assigned_.insert(item.attempt);
    }
    wire::encode(run_, send->message, frame);
    send_up(node.up, std::move(frame));
  } else if (auto* open = std::get_if<ventilator::OpenLane>(&effect)) {
    node.lanes[open->worker] = {open->generation, connect(open->endpoint)};
  } else if (auto* close = std::get_if<ventilator::CloseLane>(&effect)) {
    if (node.lanes[close->worker].first == close->generation) cut(node.lanes[close->worker].second);
  } else if (auto* jobs = std::get_if<ventilator::SendJobs>(&effect)) {
    wire::Job job{jobs->worker, jobs->session, jobs->generation, jobs->limit, jobs->first_seq, {}};
    for (const Attempt& attempt : jobs->attempts) {
      if (!assigned_.contains(attempt)) throw Violation(where("2: JOB before its ASSIGN " + attempt.text()));
      observe_dispatch(attempt);
      if (!issued_.insert(attempt).second) throw Violation(where("4: attempt repeats " + attempt.text()));
      if (attempt <= last_attempt_[attempt.job]) throw Violation(where("4: attempts do not increase " + attempt.text()));
      if (attempt.job > ventilator_disk_.accepted) throw Violation(where("2: dispatch before the commit of the job"));
      if (attempt.job > ventilator_disk_.horizon) throw Violation(where("2: dispatch above the horizon"));
      last_attempt_[attempt.job] = attempt;
      job.items.push_back({attempt, "spec", jobs->takes_inputs ? input_length(attempt.job) : 0});
    }
    wire::encode(run_, job, frame);
    push(node.lanes[jobs->worker].second, std::move(frame));
    ventilator::InputsDue due{jobs->worker, jobs->generation, {}};
    for (const wire::JobItem& item : job.items) {
      if (item.input > 0) due.items.push_back({item.attempt, item.input});
    }
    if (!due.items.empty()) feed(due);
    return ventilator_ != nullptr;
  } else if (auto* input = std::get_if<ventilator::SendInput>(&effect)) {
    send_input(*input);
  } else if (auto* free = std::get_if<ventilator::SendFree>(&effect)) {
    const WorkerId id = free->message.worker;
    wire::encode(run_, std::move(free->message), frame);
    push(node.lanes[id].second, std::move(frame));
  } else if (auto* ctrl = std::get_if<ventilator::SendCtrl>(&effect)) {
    const WorkerId id = ctrl->message.worker;
    wire::encode(run_, std::move(ctrl->message), frame);
    push(node.lanes[id].second, std::move(frame));
  } else if (auto* horizon = std::get_if<ventilator::RaiseHorizon>(&effect)) {
    ventilator_disk_.horizon = horizon->through;
  } else if (const auto* commit = std::get_if<ventilator::CommitDispatches>(&effect)) {
    for (const ventilator::Dispatch& dispatch : commit->items) ventilator_disk_.dispatched[dispatch.attempt.job] = dispatch;
  } else if (const auto* recall = std::get_if<ventilator::RecallDispatches>(&effect)) {
    ventilator::DispatchesRecalled recalled;
    for (const JobId job : recall->jobs) {
      if (const auto newest = ventilator_disk_.dispatched.find(job); newest != ventilator_disk_.dispatched.end()) recalled.items.push_back(newest->second);
    }
    feed(recalled);
  } else if (std::holds_alternative<ventilator::CommitEnded>(effect)) {
    if (!ventilator_disk_.input_ended || sink_disk_.results.size() != ventilator_disk_.accepted) throw Violation(where("15: run complete before its end"));
    ventilator_disk_.ended = true;
    if (faults_.at_end != 0 && chance(faults_.at_end)) throw Crash{"ventilator"};
  } else if (const auto* over = std::get_if<ventilator::CommitHaltsOver>(&effect)) {
    observe_halted(over->number);
    ventilator_disk_.halts_over = over->number;
  } else if (std::holds_alternative<ventilator::RenewUplink>(effect)) {
    cut(node.up.stream);
    node.up = Uplink{};
  } else if (std::holds_alternative<ventilator::LookForEnd>(effect)) {
    if (!sink_ && is_end_of_now()) feed(ventilator::SinkHasEnded{sink_disk_.ended->failed, sink_disk_.ended->cut});
  } else if (std::holds_alternative<ventilator::Exit>(effect)) {
    ventilator_left_ = true;
    close_endpoint(node.endpoint);
    for (auto& [id, lane] : node.lanes) lane.second->is_open = false;  // a clean end: what was sent still arrives
    ventilator_.reset();
    return false;
  }
  return true;
}

void Cluster::feed(sink::Event&& event) {
  if (!sink_) return;
  sink::Effects effects;
  sink_->core.on(std::move(event), now(), effects);
  sink_->core.check_invariants();
  for (sink::Effect& effect : effects) {
    may_crash("sink", faults_.sink);
    if (!carry_out(effect)) return;
  }
}

bool Cluster::carry_out(sink::Effect& effect) {
  SinkNode& node = *sink_;
  if (std::holds_alternative<sink::Commit>(effect)) {
    const bool had_ended = sink_disk_.ended.has_value();
    commit();
    if (is_halt_due() && (!sink_disk_.halt || sink_disk_.halt->is_over) && !sink_disk_.ended) throw Violation(where("20: no halt although it is due"));
    if (faults_.at_end != 0 && sink_disk_.ended && !had_ended && chance(faults_.at_end)) throw Crash{"sink"};
  } else if (auto* write = std::get_if<sink::WriteOutput>(&effect)) {
    write_output(*write);
  } else if (auto* drop = std::get_if<sink::DropOutput>(&effect)) {
    sink_disk_.outputs.erase({drop->attempt, drop->stream});
  } else if (auto* open = std::get_if<sink::OpenFeedback>(&effect)) {
    cut(node.feedback);
    node.feedback = connect(open->endpoint);
  } else if (auto* send = std::get_if<sink::SendToVentilator>(&effect)) {
    observe(send->message);
    std::string frame;
    wire::encode(run_, send->message, frame);
    push(node.feedback, std::move(frame));
  } else if (std::holds_alternative<sink::Exit>(effect)) {
    sink_left_ = true;
    close_endpoint("sink");
    sink_.reset();
    owed_.clear();
    return false;
  } else {
    if (const auto* row = std::get_if<sink::LogAttempt>(&effect)) {
      observe_lost(row->result, row->worker);
      if (row->counted) observe_count(row->result);
    }
    if (const auto* row = std::get_if<sink::LogResult>(&effect); row && row->result.outcome != Outcome::Ok) {
      observe_lost(row->result, row->worker);
      observe_count(row->result);
    }
    if (const auto* halt = std::get_if<sink::LogHalt>(&effect); halt && halt->is_over) observe_new_count(*halt);
    node.rows.push_back(std::move(effect));
  }
  return true;
}

void Cluster::feed(WorkerNode& worker, worker::Event&& event) {
  worker::Effects effects;
  worker.widest = std::max(worker.widest, worker.core.window());
  worker.core.on(std::move(event), now(), effects);
  worker.core.check_invariants();
  worker.widest = std::max(worker.widest, worker.core.window());
  for (worker::Effect& effect : effects) {
    if (!carry_out(worker, effect)) return;
  }
}

bool Cluster::carry_out(WorkerNode& worker, worker::Effect& effect) {
  std::string frame;
  if (worker.core.has_head()) worker.run = run_;
  const base::RunId run = worker.run;
  if (auto* open = std::get_if<worker::OpenSession>(&effect)) {
    counters_.sessions += open->session > 1;
    if (faults_.is_calm && worker.is_known) throw Violation(where("10: a worker that is heard begins a new session"));
    close_endpoint(worker.endpoint);
    if (worker.up.stream) cut(worker.up.stream);
    worker.up = Uplink{};
    worker.disturbed_at = std::max(worker.disturbed_at, tick_);
    worker.endpoint = "w" + worker.id.short_hex() + "." + std::to_string(open->session);
    feed(worker, worker::SessionOpened{worker.endpoint, ""});
  } else if (auto* state = std::get_if<worker::SendState>(&effect)) {
    wire::encode(run, std::move(state->message), frame);
    send_up(worker.up, std::move(frame));
  } else if (auto* send = std::get_if<worker::SendResults>(&effect)) {
    wire::Results results{worker.id, send->session, send->generation, send->limit, "host", {}};
    for (const Attempt& attempt : send->attempts) results.items.push_back(worker.core.unconfirmed(attempt));
    wire::encode(run_, std::move(results), frame);
    send_up(worker.up, std::move(frame));
  } else if (auto* output = std::get_if<worker::SendOutput>(&effect)) {
    wire::encode(run_, wire::Output{worker.id, output->attempt, output->stream, output->offset,
                                    std::string(worker.core.outputs().bytes(output->attempt, output->stream, output->offset))}, frame);
    send_up(worker.up, std::move(frame));
  } else if (auto* grant = std::get_if<worker::Grant>(&effect)) {
    const auto producer = worker.producers.find({grant->attempt, grant->stream});
    if (producer != worker.producers.end()) producer->second.granted = std::max(producer->second.granted, grant->length);
  } else if (auto* keep = std::get_if<worker::KeepInput>(&effect)) {
    keep_input(worker, *keep);
  } else if (auto* drop = std::get_if<worker::DropInput>(&effect)) {
    worker.inputs.erase(drop->attempt);
    worker.faulty.erase(drop->attempt);
  } else if (auto* bye = std::get_if<worker::SendBye>(&effect)) {
    wire::encode(run, std::move(bye->message), frame);
    send_up(worker.up, std::move(frame));
  } else if (auto* start = std::get_if<worker::Start>(&effect)) {
    if (worker.inputs.contains(start->attempt) && !faults_.is_calm && chance(fault_chance_)) {
      worker.roomless.insert(start->attempt);
      worker.running[start->attempt] = tick_;
      return true;
    }
    worker.held.insert(start->attempt);
    check_input(worker, start->attempt);
    observe_start(worker.id, start->attempt);
    if (faults_.runs_once && started_[start->attempt.job].size() > 1) throw Violation(where("13: job " + std::to_string(start->attempt.job) + " ran again"));
    if (sink_disk_.results.contains(start->attempt.job) && faults_.runs_once) throw Violation(where("13: a finished job ran again"));
    worker.running[start->attempt] = tick_ + (chance(faults_.no_overlap ? 300 : 800) ? between(0, 30) : between(50, 600));
    for (const auto stream : {wire::OutputStream::Out, wire::OutputStream::Err}) {
      if (chance(400)) worker.producers[{start->attempt, stream}] = {between(1, 3 * kOutputWindow), 0, kOutputWindow};
    }
  } else if (auto* kill = std::get_if<worker::Kill>(&effect)) {
    worker.killed.insert(kill->attempt);
    if (worker.running.contains(kill->attempt)) worker.running[kill->attempt] = tick_;
  } else if (auto* until = std::get_if<worker::RunUntil>(&effect)) {
    worker.run_until = until->at;
  } else if (auto* exit = std::get_if<worker::Exit>(&effect)) {
    if (exit->why == worker::Exit::Why::RunComplete && !ventilator_disk_.ended && !has_been_over_ && ventilator_disk_.halts_over == 0) throw Violation(where("15: a worker was told of an end that is not durable"));
    const WorkerId id = worker.id;
    close_endpoint(worker.endpoint);
    workers_.erase(id);
    return false;
  }
  return true;
}

// ---- one tick

void Cluster::start_roles() {
  if (!ventilator_ && !ventilator_left_ && tick_ >= ventilator_at_) {
    VentilatorDisk& disk = ventilator_disk_;
    if (!sink_ && is_end_of_now()) disk.ended = true;
    if (disk.cut && chance(500)) offer_input_again();
    if (!sink_ && disk.ended) {
      ventilator_left_ = true;
    } else {
      ++disk.epoch;
      ventilator::CoreConfig config;
      config.feedback_endpoint = "v" + std::to_string(++incarnation_);
      config.policy = policy_;
      config.retry_delay = retry_delay_;
      config.seed = random_.next();
      ventilator_ = std::make_unique<VentilatorNode>(VentilatorNode{
          ventilator::Core(config, {disk.epoch, disk.horizon, disk.accepted, disk.input_ended, disk.cut, disk.ended, disk.halts_over}), config.feedback_endpoint, {}, {}, 0, 0, sink_disk_.halt && sink_disk_.halt->halt.number > disk.halts_over});
    }
  }
  if (!sink_ && !sink_left_ && tick_ >= sink_at_) {
    SinkDisk& disk = sink_disk_;
    if (disk.ended && !disk.ended->cut && !ventilator_) {
      sink_left_ = true;
    } else {
      sink_ = std::make_unique<SinkNode>(SinkNode{disk.start(), {}, nullptr, 0, 0, 0, {}, {}});
    }
  }
  for (std::size_t i = 0; i < workers_at_.size();) {
    if (tick_ < workers_at_[i]) {
      ++i;
      continue;
    }
    workers_at_.erase(workers_at_.begin() + static_cast<std::ptrdiff_t>(i));
    worker::CoreConfig config;
    for (auto& byte : config.id.bytes) byte = static_cast<std::uint8_t>(random_.next());
    config.host = "host";
    config.slots = static_cast<std::uint32_t>(between(1, 2));
    config.hold_timeout = kTick * kHoldTicks;
    config.output_window = kOutputWindow;
    const bool takes_inputs = chance(700);
    config.input_window = takes_inputs ? kInputWindow : 0;
    config.seed = random_.next();
    auto& node = workers_[config.id];
    node = std::make_unique<WorkerNode>(WorkerNode{worker::Core(config), config.id, {}, "", {}, {}, {}, takes_inputs, {}, {}, {}, {}, 0, false, 0, base::kNever, tick_});
  }
}

void Cluster::tick_ventilator() {
  VentilatorNode& node = *ventilator_;
  tick_uplink(node.up);
  if (tick_ < node.paused_until) return;
  read_input();
  std::vector<ventilator::LaneBroken> broken;
  for (auto& [id, lane] : node.lanes) {
    if (lane.second && !lane.second->is_open && chance(300)) broken.push_back({id, lane.first});
  }
  for (const auto& event : broken) feed(event);
  feed(ventilator::Turn{});
}

void Cluster::tick_sink() {
  if (tick_ < sink_->paused_until) return;
  if (sink_->feedback && !sink_->feedback->is_open && chance(300)) feed(sink::FeedbackBroken{});
  if (chance(500)) feed(sink::OutputsEmitted{sink_disk_.results.size() + sink_disk_.moved});
  const bool drained = std::none_of(streams_.begin(), streams_.end(), [&](const StreamPtr& s) { return s->to == "sink" && !s->frames.empty() && s->frames.front().first <= tick_; });
  feed(sink::Turn{drained});
}

void Cluster::tick_worker(WorkerNode& worker) {
  tick_uplink(worker.up);
  end_at_deadline(worker);
  if (worker.up.is_dead) worker.disturbed_at = tick_;
  if (tick_ < worker.paused_until) return;
  const WorkerId id = worker.id;
  auto running = worker.running;
  for (const auto& [attempt, end] : running) {
    produce(worker, attempt, tick_ >= end);
    if (tick_ < end) continue;
    worker.running.erase(attempt);
    wire::Result result;
    result.attempt = attempt;
    if (worker.roomless.erase(attempt) > 0) {
      worker.inputs.erase(attempt);
      worker.faulty.erase(attempt);
      result.outcome = Outcome::Returned;
      feed(worker, worker::Ended{std::move(result), false, true});
      continue;
    }
    result.outcome = worker.killed.contains(attempt) ? Outcome::Cancelled : worker.faulty.contains(attempt) || chance(fail_chance_) ? Outcome::Failed : Outcome::Ok;
    worker.inputs.erase(attempt);
    worker.faulty.erase(attempt);
    if (result.outcome == Outcome::Failed) result.exit_code = chance(500) ? kRetried : kNotRetried;
    result.out = "out";
    result.out_bytes = 3;
    for (const auto stream : {wire::OutputStream::Out, wire::OutputStream::Err}) {  // what went ahead is not in the result
      if (worker.producers.erase({attempt, stream}) > 0 && stream == wire::OutputStream::Out) result.out.clear();
    }
    if (result.outcome == Outcome::Ok) ended_ok_.insert(attempt);
    feed(worker, worker::Ended{std::move(result)});
  }
  if (workers_.contains(id)) feed(worker, worker::Turn{});
}

// Some more of the outputs of a running attempt, as far as it was granted; at its end the rest.
void Cluster::produce(WorkerNode& worker, const Attempt& attempt, bool to_end) {
  for (const auto stream : {wire::OutputStream::Out, wire::OutputStream::Err}) {
    const auto found = worker.producers.find({attempt, stream});
    if (found == worker.producers.end()) continue;
    Producer& producer = found->second;
    const std::uint64_t most = to_end ? producer.length : std::min(producer.length, producer.granted);
    while (producer.read < most && (to_end || chance(300))) {
      const std::uint64_t length = between(1, std::min<std::uint64_t>(5, most - producer.read));
      std::string bytes = output_of(attempt, stream, producer.read, length);
      producer.read += length;
      feed(worker, worker::OutputRead{attempt, stream, std::move(bytes)});
    }
  }
}

void Cluster::step() {
  ++tick_;
  if (tick_ < faults_end_) inject_faults();
  act_as_user();
  start_roles();
  deliver();
  std::vector<std::function<void()>> turns;
  turns.emplace_back([this] { if (ventilator_) tick_ventilator(); });
  turns.emplace_back([this] { if (sink_) tick_sink(); });
  turns.emplace_back([this] {
    std::vector<WorkerId> ids;
    for (const auto& [id, worker] : workers_) ids.push_back(id);
    for (const WorkerId& id : ids) tick_worker(*workers_.at(id));
  });
  for (std::size_t i = turns.size(); i > 1; --i) std::swap(turns[i - 1], turns[random_.below(i)]);
  for (const auto& turn : turns) {
    try {
      turn();
    } catch (const Crash& crash) {
      crash.who == "ventilator" ? crash_ventilator() : crash_sink();
    }
  }
  check();
}

void Cluster::run() {
  const std::uint64_t bound = faults_end_ + 150 + 2900 + 700 * total_ + kHoldTicks + (faults_.downtime > 250 ? faults_.downtime : 0) +
                              (faults_.retry > 0 ? 4 * (3000 + 700 * total_) : 0) + (faults_.halts ? 800 * total_ : 0);
  while (tick_ < bound) {
    step();
    if (is_over() && !has_user_more_to_do() && workers_.empty() && workers_at_.empty()) break;
    if (workers_.empty() && workers_at_.empty() && !(ventilator_left_ && sink_left_) && !sink_disk_.ended) workers_at_.push_back(tick_ + 5);  // one always lives
  }
  counters_.ticks = tick_;
  check_end();
}

}  // namespace support
