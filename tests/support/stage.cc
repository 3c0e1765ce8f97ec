#include "tests/support/stage.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <utility>

#include "wire/codec.h"

namespace support {

using base::Attempt;
using base::JobId;
using base::Outcome;

// ---- the script

namespace {

std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::uint64_t number(const std::string& text) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) throw ScriptError("'" + text + "' is no number");
  return std::stoull(text);
}

Outcome outcome(const std::string& text) {
  for (std::uint8_t i = 0; i < base::kOutcomes; ++i) {
    if (base::name(static_cast<Outcome>(i)) == text) return static_cast<Outcome>(i);
  }
  throw ScriptError("'" + text + "' is no outcome");
}

// "slots=2" -> 2
std::uint64_t option(const std::vector<std::string>& words, const std::string& name, std::uint64_t otherwise) {
  for (const std::string& word : words) {
    if (word.starts_with(name + "=")) return number(word.substr(name.size() + 1));
  }
  return otherwise;
}

}  // namespace

void Stage::play(const std::string& line) {
  const std::vector<std::string> words = split(line);
  if (words.size() < 2) throw ScriptError("a command and what it is about");
  const std::string& what = words[0];
  if (what == "tick") {
    const double seconds = std::stod(words[1]);
    for (auto n = static_cast<int>(seconds * 10 + 0.5); n > 0; --n) tick();
    return;
  }
  if (what == "expect") return expect(words);
  transcript_.push_back("> " + line);
  if (what == "jobs") total_ = number(words[1]);
  else if (what == "policy") policy_.retries = static_cast<std::uint32_t>(option(words, "retries", 1)), policy_.crash_limit = static_cast<std::uint32_t>(option(words, "crash-limit", 5));
  else if (what == "start") start(words[1], words);
  else if (what == "kill") kill(words[1]);
  else if (what == "stop") feed(worker(words[1]), worker::Stop{});
  else if (what == "cut") cut(words[1]);
  else if (what == "hold" || what == "release") paths_[words[1]].is_held = what == "hold";
  else if (what == "finish") finish(words);
  else throw ScriptError("unknown command '" + what + "'");
}

void Stage::start(const std::string& who, const std::vector<std::string>& options) {
  left_.erase(who);
  if (who == "ventilator") {
    VentilatorDisk& disk = ventilator_disk_;
    if (!sink_ && (disk.ended || sink_disk_.ended)) return void(left_[who] = "it had ended");
    ventilator::CoreConfig config;
    config.feedback_endpoint = "v" + std::to_string(++disk.epoch);
    config.policy = policy_;
    ventilator_ = std::make_unique<VentilatorNode>(
        VentilatorNode{ventilator::Core(config, {disk.epoch, disk.horizon, disk.accepted, disk.input_ended, disk.cut, disk.ended}), config.feedback_endpoint, {}});
  } else if (who == "sink") {
    SinkDisk& disk = sink_disk_;
    if (disk.ended && !ventilator_) return void(left_[who] = "it had ended");
    sink_ = std::make_unique<SinkNode>(SinkNode{disk.start(), {}, "", true});
  } else if (who.size() == 1) {
    worker::CoreConfig config;
    config.id.bytes[0] = static_cast<std::uint8_t>(who[0]);
    config.host = "host";
    config.slots = static_cast<std::uint32_t>(option(options, "slots", 1));
    config.seed = static_cast<std::uint64_t>(who[0]);
    workers_[who] = std::make_unique<WorkerNode>(WorkerNode{worker::Core(config), who, "", {}});
  } else {
    throw ScriptError("'" + who + "' is not ventilator, sink or the letter of a worker");
  }
}

// kill -9: what is on its way to it and from it is lost. What others send to the sink from now on waits for the next one.
void Stage::kill(const std::string& who) {
  for (auto& [name, path] : paths_) {
    if (name.starts_with(who + "->") || name.ends_with("->" + who)) path.frames.clear();
  }
  if (who == "ventilator") {
    ventilator_.reset();
  } else if (who == "sink") {
    sink_.reset();
  } else {
    worker(who);
    if (ventilator_ && ventilator_->lanes.contains(who)) ventilator_->lanes[who].is_open = false;
    workers_.erase(who);
  }
}

void Stage::cut(const std::string& path) {
  paths_[path].frames.clear();
  if (path == "sink->ventilator" && sink_) sink_->feedback.clear(), sink_->is_feedback_told = false;
  if (path.starts_with("ventilator->") && path != "ventilator->sink" && ventilator_) ventilator_->lanes[path.substr(12)].is_open = false;
}

// finish WORKER JOB [OUTCOME]
void Stage::finish(const std::vector<std::string>& words) {
  if (words.size() < 3) throw ScriptError("finish WORKER JOB [OUTCOME]");
  WorkerNode& node = worker(words[1]);
  const JobId job = number(words[2]);
  const auto it = std::find_if(node.running.begin(), node.running.end(), [&](const auto& item) { return item.first.job == job; });
  if (it == node.running.end()) throw ScriptError("job " + words[2] + " does not run on " + words[1]);
  wire::Result result;
  result.attempt = it->first;
  result.outcome = words.size() > 3 ? outcome(words[3]) : Outcome::Ok;
  node.running.erase(it);
  feed(node, worker::Ended{std::move(result)});
}

// expect row JOB OUTCOME | runs JOB TIMES | running WORKER JOB... | idle WORKER | left WHO WHY | here WHO | attempts COUNT
void Stage::expect(const std::vector<std::string>& words) {
  const auto need = [&](bool so, const std::string& is) {
    if (!so) throw ScriptError("it is not so: " + is);
  };
  const std::string& what = words[1];
  if (words.size() < 3) throw ScriptError("expect WHAT OF");
  if (what == "row" && words.size() == 4) {
    const auto row = sink_disk_.results.find(number(words[2]));
    need(row != sink_disk_.results.end(), "no row");
    need(base::name(row->second.outcome) == words[3], std::string("the row says ") + std::string(base::name(row->second.outcome)));
  } else if (what == "runs" && words.size() == 4) {
    need(starts_[number(words[2])] == number(words[3]), "it ran " + std::to_string(starts_[number(words[2])]) + " times");
  } else if (what == "running") {
    std::string is, wanted;
    for (const auto& [attempt, killed] : worker(words[2]).running) is += " " + std::to_string(attempt.job);
    for (std::size_t i = 3; i < words.size(); ++i) wanted += " " + words[i];
    need(is == wanted, "running are" + is);
  } else if (what == "idle") {
    need(worker(words[2]).core.holds_nothing(), "it holds something");
  } else if (what == "attempts") {
    need(sink_disk_.attempts.size() == number(words[2]), std::to_string(sink_disk_.attempts.size()) + " ended otherwise");
  } else if (what == "left" && words.size() == 4) {
    need(left_[words[2]] == words[3], left_[words[2]].empty() ? "it is here" : "it left: " + left_[words[2]]);
  } else if (what == "here") {
    need(words[2] == "sink" ? sink_ != nullptr : words[2] == "ventilator" ? ventilator_ != nullptr : workers_.contains(words[2]), "it is gone");
  } else {
    throw ScriptError("unknown expectation '" + what + "'");
  }
}

// ---- time and the network

void Stage::tick() {
  ++ticks_;
  deliver();
  tell_of_breaks();
  if (ventilator_) {
    VentilatorDisk& disk = ventilator_disk_;
    if (disk.accepted < total_) feed(ventilator::InputAccepted{disk.accepted = total_});
    else if (!disk.input_ended && total_ > 0) disk.input_ended = true, feed(ventilator::InputEnded{false});
    feed(ventilator::Turn{});
  }
  if (sink_) {
    feed(sink::OutputsEmitted{sink_disk_.results.size()});
    feed(sink::Turn{true});
  }
  std::vector<std::string> names;
  for (const auto& [name, worker] : workers_) names.push_back(name);
  for (const std::string& name : names) {
    std::vector<Attempt> killed;
    for (const auto& [attempt, is_killed] : workers_[name]->running) {
      if (is_killed) killed.push_back(attempt);
    }
    for (const Attempt& attempt : killed) {
      wire::Result result;
      result.attempt = attempt;
      result.outcome = Outcome::Cancelled;
      workers_[name]->running.erase(attempt);
      feed(*workers_[name], worker::Ended{std::move(result)});
    }
    feed(*workers_[name], worker::Turn{});
    if (left_.contains(name)) workers_.erase(name);
  }
}

// What was sent before this tick arrives in it, path by path.
void Stage::deliver() {
  std::vector<std::pair<std::string, std::deque<std::string>>> due;
  for (auto& [name, path] : paths_) {
    const std::string to = name.substr(name.find("->") + 2);
    if (path.is_held || (to == "sink" && !sink_)) continue;
    due.emplace_back(name, std::exchange(path.frames, {}));
  }
  for (const auto& [name, frames] : due) {
    for (const std::string& frame : frames) deliver(name.substr(0, name.find("->")), name.substr(name.find("->") + 2), frame);
  }
}

void Stage::deliver(const std::string&, const std::string& to, const std::string& frame) {
  const auto pass = [](auto&& decoded, auto feed_it) {
    if (!decoded) throw ScriptError("undecodable: " + decoded.error().message);
    std::visit(feed_it, std::move(decoded->message));
  };
  if (to == "sink") {
    auto decoded = wire::decode_to_sink(frame, run_);
    if (!decoded) decoded = wire::decode_to_sink(frame, {});  // a worker that no lane has told the run
    pass(std::move(decoded), [this](auto&& m) { feed(sink::Event(std::move(m))); });
  } else if (to == "ventilator") {
    if (ventilator_) pass(wire::decode_to_ventilator(frame, run_), [this](auto&& m) { feed(ventilator::Event(std::move(m))); });
  } else if (workers_.contains(to)) {
    pass(wire::decode_to_worker(frame, run_), [&](auto&& m) { feed(*workers_[to], worker::Event(std::move(m))); });
  }
}

void Stage::tell_of_breaks() {
  if (ventilator_) {
    std::vector<ventilator::LaneBroken> broken;
    for (auto& [name, lane] : ventilator_->lanes) {
      if (lane.is_open || lane.is_told || paths_["ventilator->" + name].is_held) continue;
      lane.is_told = true;
      base::WorkerId id;
      id.bytes[0] = static_cast<std::uint8_t>(name[0]);
      broken.push_back({id, lane.generation});
    }
    for (const auto& event : broken) feed(event);
  }
  const bool is_there = ventilator_ && sink_ && sink_->feedback == ventilator_->endpoint;
  if (sink_ && !sink_->is_feedback_told && !is_there) sink_->is_feedback_told = true, feed(sink::FeedbackBroken{});
}

template <typename Message>
void Stage::send(const std::string& from, const std::string& to, const Message& message) {
  const std::string path = from + "->" + to, said = describe(message);
  const std::string kind = path + " " + said.substr(0, said.find(' ', said.starts_with("WORKER ") ? 7 : 0));
  const bool is_beat = said.starts_with("STATE") || said.starts_with("WORKER") || said.starts_with("OPEN") || said.starts_with("CTRL") || said.starts_with("END");
  if (!(is_beat && said_[kind] == said) && said != "ALIVE") write(path + " " + said);
  said_[kind] = said;
}

void Stage::write(const std::string& text) {
  char time[32];
  std::snprintf(time, sizeof time, "%5.1f ", static_cast<double>(ticks_) / 10);
  transcript_.push_back(time + text);
}

std::string Stage::worker_name(const base::WorkerId& id) const { return std::string(1, static_cast<char>(id.bytes[0])); }

Stage::WorkerNode& Stage::worker(const std::string& name) {
  const auto it = workers_.find(name);
  if (it == workers_.end()) throw ScriptError("there is no worker " + name);
  return *it->second;
}

// ---- roles: events in, effects out

void Stage::feed(const ventilator::Event& event) {
  ventilator::Effects effects;
  if (ventilator_) ventilator_->core.on(event, now(), effects), ventilator_->core.check_invariants();
  for (ventilator::Effect& effect : effects) carry_out(effect);
  if (left_.contains("ventilator")) ventilator_.reset();
}

void Stage::carry_out(ventilator::Effect& effect) {
  std::string frame;
  const auto down = [&](const base::WorkerId& id, wire::ToWorker message) {
    const std::string name = worker_name(id);
    send("ventilator", name, message);
    wire::encode(run_, message, frame);
    if (ventilator_->lanes[name].is_open) paths_["ventilator->" + name].frames.push_back(std::move(frame));
  };
  if (auto* sent = std::get_if<ventilator::SendToSink>(&effect)) {
    send("ventilator", "sink", sent->message);
    wire::encode(run_, sent->message, frame);
    paths_["ventilator->sink"].frames.push_back(std::move(frame));
  } else if (auto* open = std::get_if<ventilator::OpenLane>(&effect)) {
    const std::string name = worker_name(open->worker);
    const bool is_there = workers_.contains(name) && workers_[name]->endpoint == open->endpoint;
    ventilator_->lanes[name] = {open->generation, open->endpoint, is_there, !is_there};
    paths_["ventilator->" + name].frames.clear();
  } else if (auto* close = std::get_if<ventilator::CloseLane>(&effect)) {
    Lane& lane = ventilator_->lanes[worker_name(close->worker)];
    if (lane.generation == close->generation) lane.is_open = false, lane.is_told = true;
  } else if (auto* jobs = std::get_if<ventilator::SendJobs>(&effect)) {
    wire::Job job{jobs->worker, jobs->session, jobs->generation, jobs->limit, jobs->first_seq, {}};
    for (const Attempt& attempt : jobs->attempts) job.items.push_back({attempt, "spec"});
    down(jobs->worker, std::move(job));
  } else if (auto* free = std::get_if<ventilator::SendFree>(&effect)) {
    const base::WorkerId id = free->message.worker;
    down(id, std::move(free->message));
  } else if (auto* ctrl = std::get_if<ventilator::SendCtrl>(&effect)) {
    const base::WorkerId id = ctrl->message.worker;
    down(id, std::move(ctrl->message));
  } else if (auto* horizon = std::get_if<ventilator::RaiseHorizon>(&effect)) {
    ventilator_disk_.horizon = horizon->through;
  } else if (std::holds_alternative<ventilator::CommitEnded>(effect)) {
    ventilator_disk_.ended = true;
    write("ventilator commits the end");
  } else if (std::holds_alternative<ventilator::RenewUplink>(effect)) {
    cut("ventilator->sink");
    write("ventilator opens a new uplink");
  } else if (std::holds_alternative<ventilator::LookForEnd>(effect)) {
    if (!sink_ && sink_disk_.ended) feed(ventilator::SinkHasEnded{sink_disk_.ended->failed, sink_disk_.ended->cut});
  } else if (std::holds_alternative<ventilator::Exit>(effect)) {
    left_["ventilator"] = "ended";
    write("ventilator leaves");
  }
}

void Stage::feed(sink::Event&& event) {
  sink::Effects effects;
  if (sink_) sink_->core.on(std::move(event), now(), effects), sink_->core.check_invariants();
  for (sink::Effect& effect : effects) carry_out(effect);
  if (left_.contains("sink")) sink_.reset();
}

void Stage::carry_out(sink::Effect& effect) {
  if (std::holds_alternative<sink::Commit>(effect)) {
    commit();
  } else if (auto* open = std::get_if<sink::OpenFeedback>(&effect)) {
    sink_->feedback = open->endpoint;
    sink_->is_feedback_told = false;
    paths_["sink->ventilator"].frames.clear();
  } else if (auto* sent = std::get_if<sink::SendToVentilator>(&effect)) {
    send("sink", "ventilator", sent->message);
    std::string frame;
    wire::encode(run_, sent->message, frame);
    if (ventilator_ && sink_->feedback == ventilator_->endpoint) paths_["sink->ventilator"].frames.push_back(std::move(frame));
  } else if (std::holds_alternative<sink::Exit>(effect)) {
    left_["sink"] = "ended";
    write("sink leaves");
  } else {
    sink_->rows.push_back(std::move(effect));
  }
}

void Stage::commit() {
  std::string rows;
  for (const sink::Effect& effect : sink_->rows) {
    if (const auto* row = std::get_if<sink::LogResult>(&effect)) {
      sink_disk_.results[row->result.attempt.job] = row->result;
      rows += ", " + row->result.attempt.text() + " " + std::string(base::name(row->result.outcome)) + " is the result";
    } else if (const auto* row = std::get_if<sink::LogAttempt>(&effect)) {
      const Attempt attempt = row->result.attempt;
      if (sink_disk_.is_result(attempt)) continue;  // a copy of it
      sink_disk_.attempts[attempt] = {attempt, row->result.outcome, row->counted, row->alone};
      rows += ", " + attempt.text() + " " + std::string(base::name(row->result.outcome)) + (row->counted ? " counts" : "");
    } else if (const auto* back = std::get_if<sink::UncountLoss>(&effect)) {
      sink_disk_.take_back(*back);
      rows += ", the loss of " + back->attempt.text() + " is taken back";
    } else {
      sink_disk_.note_mark(effect);
      if (std::holds_alternative<sink::LogEnded>(effect)) rows += ", the end";
    }
  }
  sink_->rows.clear();
  if (!rows.empty()) write("sink commits" + rows.substr(1));
}

void Stage::feed(WorkerNode& worker, worker::Event&& event) {
  worker::Effects effects;
  worker.core.on(std::move(event), now(), effects);
  worker.core.check_invariants();
  for (worker::Effect& effect : effects) carry_out(worker, effect);
}

void Stage::carry_out(WorkerNode& worker, worker::Effect& effect) {
  if (worker.core.has_head()) worker.run = run_;
  const base::RunId run = worker.run;
  std::deque<std::string>& up = paths_[worker.name + "->sink"].frames;
  const auto say = [&](const wire::ToSink& message, const base::RunId& of) {
    send(worker.name, "sink", message);
    std::string frame;
    wire::encode(of, message, frame);
    up.push_back(std::move(frame));
  };
  if (auto* open = std::get_if<worker::OpenSession>(&effect)) {
    up.clear();
    if (ventilator_ && ventilator_->lanes.contains(worker.name)) ventilator_->lanes[worker.name].is_open = false;
    if (open->session > 1) write(worker.name + " begins session " + std::to_string(open->session));
    worker.endpoint = worker.name + std::to_string(open->session);
    feed(worker, worker::SessionOpened{worker.endpoint, ""});
  } else if (auto* state = std::get_if<worker::SendState>(&effect)) {
    auto& held = state->message.held;  // in an order that does not depend on a hash
    std::sort(held.begin(), held.end(), [](const wire::Held& a, const wire::Held& b) { return a.attempt < b.attempt; });
    say(std::move(state->message), run);
  } else if (auto* sent = std::get_if<worker::SendResults>(&effect)) {
    wire::Results results{{}, sent->session, sent->generation, sent->limit, "host", {}};
    results.worker.bytes[0] = static_cast<std::uint8_t>(worker.name[0]);
    for (const Attempt& attempt : sent->attempts) results.items.push_back(worker.core.unconfirmed(attempt));
    say(std::move(results), run_);
  } else if (auto* bye = std::get_if<worker::SendBye>(&effect)) {
    say(std::move(bye->message), run);
  } else if (auto* start = std::get_if<worker::Start>(&effect)) {
    ++starts_[start->attempt.job];
    worker.running[start->attempt] = false;
    write(worker.name + " starts " + start->attempt.text());
  } else if (auto* kill = std::get_if<worker::Kill>(&effect)) {
    if (worker.running.contains(kill->attempt)) worker.running[kill->attempt] = true;
  } else if (auto* exit = std::get_if<worker::Exit>(&effect)) {
    static constexpr const char* kWhy[] = {"complete", "stopped", "no-head"};
    left_[worker.name] = kWhy[static_cast<int>(exit->why)];
    write(worker.name + " leaves: " + left_[worker.name]);
    if (ventilator_ && ventilator_->lanes.contains(worker.name)) ventilator_->lanes[worker.name].is_open = false;
  }
}

}  // namespace support
