// The three cores joined in memory without chance: a script starts, kills, cuts, finishes and lets time pass, and every message that says something new is
// written down. A sibling of Cluster, for stories (tests/scenarios). Every message is encoded and decoded on its way.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/sink_disk.h"
#include "ventilator/core.h"
#include "worker/core.h"

namespace support {

struct ScriptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Stage {
 public:
  // Carries out one line of a script (tests/scenarios/README.md); throws ScriptError when it is none or expects what is not so.
  void play(const std::string& line);
  const std::vector<std::string>& transcript() const { return transcript_; }

 private:
  static constexpr base::Duration kTick{100'000};

  // A path from one role to another. What is sent while it is held waits; a cut loses what is on it.
  struct Path {
    std::deque<std::string> frames;
    bool is_held = false;
  };
  struct Lane {
    base::Generation generation;
    std::string endpoint;
    bool is_open = false;
    bool is_told = false;  // that it broke
  };
  struct VentilatorDisk { std::uint64_t epoch = 0; base::JobId horizon = 0, accepted = 0; bool input_ended = false, cut = false, ended = false; };
  struct VentilatorNode {
    ventilator::Core core;
    std::string endpoint;
    std::map<std::string, Lane> lanes;  // by worker
  };
  struct SinkNode {
    sink::Core core;
    std::vector<sink::Effect> rows;
    std::string feedback;  // where it goes to
    bool is_feedback_told = true;
  };
  struct WorkerNode {
    worker::Core core;
    std::string name, endpoint;
    std::map<base::Attempt, bool> running;  // true: told to end
    base::RunId run{};                      // once a head has told it
  };

  void start(const std::string& who, const std::vector<std::string>& options);
  void kill(const std::string& who);
  void cut(const std::string& path);
  void finish(const std::vector<std::string>& words);
  void expect(const std::vector<std::string>& words);
  void tick();
  void deliver();
  void deliver(const std::string& from, const std::string& to, const std::string& frame);
  void tell_of_breaks();

  void feed(const ventilator::Event& event);
  void feed(sink::Event&& event);
  void feed(WorkerNode& worker, worker::Event&& event);
  void carry_out(ventilator::Effect& effect);
  void carry_out(sink::Effect& effect);
  void carry_out(WorkerNode& worker, worker::Effect& effect);
  void commit();

  template <typename Message>
  void send(const std::string& from, const std::string& to, const Message& message);
  void write(const std::string& text);
  std::string worker_name(const base::WorkerId& id) const;
  WorkerNode& worker(const std::string& name);
  base::TimePoint now() const { return base::TimePoint{} + kTick * static_cast<std::int64_t>(ticks_); }

  std::uint64_t ticks_ = 0;
  base::RunId run_ = [] { base::RunId id; id.bytes[0] = 1; return id; }();
  wire::Policy policy_;
  base::JobId total_ = 0;
  VentilatorDisk ventilator_disk_;
  SinkDisk sink_disk_;
  std::unique_ptr<VentilatorNode> ventilator_;
  std::unique_ptr<SinkNode> sink_;
  std::map<std::string, std::unique_ptr<WorkerNode>> workers_;
  std::map<std::string, Path> paths_;  // "a->sink"
  std::map<base::JobId, unsigned> starts_;
  std::map<std::string, std::string> left_;  // and how
  std::map<std::string, std::string> said_;  // last of each kind of message on each path: heartbeats that say nothing new are not written
  std::vector<std::string> transcript_;
};

// A message as a line of a transcript; numbers that rise with each heartbeat are left out.
std::string describe(const wire::ToSink& message);
std::string describe(const wire::ToVentilator& message);
std::string describe(const wire::ToWorker& message);

}  // namespace support
