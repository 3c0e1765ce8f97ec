// The inputs of jobs in the simulation: files that the ventilator reads, and what comes of them at the workers that do not see them.
#include <algorithm>

#include "tests/support/cluster.h"
#include "wire/codec.h"

namespace support {

using base::Attempt;
using base::JobId;

namespace {
constexpr std::uint64_t kPart = 5;     // bytes of an INPUT
constexpr std::uint64_t kLongest = 40;
}  // namespace

// In half of the schedules half of the jobs have one.
std::uint64_t Cluster::input_length(JobId job) const {
  const std::uint64_t word = (input_seed_ ^ job) * 0x9e3779b97f4a7c15u >> 20;
  return input_seed_ == 0 || word % 2 == 0 ? 0 : 1 + word / 2 % kLongest;
}

std::string Cluster::input_of(JobId job, std::uint64_t offset, std::uint64_t length) const {
  std::string bytes;
  for (std::uint64_t i = offset; i < offset + length; ++i) bytes += static_cast<char>('a' + (job * 7 + i) % 26);
  return bytes;
}

// As the ventilator's shell does it. The file of a job that has succeeded is gone.
void Cluster::send_input(const ventilator::SendInput& effect) {
  const auto row = sink_disk_.results.find(effect.attempt.job);
  const bool is_gone = row != sink_disk_.results.end() && row->second.outcome == base::Outcome::Ok;
  wire::Input part{effect.worker, effect.session, effect.generation, effect.sent, effect.attempt, effect.offset, {}, {}};
  const auto send = [&] {
    std::string frame;
    wire::encode(run_, part, frame);
    push(ventilator_->lanes[effect.worker].second, std::move(frame));
  };
  const std::uint64_t end = effect.offset + effect.length;
  for (; part.offset < end && !is_gone && !chance(fault_chance_); part.offset += part.bytes.size(), part.sent += part.bytes.size()) {
    may_crash("ventilator", faults_.ventilator);
    part.bytes = input_of(effect.attempt.job, part.offset, std::min(end - part.offset, kPart));
    send();
  }
  if (part.offset == end) return;
  part.sent = effect.sent + effect.length;
  part.bytes.clear();
  part.fault = "it is gone";
  send();
  feed(ventilator::InputFaulty{effect.worker, effect.generation, effect.attempt});
}

void Cluster::keep_input(WorkerNode& worker, const worker::KeepInput& effect) {
  if (!worker.core.holds(effect.attempt)) throw Violation(where("21: an input is kept for nobody " + effect.attempt.text()));
  worker.inputs[effect.attempt] += effect.bytes;
  if (!effect.fault.empty()) worker.faulty.insert(effect.attempt);
}

// What is started has its whole input, or fails.
void Cluster::check_input(const WorkerNode& worker, const Attempt& attempt) const {
  if (!worker.takes_inputs || worker.faulty.contains(attempt)) return;
  const std::uint64_t length = input_length(attempt.job);
  const auto input = worker.inputs.find(attempt);
  const std::string has = input == worker.inputs.end() ? "" : input->second;
  if (has != input_of(attempt.job, 0, length)) throw Violation(where("21: started without the whole of its input " + attempt.text()));
}

}  // namespace support
