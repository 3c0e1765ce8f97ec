// How a message reads in a transcript.
#include <string>

#include "tests/support/stage.h"

namespace support {

namespace {

std::string name(const base::WorkerId& id) { return std::string(1, static_cast<char>(id.bytes[0])); }
std::string text(const base::Generation& g) { return std::to_string(g.epoch) + "." + std::to_string(g.g); }

template <typename List, typename Text>
std::string joined(const List& list, Text text) {
  std::string all;
  for (const auto& item : list) all += (all.empty() ? "" : " ") + text(item);
  return all;
}
template <typename List, typename Text>
std::string named(const char* what, const List& list, Text text) {
  return list.empty() ? "" : std::string(" ") + what + " [" + joined(list, text) + "]";
}
std::string text(const base::Attempt& attempt) { return attempt.text(); }
std::string text(const wire::Requeued& item) { return item.attempt.text() + " " + std::string(base::name(item.outcome)) + (item.alone ? " alone" : ""); }
std::string text(const wire::Held& held) {
  static constexpr const char* kPhases[] = {"queued", "running", "unconfirmed"};
  return held.attempt.text() + " " + kPhases[static_cast<int>(held.phase)];
}
constexpr auto attempt_text = [](const base::Attempt& attempt) { return text(attempt); };
constexpr auto requeued_text = [](const wire::Requeued& item) { return text(item); };

std::string text(const base::Attempt& attempt, wire::OutputStream stream) { return attempt.text() + (stream == wire::OutputStream::Out ? " out" : " err"); }
constexpr auto stored_text = [](const wire::StoredOutput& item) { return text(item.attempt, item.stream) + " " + std::to_string(item.length); };

struct Describe {
  std::string operator()(const wire::State& m) const {
    return "STATE session " + std::to_string(m.session) + " lane " + text(m.generation) + " limit " + std::to_string(m.limit) +
           named("holds", m.held, [](const wire::Held& held) { return text(held); });
  }
  std::string operator()(const wire::Results& m) const {
    return "RESULTS lane " + text(m.generation) + " limit " + std::to_string(m.limit) + " [" +
           joined(m.items, [](const wire::Result& r) { return r.attempt.text() + " " + std::string(base::name(r.outcome)); }) + "]";
  }
  std::string operator()(const wire::Output& m) const {
    return "OUTPUT " + text(m.attempt, m.stream) + " from " + std::to_string(m.offset) + ", " + std::to_string(m.bytes.size()) + " bytes";
  }
  std::string operator()(const wire::Bye& m) const { return "BYE session " + std::to_string(m.session); }
  std::string operator()(const wire::Open& m) const {
    return "OPEN epoch " + std::to_string(m.stamp.epoch) + (m.total ? " total " + std::to_string(*m.total) : "") + (m.cut ? " cut" : "") + (m.want_snapshot ? " wants a snapshot" : "");
  }
  std::string operator()(const wire::Assign& m) const {
    return "ASSIGN " + name(m.worker) + " session " + std::to_string(m.session) + " lane " + text(m.generation) + " [" +
           joined(m.items, [](const wire::Assigned& item) { return item.attempt.text() + (item.alone ? " alone" : ""); }) + "]";
  }
  std::string operator()(const wire::Gone& m) const { return "GONE " + name(m.worker) + " lane " + text(m.generation); }
  std::string operator()(const wire::Close&) const { return "CLOSE"; }
  std::string operator()(const wire::Worker& m) const {
    return "WORKER " + name(m.worker) + " session " + std::to_string(m.session) + " lane " + text(m.generation) + " limit " + std::to_string(m.limit) +
           named("leases", m.leases, attempt_text) + (m.bye ? " bye" : "");
  }
  std::string operator()(const wire::Done& m) const {
    return "DONE" + named("jobs", m.jobs, [](base::JobId job) { return std::to_string(job); }) +
           named("limits", m.limits, [](const wire::Limit& l) { return name(l.worker) + " " + std::to_string(l.limit); }) +
           named("confirms", m.confirms, [](const wire::Confirms& c) { return name(c.worker) + ": " + joined(c.attempts, attempt_text); });
  }
  std::string operator()(const wire::Requeue& m) const { return "REQUEUE [" + joined(m.items, requeued_text) + "]"; }
  std::string operator()(const wire::Snapshot& m) const {
    std::vector<base::JobId> finished;
    for (std::size_t i = 0; i < m.finished.size() * 8; ++i) {
      if ((static_cast<unsigned char>(m.finished[i / 8]) >> (i % 8) & 1) != 0) finished.push_back(m.first_job + i);
    }
    return "SNAPSHOT epoch " + std::to_string(m.stamp.sink_epoch) + named("finished", finished, [](base::JobId job) { return std::to_string(job); }) +
           named("leases", m.leases, [](const wire::Lease& l) { return l.attempt.text() + " " + name(l.worker); }) + named("ended", m.ended, requeued_text) + (m.last ? " last" : "");
  }
  std::string operator()(const wire::End& m) const { return "END total " + std::to_string(m.total) + " failed " + std::to_string(m.failed) + (m.cut ? " cut" : ""); }
  std::string operator()(const wire::Alive&) const { return "ALIVE"; }
  std::string operator()(const wire::Stored& m) const {
    return "STORED" + named("outputs", m.workers, [](const wire::StoredOutputs& w) { return name(w.worker) + ": " + joined(w.items, stored_text); });
  }
  std::string operator()(const wire::Free& m) const {
    return "FREE session " + std::to_string(m.session) + " lane " + text(m.generation) + named("outputs", m.items, stored_text);
  }
  std::string operator()(const wire::Job& m) const {
    return "JOB session " + std::to_string(m.session) + " lane " + text(m.generation) + " from " + std::to_string(m.first_seq) + " [" +
           joined(m.items, [](const wire::JobItem& item) { return item.attempt.text(); }) + "]";
  }
  std::string operator()(const wire::Ctrl& m) const {
    return "CTRL session " + std::to_string(m.session) + " lane " + text(m.generation) + " limit " + std::to_string(m.limit) + named("confirms", m.confirms, attempt_text) +
           (m.complete ? " complete" : "");
  }
  std::string operator()(const wire::Input& m) const {
    return "INPUT " + m.attempt.text() + " " + std::to_string(m.offset) + "+" + std::to_string(m.bytes.size()) + (m.fault.empty() ? "" : " faulty");
  }
  std::string operator()(const wire::Refused& m) const { return "REFUSED " + m.reason; }
};

}  // namespace

std::string describe(const wire::ToSink& message) { return std::visit(Describe{}, message); }
std::string describe(const wire::ToVentilator& message) { return std::visit(Describe{}, message); }
std::string describe(const wire::ToWorker& message) { return std::visit(Describe{}, message); }

}  // namespace support
